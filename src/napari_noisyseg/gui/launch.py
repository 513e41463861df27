"""napari with the panel, as the command line opens it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import napari

from napari_noisyseg.gui.panel import Panel
from napari_noisyseg.gui.readers import layer_data
from napari_noisyseg.slides import open_image


def show(
    project: Path | None = None, images: Sequence[Path] = (), step: str = "annotate"
) -> tuple[napari.Viewer, Panel]:
    """A window with the panel docked at its right, on a project or on images."""
    viewer = napari.Viewer(title="NoisySeg")
    for path in images:
        pixels, keywords, _ = layer_data(open_image(path))
        viewer.add_image(pixels, **keywords, metadata={"noisyseg": {"path": str(path)}})
    _, panel = viewer.window.add_plugin_dock_widget("napari-noisyseg", "NoisySeg")
    assert isinstance(panel, Panel)
    if project is not None:
        with panel.session.guard():
            panel.session.open(project)
    panel.open_step(step)
    return viewer, panel


def launch(
    project: Path | None = None, images: Sequence[Path] = (), step: str = "annotate"
) -> None:
    """Show the window and stay until it is closed."""
    show(project, images, step)
    napari.run()
