"""The fields of the image in front: rectangles in which every nucleus is promised to be marked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from napari.layers import Shapes
from numpy.typing import NDArray

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.gui.canvas import layers, looks
from napari_noisyseg.gui.change import FRONT, Change, What
from napari_noisyseg.gui.session import Session
from napari_noisyseg.gui.tools.hand import Place, Press
from napari_noisyseg.slides import Box
from napari_noisyseg.store.records import Field, ImageRecord

EDGE, TEXT = 2.0, (20.0, 6.0)
"""screen pixels: width of an edge, and from a corner down and right to the words"""
SMALLEST = 16
"""pixels; a rectangle smaller than this is a slip of the hand"""
SHOWN = What.FIELDS | What.IMAGES | FRONT


@dataclass(frozen=True, slots=True)
class Grasp:
    """Which edges of which field are held: -1 the low one, 1 the high one, 0 none, by axis."""

    field: Field
    rows: int
    columns: int


class FieldsTool:
    """Adds, changes, removes and shows fields; boxes are level-0 pixels.

    `chosen` is the id of the field that a person chose, on the canvas or in the list.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.fields: list[Field] = []
        self.chosen: str | None = None
        self._draft: Box | None = None
        session.on(SHOWN | What.VIEW, self._follow)
        session.viewer.scene.camera.events.zoom.connect(self._on_zoom)
        self.refresh()

    # --- acts ----------------------------------------------------------------------------------

    def add(self, box: Box, complete: bool = True) -> Field | None:
        """Declare a field; None (and a notice) when that was not possible."""
        field = None
        with self.session.acting():
            record, clipped = self.session.require_image(), self._checked(box)
            field = self.session.require_project().nuclei.add_field(record.name, clipped, complete)
            self.chosen = field.id
        return field

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

    def change(self, field_id: str, box: Box) -> None:
        """Give a field another box."""
        with self.session.acting():
            self.session.require_project().nuclei.change_field(field_id, self._checked(box))

    def remove(self, field_id: str) -> None:
        """Take a field away; the points in it stay."""
        with self.session.acting():
            self.session.require_project().nuclei.remove_field(field_id)

    def declare(self, field_id: str, complete: bool) -> None:
        """Promise that every nucleus of a field is marked, or take the promise back."""
        with self.session.acting():
            self.session.require_project().nuclei.change_field(field_id, complete=complete)

    def choose(self, field_id: str | None) -> None:
        """Mark one field as the chosen one; None for no field."""
        known = {field.id for field in self.fields}
        chosen = field_id if field_id in known else None
        if chosen != self.chosen:
            self.chosen = chosen
            self._redraw()
            self.session.tell(What.VIEW)

    def layer(self) -> Any | None:
        """The layer that shows the fields, or None."""
        image = self.session.image
        return layers.find(self.session.viewer, image, "fields") if image else None

    # --- the mouse -----------------------------------------------------------------------------

    def press(self, press: Press) -> _FieldDrag | None:
        """A drag draws a field, or moves the edge or corner that it begins on."""
        if press.right:
            return None
        start = self.session.front.at(press.position)
        self.session.require_image()
        return _FieldDrag(self, start, self.grasp(start, press.reach))

    def cursor(self) -> tuple[str, float]:
        """See `Tool`."""
        return "crosshair", 1.0

    def grasp(self, place: Place, reach: float) -> Grasp | None:
        """The edge or corner of a field within `reach` pixels of a place, if any."""
        for field in reversed(self.fields):
            box, (y, x) = field.box, place
            inside = box.grow(round(reach) + 1).contains(y, x)
            rows = _nearer(y, box.y0 - 0.5, box.y1 - 0.5, reach)
            columns = _nearer(x, box.x0 - 0.5, box.x1 - 0.5, reach)
            if inside and (rows or columns):
                return Grasp(field, rows, columns)
        return None

    def at(self, place: Place) -> Field | None:
        """The field that a place lies in, the last drawn where several do."""
        return next((f for f in reversed(self.fields) if f.box.contains(*place)), None)

    def draft(self, box: Box | None) -> None:
        """Show a rectangle that is being drawn; None takes it away."""
        if box != self._draft:
            self._draft = box
            self._redraw()

    # --- showing -------------------------------------------------------------------------------

    def _follow(self, change: Change) -> None:
        if change.what & SHOWN and change.concerns(self.session.image):
            self.refresh()
        elif self.fields and self.layer() is None and self.session.view.shows("fields"):
            self._redraw()

    def refresh(self) -> None:
        """Show what the project holds."""
        project, record = self.session.project, self.session.record()
        here = project is not None and record is not None
        self.fields = project.nuclei.fields(record.name) if here else []  # type: ignore[union-attr]
        if self.chosen not in {field.id for field in self.fields}:
            self.chosen = None
        self._redraw()

    def _redraw(self) -> None:
        record = self.session.record()
        if record is None:
            return
        layer, boxes = self.layer(), [field.box for field in self.fields]
        if layer is None:
            if not boxes and self._draft is None:
                return
            layer = self._make(record)
        boxes += [self._draft] if self._draft is not None else []
        words = _words(self.fields) + [""] * (self._draft is not None)
        if layer.nshapes:
            layer.data = []
        if boxes:
            layer.add(
                [_corners(box) for box in boxes],
                shape_type="rectangle",
                edge_color=self._colours(len(boxes)),
                edge_width=self._edge(record),
            )
        layer.features = _features(words)

    def _colours(self, count: int) -> list[str]:
        found = [
            looks.CHOSEN if field.id == self.chosen else looks.field(field.complete)
            for field in self.fields
        ]
        return found + [looks.FIELD] * (count - len(found))

    def _make(self, record: ImageRecord) -> Any:
        viewer = self.session.viewer
        layer = Shapes(
            None,
            ndim=2,
            name=layers.name_of(record, "fields"),
            features=_features([]),
            feature_defaults={"words": ""},
            text={**looks.FIELD_TEXT, "translation": self._text_at(record)},
            opacity=1.0,
            face_color=looks.CLEAR,
            edge_color=looks.FIELD,
            edge_width=self._edge(record),
            **layers.geometry(viewer, record),
        )
        layer.editable = False
        return layers.insert(viewer, layer, record, "fields")

    def _edge(self, record: ImageRecord) -> float:
        """Width of a field's edge in pixels: EDGE screen pixels at the zoom of now."""
        return EDGE * self._pixel(record)

    def _text_at(self, record: ImageRecord) -> tuple[float, float]:
        """From a field's corner to its words, (y, x): napari puts these above, we inside."""
        return TEXT[0] * self._pixel(record), TEXT[1] * self._pixel(record)

    def _pixel(self, record: ImageRecord) -> float:
        """A screen pixel at the zoom of now, in pixels of the image."""
        return 1 / (float(self.session.viewer.scene.camera.zoom) * record.mpp)

    def _on_zoom(self) -> None:
        """Keep the edges thin on the screen; a quarter more or less is not redrawn."""
        record, layer = self.session.record(), self.layer()
        if record is None or layer is None or not layer.nshapes:
            return
        wanted, now = self._edge(record), float(layer.edge_width[0])
        if not 0.8 < wanted / now < 1.25:
            layer.edge_width = wanted
            layer.events.edge_width()  # napari does not tell by itself, and draws the old width on
            layer.text.translation = self._text_at(record)


