"""The content of a file of annotation, whatever its format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.exchange.outlines import Polygon
from napari_noisyseg.slides import Box
from napari_noisyseg.store.records import Outline, State

Color = tuple[int, int, int]
"""Red, green and blue, 0..255."""

Role = Literal["nucleus", "annotation", "other"]
"""Detections and cells; what a person drew; tiles, cores and the whole image."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A point, a nucleus of one or more polygons, or something that is passed over.

    `points`: (n, 2) of y, x in level-0 pixels, pixel centres at integers (empty for polygons).
    `polygons`: outlines, corner-based x, y (empty for points). `where` names it in errors.
    `draw`: the pixels of a box, bool (h, w), where they are not those whose centres lie in the
    polygons, which then only say where it is. `state`: what a person decided, where it is told.
    `size`: of the image that it was drawn on (H, W), where the file says it. `left`: what it is if
    it is passed over, in the plural, for the word on what was left out.
    """

    kind: Literal["point", "polygon", "left"]
    points: NDArray[np.float64]
    polygons: tuple[Polygon, ...]
    class_name: str | None
    id: str | None
    role: Role
    where: str
    color: Color | None = None
    measurements: Mapping[str, float] = field(default_factory=dict)
    state: State | None = None
    draw: Callable[[Box], NDArray[np.bool_]] | None = None
    size: tuple[int, int] | None = None
    left: str = ""


@dataclass(frozen=True, slots=True)
class LabelFile:
    """A label image int32 (H, W), 0 = background; of some of its numbers the class and colour."""

    labels: NDArray[np.int32]
    classes: Mapping[int, str] = field(default_factory=dict)
    colors: Mapping[str, Color] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Points:
    """`places`: (n, 2) of y, x; what each is called in errors; and a word on what was left out."""

    places: NDArray[np.float64]
    classes: list[str | None]
    where: list[str]
    note: str = ""
    colors: Mapping[str, Color] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Masks:
    """Outlines with their classes, the colours that the file gives those classes, and a word on
    what was left out or taken apart.
    """

    outlines: list[Outline]
    classes: list[str | None]
    note: str = ""
    colors: Mapping[str, Color] = field(default_factory=dict)


def colors_of(shapes: Sequence[Shape]) -> dict[str, Color]:
    """The colour of each class; the first one if there are several."""
    found: dict[str, Color] = {}
    for shape in shapes:
        if shape.class_name is not None and shape.color is not None:
            found.setdefault(shape.class_name, shape.color)
    return found


def passed_over(where: str, what: str) -> Shape:
    """Something in a file that is neither a point nor an outline; `what` it is, in the plural."""
    nothing = np.zeros((0, 2))
    return Shape("left", nothing, (), None, None, "other", where, left=what)


def left_out(shapes: Sequence[Shape]) -> list[str]:
    """A word on each kind of thing that a file holds and that is passed over."""
    counts = Counter(shape.left for shape in shapes if shape.kind == "left")
    return [f"{count} {what} were left out" for what, count in counts.items()]
