"""Nuclei too small on the screen for outlines: a dot each, or how many there are in an area.

Places are (n, 2) of (y, x) in level-0 pixels. Knows no Qt and no napari.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from napari_noisyseg.slides import Box

Form = Literal["dots", "density"]
Places = NDArray[np.floating]

NUCLEUS_UM = 8.0
"""diameter of a usual nucleus"""
LEGIBLE = 8.0
"""screen pixels of a nucleus from which on its outline can be read"""
APART = 5.0
"""screen pixels: two dots nearer than about this cannot be told from each other"""
ALONE = 0.6
"""share of nuclei that must be so far apart for dots"""
MOST = 30_000
"""dots that are drawn at most"""
CELL = 9.0
"""screen pixels of a density map's cell, at least"""
BLUR = 1.0
"""cells, standard deviation"""
AREA_UM = 64.0
"""side of the squares over which an image's highest density is measured, at least"""
HIGH = 98.0
"""percentile of the squares with nuclei that has the density map's last colour"""


def legible(zoom: float) -> bool:
    """Whether outlines can be read at so many screen pixels to the µm."""
    return zoom * NUCLEUS_UM >= LEGIBLE


def inside(places: Places, box: Box) -> NDArray[np.bool_]:
    """Which places lie in a box, bool (n,)."""
    y, x = places[:, 0] + 0.5, places[:, 1] + 0.5
    return np.asarray((y >= box.y0) & (y < box.y1) & (x >= box.x0) & (x < box.x1))


def form_of(places: Places, pixel: float) -> Form:
    """How nuclei are to be drawn; `pixel`: level-0 pixels of one on the screen."""
    if len(places) > MOST:
        return "density"
    cells = np.floor(places / (APART * pixel)).astype(np.int64)
    apart = len(np.unique(cells[:, 0] << 32 | cells[:, 1])) >= ALONE * len(places)
    return "dots" if apart else "density"


@dataclass(frozen=True, slots=True, eq=False)
class Density:
    """Nuclei per mm², float32 (h, w), on cells `step` level-0 pixels wide from `origin` on."""

    values: NDArray[np.float32]
    origin: tuple[int, int]
    step: int


def cell_of(pixel: float) -> int:
    """Side of a density map's cells in level-0 pixels: a power of two, so that few zooms change it.

    pixel: level-0 pixels of one on the screen.
    """
    return 1 << max(0, math.ceil(math.log2(max(CELL * pixel, 1.0))))


def density(places: Places, box: Box, step: int, mpp: float) -> Density:
    """How densely nuclei lie in a box, on a lattice that stays where it is as the box moves."""
    margin = math.ceil(4 * BLUR)  # what lies beside the box is seen in it, blurred
    low = [v // step - margin for v in box.origin]
    high = [-(-v // step) + margin for v in (box.y1, box.x1)]
    counts = counted(places, Box(low[0], low[1], high[0], high[1]), step)
    per_mm2 = counts / (step * mpp / 1000) ** 2
    blurred = ndi.gaussian_filter(per_mm2, BLUR, mode="constant")
    kept = blurred[margin:-margin, margin:-margin].astype(np.float32)
    return Density(kept, ((low[0] + margin) * step, (low[1] + margin) * step), step)


def within(found: Density, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Which cells have their middle in an image of (height, width), bool (h, w)."""
    middles = (
        low + (np.arange(count) + 0.5) * found.step
        for low, count in zip(found.origin, found.values.shape, strict=True)
    )
    rows, columns = ((at >= 0) & (at < size) for at, size in zip(middles, shape, strict=True))
    return np.asarray(rows[:, None] & columns)


def counted(places: Places, cells: Box, step: float) -> NDArray[np.float32]:
    """Nuclei in each of some cells, `step` level-0 pixels wide; float32 (h, w)."""
    at = np.floor((places + 0.5) / step).astype(np.int64) - cells.origin
    known = ((at >= 0) & (at < cells.shape)).all(axis=1)
    flat = np.ravel_multi_index(tuple(at[known].T), cells.shape)
    found = np.bincount(flat, minlength=cells.height * cells.width)
    return found.reshape(cells.shape).astype(np.float32)


def highest(places: Places, step: int, mpp: float) -> float:
    """Nuclei per mm² where they lie densely in an image, as a round number; 0 without any.

    Of cells `step` level-0 pixels wide, or as large as `AREA_UM`, lest chance has a say in it.
    """
    if not len(places):
        return 0.0
    side = max(AREA_UM / mpp, step)
    cells = np.floor((places + 0.5) / side).astype(np.int64)
    _, counts = np.unique(cells[:, 0] << 32 | cells[:, 1], return_counts=True)
    return rounded(float(np.percentile(counts, HIGH)) / (side * mpp / 1000) ** 2)


def rounded(value: float) -> float:
    """Up to the next number with one digit, or 1.5: a legend's."""
    if value <= 0:
        return 0.0
    ten = 10.0 ** math.floor(math.log10(value) + 1e-9)
    steps = (1, 1.5, *range(2, 11))
    return float(next(n for n in steps if n * ten >= value * (1 - 1e-9)) * ten)
