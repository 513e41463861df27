"""Exact digital Voronoi cells of points, kept up to date one point at a time.

A point stands at the centre of its pixel, so squared distances are integers and ties are exact:
a pixel at the same distance from two points belongs to the lower serial.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from napari_noisyseg.slides import Box

NOBODY = 0
"""Value in `Cells.owner` where there is no point at all."""
FAR = np.int32(2**31 - 1)
"""Squared distance where there is no point at all."""

Pixel = tuple[int, int]


class Cells:
    """Nearest point of every pixel: `owner` int32 (H, W) serials, `squared` int32 (H, W) px²."""

    def __init__(self, shape: tuple[int, int], points: Mapping[int, Pixel]) -> None:
        self.shape = shape
        self.points = dict(points)
        self.owner = np.full(shape, NOBODY, dtype=np.int32)
        self.squared = np.full(shape, FAR, dtype=np.int32)
        if points:
            self._build()

    def _build(self) -> None:
        """All at once: distances by a distance transform, then owners cell by cell.

        The transform breaks ties as it pleases, so only its distances are used. The lower serial
        is written later and takes the ties.
        """
        free = np.ones(self.shape, dtype=bool)
        for y, x in self.points.values():
            free[y, x] = False
        nearest = ndi.distance_transform_edt(free, return_distances=False, return_indices=True)
        rows, columns = np.ogrid[: self.shape[0], : self.shape[1]]
        self.squared = ((nearest[0] - rows) ** 2 + (nearest[1] - columns) ** 2).astype(np.int32)
        for serial in sorted(self.points, reverse=True):
            pixel = self.points[serial]
            box = self._reach(pixel)
            mine = distance_squared(box, pixel) == self.squared[box.slices]
            self.owner[box.slices][mine] = serial

    def _reach(self, pixel: Pixel) -> Box:
        """A box that holds the whole cell of a point that has been, or is to be, put in.

        A cell is convex and holds its point; so if no place on a ring around the point belongs to
        it, neither does any place outside. Distances change by at most 1 from a ring pixel to the
        places half a pixel off, for each of the two points compared.
        """
        radius, side = 16, max(self.shape)
        while radius < side:
            box = around(pixel, radius, self.shape)
            if not any(self._owns(strip, pixel) for strip in _ring(pixel, radius, self.shape)):
                return box
            radius *= 2
        return Box(0, 0, *self.shape)

    def _owns(self, strip: Box, pixel: Pixel) -> bool:
        mine = np.sqrt(distance_squared(strip, pixel))
        return bool((mine <= np.sqrt(self.squared[strip.slices]) + 1.0).any())

    def crop(self, serial: int, reach: int) -> tuple[Box, NDArray[np.bool_]]:
        """The part of a point's cell within `reach` px of it: a box around it and bool (h, w)."""
        box = around(self.points[serial], reach, self.shape)
        owned = self.owner[box.slices] == serial
        return box, owned & (self.squared[box.slices] <= reach * reach)

    def add(self, serial: int, pixel: Pixel) -> tuple[Box, set[int]]:
        """Put a point in; the box of pixels that changed hands, and the owners concerned."""
        self.points[serial] = pixel
        box = self._reach(pixel)
        owner, squared = self.owner[box.slices], self.squared[box.slices]
        distance = distance_squared(box, pixel)
        won = (distance < squared) | (
            (distance == squared) & ((serial < owner) | (owner == NOBODY))
        )
        owners = set(np.unique(owner[won]).tolist()) - {NOBODY}
        owner[won] = serial
        squared[won] = distance[won]
        return Box.of_mask(won, box.origin), owners | {serial}

    def remove(self, serial: int) -> tuple[Box, set[int]]:
        """Take a point out; the box of pixels that changed hands, and the owners concerned."""
        pixel = self.points[serial]
        box = self._reach(pixel)
        del self.points[serial]
        lost = self.owner[box.slices] == serial
        changed = Box.of_mask(lost, box.origin)
        if changed.empty:
            return changed, set()
        where = self.owner[changed.slices] == serial
        rows, columns = np.nonzero(where)
        rows += changed.y0
        columns += changed.x0
        owner, squared = self._nearest(rows, columns, pixel)
        self.owner[changed.slices][where] = owner
        self.squared[changed.slices][where] = squared
        return changed, set(np.unique(owner).tolist()) - {NOBODY}

    def _nearest(
        self, rows: NDArray[np.intp], columns: NDArray[np.intp], left: Pixel
    ) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Owner and squared distance of the pixels of a cell whose point, `left`, has gone."""
        owner = np.full(len(rows), NOBODY, dtype=np.int32)
        squared = np.full(len(rows), FAR, dtype=np.int32)
        for serial in self._heirs(rows, columns, left):
            y, x = self.points[serial]
            distance = ((rows - y) ** 2 + (columns - x) ** 2).astype(np.int32)
            won = distance < squared
            owner[won] = serial
            squared[won] = distance[won]
        return owner, squared

    def _heirs(self, rows: NDArray[np.intp], columns: NDArray[np.intp], left: Pixel) -> list[int]:
        """Serials, ascending, of all points that can own a pixel of the cell of `left`.

        A pixel at distance a from `left` has some point within a + b, b the distance from `left`
        to the point nearest to it; so its owner lies within 2a + b of `left`.
        """
        if not self.points:
            return []
        serials = np.array(sorted(self.points))
        places = np.array([self.points[s] for s in serials.tolist()])
        away = np.hypot(*(places - np.array(left)).T)
        reach = np.sqrt(((rows - left[0]) ** 2 + (columns - left[1]) ** 2).max())
        chosen: list[int] = serials[away <= 2 * reach + away.min() + 1e-6].tolist()
        return chosen


def distance_squared(box: Box, pixel: Pixel) -> NDArray[np.int32]:
    """Squared distance in px² from `pixel` of every pixel of a box, int32 (h, w)."""
    rows = np.arange(box.y0 - pixel[0], box.y1 - pixel[0], dtype=np.int32)
    columns = np.arange(box.x0 - pixel[1], box.x1 - pixel[1], dtype=np.int32)
    squared: NDArray[np.int32] = np.add.outer(rows * rows, columns * columns)
    return squared


def around(pixel: Pixel, radius: int, shape: tuple[int, int]) -> Box:
    """The square of half-side `radius` around a pixel, inside the image."""
    y, x = pixel
    return Box(
        max(y - radius, 0),
        max(x - radius, 0),
        min(y + radius + 1, shape[0]),
        min(x + radius + 1, shape[1]),
    )


def _ring(pixel: Pixel, radius: int, shape: tuple[int, int]) -> Iterable[Box]:
    """The four sides of that square, as far as they lie inside the image."""
    y, x = pixel
    box = around(pixel, radius, shape)
    if y - radius >= 0:
        yield Box(box.y0, box.x0, box.y0 + 1, box.x1)
    if y + radius < shape[0]:
        yield Box(box.y1 - 1, box.x0, box.y1, box.x1)
    if x - radius >= 0:
        yield Box(box.y0, box.x0, box.y1, box.x0 + 1)
    if x + radius < shape[1]:
        yield Box(box.y0, box.x1 - 1, box.y1, box.x1)
