"""open and demo: napari with the panel."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from .. import samples
from ..benchmarks.display import has_display, on_display
from ..errors import JobError, NoisySegError
from ..store import SUFFIX, backup, opening
from ..store.database import NAME as DATABASE
from .output import say
from .paths import image_files, meant


def register(app: typer.Typer) -> None:
    """Add these commands to the app."""
    app.command("open")(open_)
    app.command()(demo)


def open_(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PROJECT | IMAGE...]", help="Default: an empty window."),
    ] = None,
) -> None:
    """Open napari with the panel, on a project or on images."""
    given = [meant(p) for p in paths or []]
    projects = [p for p in given if p.suffix == SUFFIX or (p / DATABASE).exists()]
    if projects and len(given) > 1:
        raise NoisySegError("open one project, or images; not both")
    for project in projects:
        _check_there(project.absolute())
    images = [] if projects else image_files(given)
    _need_window()
    from ..gui.launch import launch

    launch(project=projects[0] if projects else None, images=images)


def _check_there(project: Path) -> None:
    """NoisySegError where there is no project; what is wrong in one the window tells, and mends."""
    if not project.is_dir():
        raise NoisySegError(f"{project}: there is no such project")
    if not (project / DATABASE).exists() and backup.restoring(project) is None:
        opening.check_file(project)


def demo(
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for the demo's project.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=20, help="Training time without a display.")] = 60,
) -> None:
    """Open napari on the bundled field, ready to train.

    Without a display the whole path is walked on a virtual one, and its figures and pictures are
    left in the folder.
    """
    folder = output or Path.cwd() / "demo"
    _need_napari()
    project = samples.demo_project(folder)
    if has_display():
        from ..gui.launch import launch

        launch(project=project, step="train")
        return
    _walk_on_virtual_display(folder, seconds)


def _need_window() -> None:
    if not has_display():
        raise NoisySegError("no display here: run it as 'xvfb-run -a noisyseg open …', or over X11")
    _need_napari()


def _need_napari() -> None:
    try:
        import napari  # noqa: F401
        import qtpy.QtWidgets  # noqa: F401
    except Exception as error:  # Qt raises its own kinds when a binding is missing
        raise NoisySegError(
            f'napari cannot start ({error}): pip install "napari-noisyseg[napari]"; '
            "'noisyseg doctor' says more"
        ) from None


def _walk_on_virtual_display(folder: Path, seconds: float) -> None:
    say(f"no display: running the demo on a virtual one; see {folder}")
    walk = [sys.executable, "-P", "-m", "napari_noisyseg.gui.walk", str(folder), f"{seconds:g}"]
    if subprocess.run(on_display(walk), check=False).returncode:
        raise JobError("the demo did not finish; 'noisyseg doctor' says what is missing")
