"""napari's own lists beside the picture: folded away for quiet work, and brought back."""

from __future__ import annotations

from typing import Any

from napari_noisyseg.gui.window.keyfilter import window_of

DOCKS = ("dockLayerControls", "dockLayerList")


def lists_shown(viewer: Any) -> bool:
    """Whether napari's layer list and controls are to be seen."""
    return any(dock.isVisible() for dock in _docks(viewer))


def show_lists(viewer: Any, shown: bool) -> None:
    """Show or fold away napari's layer list and controls."""
    for dock in _docks(viewer):
        dock.setVisible(shown)


def flip_lists(viewer: Any) -> None:
    """Bring them back, or fold them away."""
    show_lists(viewer, not lists_shown(viewer))


def _docks(viewer: Any) -> list[Any]:
    window = window_of(viewer)
    inner = getattr(window, "_qt_viewer", None)
    return [getattr(inner, name) for name in DOCKS if hasattr(inner, name)]
