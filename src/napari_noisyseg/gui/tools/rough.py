"""Rough masks: painted in memory, written to the project at the end of each stroke."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.gui.canvas import layers
from napari_noisyseg.gui.session import Session
from napari_noisyseg.slides import Box
from napari_noisyseg.store.records import Aspect, ImageRecord

PLANE = "rough"


class RoughTool:
    """The rough mask of the active image's region (all of it, or one field of a large slide).

    Each nucleus has a number of its own: a stroke that begins on bare tissue takes the next free
    number, one that begins on a painted nucleus goes on with that one.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.box: Box | None = None
        self._kept: NDArray[np.int32] = np.zeros((0, 0), np.int32)
        self._image: str | None = None
        self._version = -1
        self._busy = False
        session.image_changed.connect(self._on_image)
        session.annotation_changed.connect(self._on_annotation)

    # --- acts ----------------------------------------------------------------------------------

    def painting(self, mode: str = "paint") -> Any:
        """The layer, ready to paint ("paint") or erase ("erase"); made where it is missing."""
        record = self.session.require_image()
        layer = self._show(record)
        self.session.viewer.layers.selection = {layer}
        layer.mode = mode
        if mode == "paint":
            layer.selected_label = self.next_number()
        return layer

    def next_number(self) -> int:
        """The next number that no painted nucleus of the region has."""
        return int(self._kept.max(initial=0)) + 1

    def take_labels(self, labels: NDArray[Any]) -> None:
        """Write a whole label image (H, W) of the active image as its rough mask; one action."""
        with self.session.acting():
            record, project = self.session.require_image(), self.session.require_project()
            if labels.shape != (record.height, record.width):
                raise NoisySegError(
                    f"the labels are {labels.shape[1]} x {labels.shape[0]} pixels and the image "
                    f"{record.width} x {record.height}: choose labels of this image"
                )
            box = Box(0, 0, record.height, record.width)
            before = project.nuclei.painted(record.name, PLANE, box)
            after = labels.astype(np.int32)
            project.nuclei.paint(record.name, box, before, after, PLANE)

    def layer(self) -> Any | None:
        """The layer that is painted on, or None."""
        return layers.find(self.session.viewer, self._image, PLANE) if self._image else None

    def begin_stroke(self, place: tuple[float, float]) -> None:
        """Choose the number that a stroke beginning at (y, x) paints with."""
        layer = self.layer()
        if layer is None or layer.mode != "paint" or self.box is None:
            return
        y, x = (int(np.floor(v + 0.5)) for v in place)
        under = 0
        if self.box.contains(y, x):
            under = int(self._kept[y - self.box.y0, x - self.box.x0])
        layer.selected_label = under or self.next_number()

    # --- showing -------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Show what the project holds; a region without any rough mask gets no layer."""
        project, record = self.session.project, self.session.record()
        self._image = record.name if record is not None else None
        if project is None or record is None or self._version == self._latest():
            return
        self._version = self._latest()
        box = self._region(record)
        if self.layer() is not None or project.nuclei.painted(record.name, PLANE, box).any():
            self._show(record)

    def _latest(self) -> int:
        nuclei = self.session.require_project().nuclei
        return nuclei.version(self._image, Aspect.ROUGH | Aspect.IMAGES)

    def _region(self, record: ImageRecord) -> Box:
        box = self.session.region()
        if box is None:
            raise NoisySegError("on an image this large draw a field first, then paint in it")
        return box

    def _show(self, record: ImageRecord) -> Any:
        project = self.session.require_project()
        self._image = record.name
        self._version = self._latest()
        box = self._region(record)
        painted = np.ascontiguousarray(project.nuclei.painted(record.name, PLANE, box), np.int32)
        layer = self.layer()
        if layer is not None and box == self.box and layer.data.shape == painted.shape:
            if not np.array_equal(layer.data, painted):
                self._replace(layer, painted)
            return layer
        self.box, self._kept = box, painted
        fresh = layer is None
        layer = layers.show_labels(self.session.viewer, record, PLANE, painted.copy(), box)
        layer.brush_size = max(4, round(6.0 / record.mpp)) if fresh else layer.brush_size
        if fresh:
            layer.events.paint.connect(self._on_paint)
            layer.events.set_data.connect(self._on_paint)
            layer.mouse_drag_callbacks.insert(0, self._on_press)
        return layer

    def _replace(self, layer: Any, painted: NDArray[np.int32]) -> None:
        self._busy = True
        try:
            layer.data[...] = painted
            self._kept = painted
            layer.refresh(extent=False)
        finally:
            self._busy = False

    def _on_image(self) -> None:
        self._version, self.box = -1, None
        with self.session.guard():
            if self.session.record() is not None and self.session.region() is not None:
                self.refresh()

    def _on_annotation(self, image: str) -> None:
        if image == self.session.image and self.session.region() is not None:
            self.refresh()

    # --- strokes -------------------------------------------------------------------------------

    def _on_press(self, layer: Any, event: Any) -> None:
        image = self.session.image_layer()
        if image is not None:
            y, x = image.world_to_data(event.position)[-2:]
            self.begin_stroke((float(y), float(x)))

    def _on_paint(self, event: Any) -> None:
        """A stroke (or napari's own undo of one) is over: keep what it changed."""
        layer = self.layer()
        if self._busy or layer is None or self.box is None or event.source is not layer:
            return
        if layer.data.shape != self._kept.shape:
            return
        if event.type != "paint" and layer._block_history:
            return  # redrawn in the middle of a stroke; its end is still to come
        changed = Box.of_mask(self._kept != layer.data)
        if changed.empty:
            return
        inner = changed.slices
        before, after = self._kept[inner].copy(), np.array(layer.data[inner], np.int32)
        kept = False
        with self.session.acting():
            record, project = self.session.require_image(), self.session.require_project()
            outer = changed.shift(*self.box.origin)
            project.nuclei.paint(record.name, outer, before, after, PLANE)
            self._kept[inner], self._version, kept = after, self._latest(), True
        if not kept:
            self._replace(layer, self._kept.copy())
