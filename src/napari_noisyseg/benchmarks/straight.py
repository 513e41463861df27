"""Coarse labels the straight way: each nucleus by operations on the full frame.

The yardstick of the `coarse` benchmark. It does what the papers' published code does for each
nucleus, with the operations of `coarse` and to the same result, but on the full frame.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from ..coarse import CoarseLabels
from ..coarse.cells import Cells
from ..coarse.cluster import LARGEST, OPENING, SMALL, ClusterPlane, smoothed
from ..coarse.contours import Contours
from ..coarse.evidence import evidence
from ..coarse.morphology import disk, filled, holding, opened, without_small
from ..coarse.voronoi import DISK, borders
from ..slides import Box

Points = Mapping[int, tuple[float, float]]
Plane = NDArray[np.uint8]


class Straight:
    """The three labels at 0.25 µm/px over one image that is known throughout."""

    def __init__(self, rgb: Plane, points: Points, fit: dict[str, object]) -> None:
        self.shape = (rgb.shape[0], rgb.shape[1])
        self.rows, self.columns = np.mgrid[: self.shape[0], : self.shape[1]]
        self.points = {s: (int(y), int(x)) for s, (y, x) in points.items()}
        self.cells = Cells(self.shape, {})
        self.colours, self.evidence, self.threshold = smoothed(rgb, 1.0), *evidence(rgb, 1.0)
        self.contours = Contours(1.0)
        self.assigning = ClusterPlane(self.colours, 1.0, fit)
        self.voronoi = np.full(self.shape, 2, np.uint8)
        self.cluster = np.full(self.shape, 2, np.uint8)
        self.local = np.zeros(self.shape, np.uint8)
        self.instances = np.zeros(self.shape, np.int32)

    def nearest(self, serial: int) -> None:
        """Every pixel compared with one point; the lower serial comes first and keeps ties."""
        squared = self._squared(serial)
        closer = squared < self.cells.squared
        self.cells.owner[closer] = serial
        self.cells.squared[closer] = squared[closer]

    def whole(self) -> None:
        """What no nucleus needs for itself: borders, clusters of all pixels, background."""
        frame = Box(0, 0, *self.shape)
        self.cells.points = dict(self.points)
        self.assigning._assign(self.cells, frame)
        self.assigning._compose(self.cluster, self.cells, frame)
        self.voronoi[borders(self.cells.owner, frame)] = 0

    def nucleus(self, serial: int) -> None:
        """One nucleus in all three labels."""
        squared, cell = self._squared(serial), self.cells.owner == serial
        self.voronoi[(squared <= DISK**2) & (self.voronoi != 0)] = 1
        self.voronoi[self.points[serial]] = 1
        self._clustered(cell, squared)
        self._outlined(serial, cell)

    def _clustered(self, cell: NDArray[np.bool_], squared: NDArray[np.int64]) -> None:
        mask = cell & (self.assigning.assigned == self.assigning.fit["nucleus"])
        mask &= squared <= (LARGEST * self.assigning.radius) ** 2
        mask = filled(without_small(opened(mask, OPENING), SMALL))
        self.cluster[ndi.binary_erosion(mask, disk(1)) & cell] = 1

    def _outlined(self, serial: int, cell: NDArray[np.bool_]) -> None:
        pixel = self.points[serial]
        radii = self.contours.radii(self.evidence, self.threshold, self.cells, [serial])[0]
        box, inside = self.contours.mask(radii, pixel, self.shape, margin=0)
        mask = np.zeros(self.shape, bool)
        mask[box.slices] = inside
        mask = filled(holding(mask & cell, *pixel)) & cell
        self.instances[mask] = serial
        self.local[ndi.binary_dilation(mask, disk(1)) & cell] = 2
        self.local[ndi.binary_erosion(mask, disk(1)) & cell] = 1

    def _squared(self, serial: int) -> NDArray[np.int64]:
        y, x = self.points[serial]
        squared: NDArray[np.int64] = (self.rows - y) ** 2 + (self.columns - x) ** 2
        return squared


def seconds(rgb: Plane, points: Points, labels: CoarseLabels, timed: int) -> float:
    """What all nuclei take, from the first `timed` ones spread evenly over `points`."""
    start = time.perf_counter()
    straight = Straight(rgb, points, labels.fit)
    chosen = np.linspace(0, len(points) - 1, timed).round().astype(int)
    serials = np.array(sorted(points))[chosen].tolist()
    once = time.perf_counter() - start
    start = time.perf_counter()
    for serial in serials:
        straight.nearest(serial)
    each = time.perf_counter() - start
    start = time.perf_counter()
    straight.cells.owner[...], straight.cells.squared[...] = labels.cells, _squared_of(labels)
    straight.whole()
    once += time.perf_counter() - start
    start = time.perf_counter()
    for serial in serials:
        straight.nucleus(serial)
    each += time.perf_counter() - start
    return once + each * len(points) / len(serials)


def _squared_of(labels: CoarseLabels) -> NDArray[np.int32]:
    """Squared distances, as a run over all points would have left them."""
    return Cells(labels.shape, labels.places).squared
