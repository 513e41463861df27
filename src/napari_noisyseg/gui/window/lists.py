"""napari's own lists beside the picture: folded away for quiet work, and brought back."""

from __future__ import annotations

from typing import Any

from napari._qt.layer_controls.qt_layer_controls_container import create_qt_layer_controls
from qtpy.QtCore import QEvent, QObject

from napari_noisyseg.gui.window.keyfilter import window_of

DOCKS = ("dockLayerControls", "dockLayerList")


def lists_shown(viewer: Any) -> bool:
    """Whether napari's layer list and controls are to be seen."""
    return any(dock.isVisible() for dock in _docks(viewer))


def show_lists(viewer: Any, shown: bool) -> None:
    """Show or fold away napari's layer list and controls."""
    if not shown:
        _defer(viewer)
    for dock in _docks(viewer):
        dock.setVisible(shown)


def flip_lists(viewer: Any) -> None:
    """Bring them back, or fold them away."""
    show_lists(viewer, not lists_shown(viewer))


def _docks(viewer: Any) -> list[Any]:
    window = window_of(viewer)
    inner = getattr(window, "_qt_viewer", None)
    return [getattr(inner, name) for name in DOCKS if hasattr(inner, name)]


def _defer(viewer: Any) -> None:
    """Let napari make the controls of a layer when they are first looked at, not when it comes."""
    container = getattr(getattr(window_of(viewer), "_qt_viewer", None), "controls", None)
    if container is not None and not isinstance(container.widgets, _Made):
        Deferred(container)


class _Made(dict[Any, Any]):
    """Controls by layer, each made when it is asked for."""

    def __init__(self, container: Any) -> None:
        super().__init__(container.widgets)
        self._container = container

    def __missing__(self, layer: Any) -> Any:
        controls = self[layer] = create_qt_layer_controls(layer)
        controls.ndisplay = self._container.viewer.dims.ndisplay
        self._container.addWidget(controls)
        return controls


class Deferred(QObject):  # type: ignore[misc]
    """Keeps napari's layer controls at the selected layer while they are to be seen, and only then.

    A widget of controls costs as much as all else of a new layer, and they are folded away.
    """

    def __init__(self, container: Any) -> None:
        super().__init__(container)
        self._container = container
        container.widgets = _Made(container)
        events, selection = container.viewer.layers.events, container.viewer.layers.selection
        events.inserted.disconnect(container._add)
        events.removed.disconnect(container._remove)
        selection.events.changed.disconnect(container._populate)
        events.removed.connect(self._remove)
        selection.events.changed.connect(self._populate)
        container.installEventFilter(self)

    def eventFilter(self, watched: Any, event: Any) -> bool:
        """Qt: the controls come into sight."""
        if event.type() == QEvent.Type.Show:
            self._container._populate()
        return False

    def _populate(self) -> None:
        # a panel for several layers listens to each of them, also to one that is going
        if self._container.isVisible() or self._container.panel is not None:
            self._container._populate()

    def _remove(self, event: Any) -> None:
        if event.value in self._container.widgets:
            self._container._remove(event)