class _FieldDrag:
    """One press with the field tool."""

    holds = True

    def __init__(self, tool: FieldsTool, start: Place, grasp: Grasp | None) -> None:
        self._tool, self._start, self._grasp = tool, start, grasp

    def move(self, place: Place) -> None:
        self._tool.draft(self._box(place))

    def end(self, place: Place, moved: bool) -> None:
        tool = self._tool
        tool.draft(None)
        if not moved:
            found = tool.at(place)
            tool.choose(found.id if found is not None else None)
        elif self._grasp is not None:
            tool.change(self._grasp.field.id, self._box(place))
        elif tool.add(self._box(place)) is not None:
            # a field is drawn once; what comes next are the nuclei in it
            tool.session.look(tool="points")

    def _box(self, place: Place) -> Box:
        grasp = self._grasp
        if grasp is None:
            return _box(np.array([self._start, place]))
        box, (y, x) = grasp.field.box, (round(v + 0.5) for v in place)
        rows, columns = [box.y0, box.y1], [box.x0, box.x1]
        if grasp.rows:
            rows[grasp.rows > 0] = y
        if grasp.columns:
            columns[grasp.columns > 0] = x
        return Box(min(rows), min(columns), max(rows), max(columns))


def _nearer(value: float, low: float, high: float, reach: float) -> int:
    """-1 or 1 for the end that a value lies within `reach` of, 0 for neither."""
    if min(abs(value - low), abs(value - high)) > reach:
        return 0
    return -1 if abs(value - low) <= abs(value - high) else 1


def _words(fields: list[Field]) -> list[str]:
    """What is written at each field."""
    return [
        f"{number}" if field.complete else f"{number} · not all marked"
        for number, field in enumerate(fields, 1)
    ]


def _features(words: list[str]) -> pd.DataFrame:
    return pd.DataFrame({"words": words}, dtype=object)


def _corners(box: Box) -> NDArray[np.float64]:
    """A box as napari draws it: pixel centres are at integers, so its edge is at -0.5."""
    y0, x0, y1, x1 = (float(v) - 0.5 for v in box)
    return np.array([[y0, x0], [y0, x1], [y1, x1], [y1, x0]])


def _box(corners: NDArray[Any]) -> Box:
    low, high = np.floor(np.min(corners, axis=0) + 1), np.floor(np.max(corners, axis=0) + 1)
    return Box(int(low[0]), int(low[1]), int(high[0]), int(high[1]))
