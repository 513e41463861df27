"""The fields of the active image: rectangles in which every nucleus is promised to be marked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
from napari.layers import Shapes
from napari.layers.base import ActionType
from numpy.typing import NDArray
from psygnal import Signal

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.gui.canvas import layers, looks
from napari_noisyseg.gui.session import Session
from napari_noisyseg.slides import Box
from napari_noisyseg.store.records import Aspect, Field, ImageRecord

EDGE = 2.0
"""screen pixels"""
SMALLEST = 16
"""pixels; a rectangle smaller than this is a slip of the hand"""


class FieldsTool:
    """Adds, changes, removes and shows fields; boxes are level-0 pixels."""

    chosen = Signal(str)
    """a field was chosen on the canvas"""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.fields: list[Field] = []
        self._image: str | None = None
        self._version = -1
        self._quiet = False
        session.image_changed.connect(self.refresh)
        session.annotation_changed.connect(self._on_annotation)
        session.viewer.scene.camera.events.zoom.connect(self._on_zoom)
        self.refresh()

    # --- acts ----------------------------------------------------------------------------------

    def add(self, box: Box, complete: bool = True) -> Field | None:
        """Declare a field; None (and a notice) when that was not possible."""
        with self.session.acting():
            record, clipped = self.session.require_image(), self._checked(box)
            return self.session.require_project().nuclei.add_field(record.name, clipped, complete)
        return None

    def _checked(self, box: Box) -> Box:
        record = self.session.require_image()
        clipped = box.clip((record.height, record.width))
        if min(clipped.height, clipped.width) < SMALLEST:
            raise NoisySegError(
                f"a field of {clipped.width} x {clipped.height} pixels is too small: "
                f"draw at least {SMALLEST} x {SMALLEST} on the image"
            )
        return clipped

    def add_whole(self) -> Field | None:
        """Declare the whole image one field."""
        with self.session.guard():
            record = self.session.require_image()
            return self.add(Box(0, 0, record.height, record.width))
        return None

    def remove(self, field_id: str) -> None:
        """Take a field away; the points in it stay."""
        with self.session.acting():
            self.session.require_project().nuclei.remove_field(field_id)

    def declare(self, field_id: str, complete: bool) -> None:
        """Promise that every nucleus of a field is marked, or take the promise back."""
        with self.session.acting():
            self.session.require_project().nuclei.change_field(field_id, complete=complete)

    def choose(self, field_id: str | None) -> None:
        """Mark one field on the canvas as the chosen one; None for no field."""
        layer = self.layer()
        if layer is not None:
            ids = [str(i) for i in layer.features["field"]]
            with self._quietly():
                layer.selected_data = {ids.index(field_id)} if field_id in ids else set()

    def selected(self) -> str | None:
        """The field that is chosen on the canvas, where its layer is the one at work."""
        layer = self.layer()
        if layer is None or self.session.viewer.layers.selection.active is not layer:
            return None
        ids = list(layer.features["field"])
        return next((str(ids[i]) for i in sorted(layer.selected_data) if i < len(ids)), None)

    def layer(self) -> Any | None:
        """The layer that shows the fields, or None."""
        return layers.find(self.session.viewer, self._image, "fields") if self._image else None

    def drawing(self) -> Any:
        """The layer, ready for a rectangle to be drawn; the image is taken into the project."""
        record = self.session.require_image()
        layer = self.layer() or self._shown(record)
        self.session.viewer.layers.selection = {layer}
        layer.mode = "add_rectangle"
        return layer

    # --- showing -------------------------------------------------------------------------------

    def refresh(self, force: bool = False) -> None:
        """Show what the project holds, where that is not shown yet."""
        project, record = self.session.project, self.session.record()
        self._image = record.name if record is not None else None
        if project is None or record is None:
            self.fields, self._version = [], -1
            return
        version = project.nuclei.version(record.name, Aspect.FIELDS | Aspect.IMAGES)
        if not force and self._version == version and self.layer() is not None:
            return
        self._version = version
        fields = project.nuclei.fields(record.name)
        if force or fields != self.fields or (fields and self.layer() is None):
            self.fields = fields
            self._shown(record)

    def _on_annotation(self, image: str) -> None:
        if image == (self._image or self.session.image):
            self.refresh()

    def _shown(self, record: ImageRecord) -> Any:
        with self._quietly():
            layer = layers.find(self.session.viewer, record.name, "fields")
            layer = self._make(record) if layer is None else layer
            layer.selected_data = set()
            if layer.nshapes:
                layer.data = []
            if self.fields:
                layer.current_edge_width = self._edge(record)
                layer.add(
                    [_corners(field.box) for field in self.fields],
                    shape_type="rectangle",
                    edge_color=[looks.field(f.complete) for f in self.fields],
                )
            layer.current_edge_color = looks.FIELD
            layer.features = _features(self.fields)
        return layer

    def _make(self, record: ImageRecord) -> Any:
        viewer = self.session.viewer
        layer = Shapes(
            None,
            ndim=2,
            name=layers.name_of(record, "fields"),
            features=_features([]),
            feature_defaults={"field": "", "words": ""},
            text=looks.FIELD_TEXT,
            opacity=1.0,
            face_color="#00000000",
            edge_color=looks.FIELD,
            edge_width=self._edge(record),
            **layers.geometry(viewer, record),
        )
        layer.events.data.connect(self._on_data)
        layer.selected_data.events.items_changed.connect(self._on_selected)
        return layers.insert(viewer, layer, record, "fields")

    def _edge(self, record: ImageRecord) -> float:
        """Width of a field's edge in pixels: EDGE screen pixels at the zoom of now."""
        return EDGE / (float(self.session.viewer.scene.camera.zoom) * record.mpp)

    def _on_zoom(self) -> None:
        """Keep the edges thin on the screen; a quarter more or less is not redrawn."""
        record, layer = self.session.record(), self.layer()
        if record is None or layer is None or not self.fields:
            return
        wanted, now = self._edge(record), float(layer.edge_width[0])
        if not 0.8 < wanted / now < 1.25:
            with self._quietly():
                layer.edge_width = wanted

    @contextmanager
    def _quietly(self) -> Iterator[None]:
        before, self._quiet = self._quiet, True
        try:
            yield
        finally:
            self._quiet = before

    # --- what was drawn, and what was chosen ------------------------------------------------------

    def _on_data(self, event: Any) -> None:
        if self._quiet or event.action not in (
            ActionType.ADDED,
            ActionType.CHANGED,
            ActionType.REMOVED,
        ):
            return
        layer = self.layer()
        if layer is None or event.source is not layer:
            return
        drawn = event.action == ActionType.ADDED
        with self.session.acting(), self.session.require_project().nuclei.together("change fields"):
            self._write_through(layer)
        self.refresh(force=True)
        if drawn:
            layer.mode = "pan_zoom"

    def _on_selected(self) -> None:
        chosen = self.selected()
        if chosen is not None and not self._quiet:
            self.chosen.emit(chosen)

    def _write_through(self, layer: Any) -> None:
        nuclei = self.session.require_project().nuclei
        record = self.session.require_image()
        ids = [str(i) for i in layer.features["field"]]
        drawn = dict(zip(ids, layer.data, strict=True))
        for field in self.fields:
            if field.id not in drawn:
                nuclei.remove_field(field.id)
            elif (box := self._checked(_box(drawn[field.id]))) != field.box:
                nuclei.change_field(field.id, box)
        known = {field.id for field in self.fields}
        for name, corners in zip(ids, layer.data, strict=True):
            if name not in known:
                nuclei.add_field(record.name, self._checked(_box(corners)))


def _features(fields: list[Field]) -> pd.DataFrame:
    """What each shape carries: its field, and what is written at it."""
    words = [
        f"{number}" if field.complete else f"{number} · not all marked"
        for number, field in enumerate(fields, 1)
    ]
    return pd.DataFrame({"field": [f.id for f in fields], "words": words}, dtype=object)


def _corners(box: Box) -> NDArray[np.float64]:
    """A box as napari draws it: pixel centres are at integers, so its edge is at -0.5."""
    y0, x0, y1, x1 = (float(v) - 0.5 for v in box)
    return np.array([[y0, x0], [y0, x1], [y1, x1], [y1, x0]])


def _box(corners: NDArray[Any]) -> Box:
    low, high = np.floor(np.min(corners, axis=0) + 1), np.floor(np.max(corners, axis=0) + 1)
    return Box(int(low[0]), int(low[1]), int(high[0]), int(high[1]))
