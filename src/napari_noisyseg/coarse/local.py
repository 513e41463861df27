"""An outline for every point at once: a threshold of its own inside each Voronoi cell.

The evidence is z-scored hematoxylin density minus the distance to the point; the threshold is
mostly the cell's own (Otsu) and partly the image's, which depends on no point.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from napari_noisyseg.coarse.cells import Cells, union
from napari_noisyseg.coarse.morphology import Mask, disk, filled, holding, opened
from napari_noisyseg.method import BACKGROUND, NUCLEUS, UNKNOWN
from napari_noisyseg.slides import Box
from napari_noisyseg.stains import FIXED, densities

SMOOTH = 1.5
"""Gaussian sigma of the density, px of 0.25 µm."""
FALL = 15.0
"""Px of distance to the point that weigh as much as a standard deviation of density."""
REACH = 30
"""No outline reaches further than this many px from its point."""
OWN = 0.8
"""Weight of the cell's own threshold; the rest is the image's."""
OPENING = 2.0
"""Radius of the opening, px."""
BAND = 1.0
"""Half the width of the ignored band along an outline, px."""
GLOBAL_SHIFT = 0.5
"""Mean fall with distance that the image's threshold stands for."""

F32 = NDArray[np.float32]


def evidence(rgb: NDArray[np.uint8], scale: float) -> tuple[F32, float]:
    """Smoothed, z-scored hematoxylin density, float32 (H, W), and the image's threshold."""
    density = ndi.gaussian_filter(densities(rgb, FIXED)[0], SMOOTH * scale)
    spread = float(density.std())
    scored = ((density - density.mean()) / np.float32(max(spread, 1e-6))).astype(np.float32)
    return scored, otsu(scored.ravel()[:: max(1, scored.size // 50_000)]) - GLOBAL_SHIFT


def otsu(values: NDArray[np.floating]) -> float:
    """Otsu's threshold of any values (n,), exactly: the best of all n−1 splits, halfway."""
    ordered = np.sort(values).astype(np.float64)
    n = len(ordered)
    if n < 2 or ordered[0] == ordered[-1]:
        return float(ordered[0]) if n else 0.0
    below = np.arange(1, n)
    sums = np.cumsum(ordered)
    gap = sums[:-1] / below - (sums[-1] - sums[:-1]) / (n - below)
    k = int((below * (n - below) * gap * gap).argmax())
    return float((ordered[k] + ordered[k + 1]) / 2)


class LocalPlane:
    """Instances int32 (H, W), and as a training target uint8 (H, W)."""

    def __init__(self, rgb: NDArray[np.uint8], scale: float) -> None:
        self.scale = scale
        self.reach = round(REACH * scale)
        self.evidence, self.threshold = evidence(rgb, scale)
        self.instances = np.zeros(rgb.shape[:2], dtype=np.int32)

    def full(self, cells: Cells) -> NDArray[np.uint8]:
        """The target of a whole image; fills `instances` too."""
        self.instances.fill(0)
        plane = np.full(cells.shape, BACKGROUND if cells.points else UNKNOWN, dtype=np.uint8)
        for serial in cells.points:
            self._outline(plane, cells, serial)
        return plane

    def update(
        self, plane: NDArray[np.uint8], cells: Cells, changed: Box, owners: Iterable[int]
    ) -> Box:
        """Bring both up to date after pixels in `changed` got other owners; the box rewritten."""
        if changed.empty:
            return changed
        beyond = cells.squared[changed.slices] > self.reach**2
        plane[changed.slices][beyond] = BACKGROUND if cells.points else UNKNOWN
        self.instances[changed.slices][beyond] = 0
        looked = [self._outline(plane, cells, s) for s in owners if s in cells.points]
        return union([changed, *looked])

    def _outline(self, plane: NDArray[np.uint8], cells: Cells, serial: int) -> Box:
        """Write one nucleus into both planes; the box looked at."""
        box, cell = cells.crop(serial, self.reach)
        if not cell.any():
            return box
        y, x = cells.points[serial]
        nucleus = self._nucleus(cells, box, cell, (y - box.y0, x - box.x0))
        self.instances[box.slices][cell] = np.where(nucleus, serial, 0)[cell]
        plane[box.slices][cell] = _target(nucleus, BAND * self.scale)[cell]
        return box

    def _nucleus(self, cells: Cells, box: Box, cell: Mask, at: tuple[int, int]) -> Mask:
        distance = np.sqrt(cells.squared[box.slices].astype(np.float32))
        score = self.evidence[box.slices] - distance / np.float32(FALL * self.scale)
        threshold = OWN * otsu(score[cell]) + (1 - OWN) * self.threshold
        mask = opened(cell & (score > threshold), OPENING * self.scale) & cell
        component = filled(holding(mask, *at)) & cell
        if not component.any():
            component = cell & (cells.squared[box.slices] <= (2 * OPENING * self.scale) ** 2)
        return component


def _target(nucleus: Mask, band: float) -> NDArray[np.uint8]:
    """Core nucleus, a thin band along the outline unknown, the rest background."""
    element = disk(max(band, 1.0))
    target = np.full(nucleus.shape, BACKGROUND, dtype=np.uint8)
    target[ndi.binary_dilation(nucleus, element)] = UNKNOWN
    target[ndi.binary_erosion(nucleus, element)] = NUCLEUS
    return target
