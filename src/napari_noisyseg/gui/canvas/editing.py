"""One outline under the brush: a small Labels layer over the nucleus, saved after every stroke."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap
from numpy.typing import NDArray

from napari_noisyseg.gui.canvas import layers
from napari_noisyseg.gui.canvas.closeup import TAG, to_select
from napari_noisyseg.slides import Box
from napari_noisyseg.store.records import ImageRecord, Outline

NAME = "outline under the brush"
MARGIN_UM = 10.0
"""room for painting on every side of the nucleus"""
BRUSH_UM = 2.0
INK = "#35d0ff"


class Editing:
    """Puts the brush into a person's hand; `saved(outline)` is called at the end of a stroke."""

    def __init__(self, viewer: Any, saved: Callable[[Outline], object]) -> None:
        self._viewer = viewer
        self._saved = saved
        self._layer: Any = None
        self._box = Box(0, 0, 0, 0)
        self._before: NDArray[np.bool_] | None = None
        self._selected: Any = None

    @property
    def active(self) -> bool:
        """Whether an outline is being edited; false as well once its layer was deleted by hand."""
        return self._layer is not None and self._layer in self._viewer.layers

    def begin(self, record: ImageRecord, outline: Outline) -> None:
        """Lay the outline under the brush."""
        self.end()
        room = outline.box.grow(round(MARGIN_UM / record.mpp))
        self._box = box = room.clip((record.height, record.width))
        self._before = outline.cut(box)
        data = self._before.astype(np.uint8)
        colours = DirectLabelColormap(color_dict={0: "#00000000", 1: INK, None: INK})
        layer = Labels(
            data, name=NAME, colormap=colours, opacity=0.35, metadata={TAG: True},
            **layers.geometry(self._viewer, record, box.origin),
        )  # fmt: skip
        self._selected = to_select(self._viewer, record)
        self._viewer.layers.append(layer)
        self._viewer.layers.selection.active = layer
        layer.selected_label = 1
        layer.brush_size = max(1, round(BRUSH_UM / record.mpp))
        layer.mode = "paint"
        # before napari's own, so that the first dab already belongs to the stroke
        layer.mouse_drag_callbacks.insert(0, self._stroke)
        for event in (layer.events.set_data, layer.events.labels_update):
            event.connect(self._changed)
        self._layer = layer

    def erase(self) -> None:
        """Turn the brush into an eraser and back."""
        if self.active:
            self._layer.mode = "paint" if self._layer.mode == "erase" else "erase"

    def end(self) -> None:
        """Take the brush away; what was drawn is saved already."""
        layer, self._layer = self._layer, None
        if layer is None:
            return
        for event in (layer.events.set_data, layer.events.labels_update):
            event.disconnect(self._changed)
        if layer in self._viewer.layers:
            self._viewer.layers.remove(layer)
        if self._selected in self._viewer.layers:
            self._viewer.layers.selection.active = self._selected

    _painting = False

    def _stroke(self, layer: Any, event: Any) -> Any:
        self._painting = True
        yield
        while event.type == "mouse_move":
            yield
        self._painting = False
        self._save()

    def _changed(self) -> None:
        # napari's own undo and fill change the data without a stroke of the mouse
        if not self._painting:
            self._save()

    def _save(self) -> None:
        if not self.active:
            return
        mask = np.asarray(self._layer.data) > 0
        outline = Outline.of(mask, self._box)
        same = self._before is not None and np.array_equal(mask, self._before)
        if outline is None or same:
            return
        self._before = mask
        self._saved(outline)
