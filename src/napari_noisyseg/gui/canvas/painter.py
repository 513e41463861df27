"""Which of our layers are seen: a function of the view, held against whatever a person clicks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from napari_noisyseg.gui.canvas import layers
from napari_noisyseg.gui.view import View


def _nothing(layer: Any) -> None:
    """What a key of napari's does on a layer of ours."""


class Painter:
    """Shows and hides our layers as the view says.

    A layer that is not as the view says was changed by a person (the eye in the layer list,
    another plugin): `by_hand(layer)` hears of it. There is no other way to tell, and none needed.
    """

    def __init__(
        self, viewer: Any, view: Callable[[], View], by_hand: Callable[[Any], object]
    ) -> None:
        self._viewer, self._view, self._by_hand = viewer, view, by_hand
        viewer.layers.events.inserted.connect(self._on_inserted)
        for layer in viewer.layers:
            self._watch(layer)

    def stop(self) -> None:
        """Look at the layers no more."""
        self._viewer.layers.events.inserted.disconnect(self._on_inserted)
        for layer in self._viewer.layers:
            layer.events.visible.disconnect(self._on_visible)

    def paint(self) -> None:
        """Bring every layer of ours to what the view says; what is hidden goes first."""
        wanted = [(layer, self.wanted(layer)) for layer in self._viewer.layers]
        for shown in (False, True):
            for layer, want in wanted:
                if want is shown and layer.visible is not shown:
                    layer.visible = shown

    def wanted(self, layer: Any) -> bool | None:
        """Whether a layer is to be seen; None for one that is not ours to say."""
        noted = layers.tag(layer)
        if "image" not in noted or "kind" not in noted:
            return None
        return self._view().shows_layer(noted["image"], noted["kind"])

    def _on_inserted(self, event: Any) -> None:
        self._watch(event.value)

    def _watch(self, layer: Any) -> None:
        want = self.wanted(layer)
        if want is not None:
            layer.visible = want
            _quieten(layer)
            # napari opens a layer for edits again whenever its dimensions change
            layer.events.editable.connect(_close)
            layer.editable = False
        layer.events.visible.connect(self._on_visible)

    def _on_visible(self, event: Any) -> None:
        want = self.wanted(event.source)
        if want is not None and event.source.visible != want:
            self._by_hand(event.source)


def _close(event: Any) -> None:
    if event.source.editable and layers.tag(event.source).get("kind"):
        event.source.editable = False


def _quieten(layer: Any) -> None:
    """No key acts on a layer of ours: napari's own delete, select all, paint and fill by key."""
    taken = [key for kind in type(layer).__mro__ for key in getattr(kind, "class_keymap", {})]
    layer.keymap = dict.fromkeys(taken, _nothing)
