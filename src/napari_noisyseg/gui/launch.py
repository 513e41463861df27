"""napari with the panel, as the command line opens it."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from pathlib import Path

import napari
from qtpy.QtCore import QTimer

from napari_noisyseg.gui.canvas.lazy import KEY, layer_data
from napari_noisyseg.gui.panel import Panel
from napari_noisyseg.gui.settings import setting
from napari_noisyseg.gui.window.keyfilter import window_of
from napari_noisyseg.gui.window.lists import show_lists
from napari_noisyseg.slides import open_image


def show(
    project: Path | None = None, images: Sequence[Path] = (), step: str = "annotate"
) -> tuple[napari.Viewer, Panel]:
    """A window with the panel docked at its right, on a project or on images."""
    viewer = napari.Viewer(title="NoisySeg")
    for path in images:
        pixels, keywords, _ = layer_data(open_image(path, icc=setting("slides", "icc", False)))
        noted = {**keywords.pop("metadata", {}).get(KEY, {}), "path": str(path)}
        viewer.add_image(pixels, **keywords, metadata={KEY: noted})
    _, panel = viewer.window.add_plugin_dock_widget("napari-noisyseg", "NoisySeg")
    assert isinstance(panel, Panel)
    if project is not None:
        with panel.session.guard():
            panel.session.open(project)
    panel.open_step(step)
    quieten(viewer, panel)
    # napari collects garbage whenever a layer goes: what stays for good is not looked at again
    gc.collect()
    gc.freeze()
    return viewer, panel


def quieten(viewer: napari.Viewer, panel: Panel) -> None:
    """The picture and the panel alone, as large as the screen allows, the image as a whole."""
    window = window_of(viewer)
    if window is None:
        return
    show_lists(viewer, False)
    screen = window.screen()
    if screen is not None:
        window.setGeometry(screen.availableGeometry())
    # the canvas has its size only once the window was laid out
    QTimer.singleShot(0, panel.session.front.fit)


def launch(
    project: Path | None = None, images: Sequence[Path] = (), step: str = "annotate"
) -> None:
    """Show the window and stay until it is closed."""
    show(project, images, step)
    napari.run()
