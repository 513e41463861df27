"""What napari's menus call."""

from __future__ import annotations

from napari.layers import Labels, Points
from napari.viewer import Viewer

from napari_noisyseg.gui.session import Session, session_of
from napari_noisyseg.gui.tools.kit import kit_of
from napari_noisyseg.gui.window import files


def use_points(viewer: Viewer) -> None:
    """Take the selected Points layer as nuclei of the image."""
    _take(session_of(viewer), Points, "a Points layer")


def use_labels(viewer: Viewer) -> None:
    """Take the selected Labels layer as rough masks of the image."""
    _take(session_of(viewer), Labels, "a Labels layer")


def _take(session: Session, kind: type, words: str) -> None:
    layer = session.viewer.layers.selection.active
    if isinstance(layer, kind):
        kit_of(session).take_layer(layer)
    else:
        session.notice(f"select {words} in the layer list first")


def whole_image(viewer: Viewer) -> None:
    """Declare the whole active image a field."""
    kit_of(session_of(viewer)).fields.add_whole()


def open_project(viewer: Viewer) -> None:
    """Ask for a project and open it."""
    files.open_project(session_of(viewer), viewer.window._qt_window)


def export(viewer: Viewer) -> None:
    """Ask for a format and a folder and export the nuclei."""
    files.export(session_of(viewer), viewer.window._qt_window)
