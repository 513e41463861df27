"""doctor: what works here, what is missing, and how to install it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import typer

from ..benchmarks.display import has_display
from .output import Json, print_json, show


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report; `mend` says what to do where `works` is false."""

    name: str
    works: bool
    found: str
    mend: str = ""


def register(app: typer.Typer) -> None:
    """Add this command to the app."""
    app.command()(doctor)


def doctor(as_json: Json = False) -> None:
    """Check Qt, OpenGL, torch, CUDA/MPS, slides, zarr and the disk."""
    checks = [check() for check in CHECKS]
    if as_json:
        print_json({check.name: asdict(check) for check in checks})
        return
    for check in checks:
        show(f"{'✓' if check.works else '✗'} {check.name:10s}{check.found}")
        if not check.works and check.mend:
            show(f"  {'':10s}→ {check.mend}")


def _python() -> Check:
    return Check(
        "python", sys.version_info >= (3, 11), f"{platform.python_version()}, {platform.platform()}"
    )


def _package(name: str, module: str, extra: str) -> Check:
    if importlib.util.find_spec(module) is None:
        return Check(name, False, "not installed", f'pip install "napari-noisyseg[{extra}]"')
    return Check(name, True, importlib.metadata.version(name))


def _napari() -> Check:
    found = _package("napari", "napari", "napari")
    if not found.works:
        return found
    fits, words = _child("import napari_noisyseg.gui")
    return found if fits else Check("napari", False, found.found, words.partition(": ")[2] or words)


def _zarr() -> Check:
    return _package("zarr", "zarr", "all")


def _child(code: str) -> tuple[bool, str]:
    """Run a probe in a child: a library that aborts its process must not take us with it."""
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", code],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False, "no answer in 60 s"
    lines = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
    return done.returncode == 0, lines[-1] if lines else f"exit code {done.returncode}"


def _qt() -> Check:
    if not has_display():
        return Check(
            "qt", False, "no display", "a screen, X11 forwarding, or: xvfb-run -a noisyseg open"
        )
    code = (
        "from qtpy.QtWidgets import QApplication; import qtpy; QApplication([]);"
        "print(qtpy.API_NAME, qtpy.QT_VERSION)"
    )
    works, found = _child(code)
    mend = (
        'pip install "napari-noisyseg[napari]"; on Linux also the system libraries '
        "(make system names them)"
    )
    return Check("qt", works, found, mend)


def _opengl() -> Check:
    if not has_display():
        return Check("opengl", False, "not checked: no display", "see qt")
    code = (
        "from vispy import app, gloo; c = app.Canvas(show=True, size=(8, 8)); c.set_current();"
        "print('OpenGL', gloo.gl.glGetParameter(gloo.gl.GL_VERSION)); c.close()"
    )
    works, found = _child(code)
    mend = (
        "install an OpenGL driver; on Debian: apt-get install libgl1 libegl1, and a display or Xvfb"
    )
    return Check("opengl", works, found, mend)


def _torch() -> Check:
    if importlib.util.find_spec("torch") is None:
        mend = 'for training: pip install "napari-noisyseg[train]" (the rest works without torch)'
        return Check("torch", False, "not installed", mend)
    works, found = _child(
        "import torch; print(torch.__version__, torch.get_num_threads(), 'threads')"
    )
    return Check("torch", works, found, "install torch again, as pytorch.org says for your machine")


def _accelerator() -> Check:
    code = (
        "import torch; c = torch.cuda.is_available(); m = torch.backends.mps.is_available();"
        "gpu = torch.cuda.get_device_name(0) if c else 'Apple MPS' if m else '';"
        "print(gpu or 'none: the CPU is used')"
    )
    works, found = _child(code)
    return Check("gpu", works, found if works else "torch is missing", "see torch")


def _slides() -> Check:
    if importlib.util.find_spec("openslide") is None:
        return Check("slides", False, "not installed", 'pip install "napari-noisyseg[slides]"')
    works, found = _child("import openslide; print('OpenSlide', openslide.__library_version__)")
    return Check("slides", works, found, "pip install openslide-bin")


def _disk() -> Check:
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    try:
        with tempfile.TemporaryDirectory(dir=Path.cwd()):
            pass
    except OSError as error:
        return Check(
            "disk", False, f"{Path.cwd()}: {error.strerror}", "use a folder that you may write to"
        )
    return Check(
        "disk", free > 1, f"{free:.1f} GiB free here", "free space: a project needs about 1 GiB"
    )


CHECKS: tuple[Callable[[], Check], ...] = (
    _python, _napari, _qt, _opengl, _torch, _accelerator, _slides, _zarr, _disk,
)  # fmt: skip
