"""What the formats share: a nucleus as it is written, and what is said of it in words."""

from __future__ import annotations

import math
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.bounded_json import WRONG
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.exchange.geojson import MAX_VERTICES
from napari_noisyseg.exchange.nuclei import ExportedImage
from napari_noisyseg.exchange.outlines import Polygon, Ring
from napari_noisyseg.exchange.rings import polygons_of
from napari_noisyseg.exchange.shapes import Color, Shape
from napari_noisyseg.slides import Box
from napari_noisyseg.store import Outline, State
from napari_noisyseg.store.records import STATES

UNNAMED = (153, 153, 153)
"""Colour of a class that has none, and of nuclei without a class."""
FARTHEST = 1e8
"""Pixels from the first one; no slide is as large."""
SCORE = "Score"
NO_POINTS: NDArray[np.float64] = np.zeros((0, 2))


class Row(NamedTuple):
    """A nucleus to write: (y, x) in level-0 pixels, polygons as x, y and corner-based."""

    id: str
    serial: int
    y: float
    x: float
    class_name: str | None
    state: State
    score: float | None
    run: str | None
    polygons: Sequence[Polygon]
    area: int
    outline: Outline
    comment: str = ""

    @property
    def box(self) -> Box:
        """The smallest box around it."""
        return self.outline.box

    def told(self) -> dict[str, str]:
        """What else is known of it, for formats that can hold text."""
        words = {"id": self.id, "label": str(self.serial), "state": self.state}
        if self.score is not None and math.isfinite(self.score):
            words["score"] = repr(self.score)
        beside = {"run": self.run or "", "comment": self.comment}
        return words | {key: value for key, value in beside.items() if value}


def rows(image: ExportedImage) -> Iterator[Row]:
    """The nuclei of an image by serial; a part of them is in memory at a time."""
    comments = image.project.nuclei.comments(image.record.name)
    for nuclei in image.in_order():
        polygons, areas = polygons_of(nuclei)
        for k, area in enumerate(areas.tolist()):
            yield Row(
                nuclei.ids[k], nuclei.serials[k], nuclei.y[k], nuclei.x[k], nuclei.classes[k],
                nuclei.states[k], nuclei.scores[k], nuclei.runs[k], polygons[k], area,
                nuclei.outline(k), comments.get(nuclei.ids[k], ""),
            )  # fmt: skip


def colors(image: ExportedImage) -> dict[str, Color]:
    """Red, green and blue of every class of the project."""
    found = {}
    for known in image.project.nuclei.classes():
        red, green, blue = bytes.fromhex(known.color[1:])
        found[known.name] = (red, green, blue)
    return found


def told_shape(
    polygons: Sequence[Polygon],
    where: str,
    class_name: str | None,
    color: Color | None,
    told: Mapping[str, str],
) -> Shape:
    """A nucleus that was read; wrong values in `told` (see `Row.told`) are ignored."""
    return Shape(
        kind="polygon",
        points=NO_POINTS,
        polygons=tuple(polygons),
        class_name=(class_name or "").strip() or None,
        id=_uuid(told.get("id")),
        role="annotation" if "label" not in told else "nucleus",
        where=where,
        color=color,
        measurements=_score(told.get("score")),
        state=next((state for state in STATES if state == told.get("state")), None),
    )


def ring_of(values: Any, where: str) -> Ring:
    """The closed ring of vertices [[x, y], …] or [x, y, x, y, …]; a third coordinate is left out.

    Raises `NoisySegError` where there are fewer than 3 or they are no places in an image.
    """
    try:
        flat = isinstance(values, list) and bool(values) and not isinstance(values[0], list)
        pairs = values if flat else [(v[0], v[1]) for v in values]
        ring = np.array(pairs)
        if ring.dtype.kind not in "iuf":
            raise TypeError
        ring = ring.astype(float).reshape(-1, 2)
    except WRONG as error:
        raise NoisySegError(f"{where} has coordinates that are not pairs of numbers") from error
    if not (np.isfinite(ring).all() and np.abs(ring).max(initial=0) <= FARTHEST):
        raise NoisySegError(f"{where} has coordinates that are not in an image")
    if len(ring) < 3:
        raise NoisySegError(f"{where} has an outline of fewer than 3 points: export it again")
    return ring if (ring[0] == ring[-1]).all() else np.vstack([ring, ring[:1]])


def check_vertices(rings: Iterable[Ring], path: Path) -> None:
    """Refuse files with more vertices than the memory holds."""
    if sum(map(len, rings)) > MAX_VERTICES:
        raise NoisySegError(f"{path} has more than {MAX_VERTICES:,} vertices: export it in parts")


def color_of(value: Any) -> Color | None:
    """[r, g, b] or #rrggbb; None for anything else."""
    if isinstance(value, str) and re.fullmatch("#[0-9a-fA-F]{6}", value):
        value = list(bytes.fromhex(value[1:]))
    if isinstance(value, list) and len(value) == 3 and all(type(v) is int for v in value):
        red, green, blue = (min(max(v, 0), 255) for v in value)
        return red, green, blue
    return None


def hex_of(color: Color) -> str:
    """#rrggbb of a colour."""
    return "#{:02x}{:02x}{:02x}".format(*color)


def _uuid(text: str | None) -> str | None:
    try:
        return str(uuid.UUID(text)) if text else None
    except ValueError:
        return None


def _score(text: str | None) -> dict[str, float]:
    try:
        score = float(text) if text else math.nan
    except ValueError:
        score = math.nan
    return {SCORE: score} if math.isfinite(score) else {}
