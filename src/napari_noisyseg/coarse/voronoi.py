"""The Voronoi label of SC-Net (Lin et al., II-A): cell borders background, a disk nucleus."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.coarse.cells import Cells, around, distance_squared
from napari_noisyseg.coarse.morphology import Mask
from napari_noisyseg.method import BACKGROUND, NUCLEUS, UNKNOWN
from napari_noisyseg.slides import Box

DISK = 2.0
"""Radius of the nucleus disk, in px of 0.25 µm."""


class VoronoiPlane:
    """uint8 (H, W): 0 on borders between cells, 1 within `DISK` of a point, 2 elsewhere.

    A border wins over a disk, so that close nuclei stay apart, but not over a point's own pixel.
    """

    def __init__(self, scale: float) -> None:
        self.radius = max(DISK * scale, 0.5)

    def full(self, cells: Cells) -> NDArray[np.uint8]:
        """The plane of a whole image."""
        plane = np.full(cells.shape, UNKNOWN, dtype=np.uint8)
        self._write(plane, cells, Box(0, 0, *cells.shape), cells.points)
        return plane

    def update(
        self,
        plane: NDArray[np.uint8],
        cells: Cells,
        changed: Box,
        pixels: Iterable[tuple[int, int]],
    ) -> Box:
        """Bring the plane up to date after pixels in `changed` got other owners; the box rewritten.

        pixels: where points came or went.
        """
        reach = int(self.radius) + 1
        moved = [] if changed.empty else [changed.grow(1)]
        places = [around(pixel, reach, cells.shape) for pixel in pixels]
        box = Box.around([*moved, *places]).clip(cells.shape)
        wide = box.grow(reach)
        near = [serial for serial, pixel in cells.points.items() if wide.contains(*pixel)]
        plane[box.slices] = UNKNOWN
        self._write(plane, cells, box, near)
        return box

    def _write(
        self, plane: NDArray[np.uint8], cells: Cells, box: Box, serials: Iterable[int]
    ) -> None:
        pixels = [cells.points[serial] for serial in serials]
        for pixel in pixels:
            part = around(pixel, int(self.radius), cells.shape).intersect(box)
            if not part.empty:
                inside = distance_squared(part, pixel) <= self.radius**2
                plane[part.slices][inside] = NUCLEUS
        plane[box.slices][borders(cells.owner, box)] = BACKGROUND
        for y, x in pixels:
            if box.contains(y, x):
                plane[y, x] = NUCLEUS


def borders(owner: NDArray[np.int32], box: Box) -> Mask:
    """Pixels of a box with a 4-neighbour, in the image, of another owner; bool (h, w)."""
    wide = box.grow(1).clip(owner.shape)
    part = owner[wide.slices]
    edge = np.zeros(part.shape, dtype=bool)
    rows, columns = part[1:] != part[:-1], part[:, 1:] != part[:, :-1]
    edge[1:] |= rows
    edge[:-1] |= rows
    edge[:, 1:] |= columns
    edge[:, :-1] |= columns
    return edge[box.within(wide)]
