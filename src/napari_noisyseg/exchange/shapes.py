"""What a file of annotation holds, whatever its format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.exchange.outlines import Polygon
from napari_noisyseg.store.records import Outline

Role = Literal["nucleus", "annotation", "other"]
"""Detections and cells; what a person drew; tiles, cores and the whole image."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A point, or a nucleus of one or more polygons.

    `points`: (n, 2) of y, x in level-0 pixels, pixel centres at integers (empty for polygons).
    `polygons`: outlines, corner-based x, y (empty for points). `where` names it in errors.
    """

    kind: Literal["point", "polygon"]
    points: NDArray[np.float64]
    polygons: tuple[Polygon, ...]
    class_name: str | None
    id: str | None
    role: Role
    where: str
    color: tuple[int, int, int] | None = None
    measurements: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Points:
    """`places`: (n, 2) of y, x; what each is called in errors; and a word on what was left out."""

    places: NDArray[np.float64]
    classes: list[str | None]
    where: list[str]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Masks:
    """Outlines with their classes, and a word on what was left out or taken apart."""

    outlines: list[Outline]
    classes: list[str | None]
    note: str = ""
