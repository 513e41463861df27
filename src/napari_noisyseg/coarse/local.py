"""An outline for every point at once: the best closed path around it inside its Voronoi cell."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from napari_noisyseg.coarse.cells import Cells
from napari_noisyseg.coarse.contours import Contours
from napari_noisyseg.coarse.morphology import Mask, disk, filled, holding
from napari_noisyseg.method import BACKGROUND, NUCLEUS, UNKNOWN
from napari_noisyseg.slides import Box

SAMPLE = 200
"""Points that tell how large a nucleus is."""
BAND = 1.0
"""Half the width of the ignored band along an outline, px of 0.25 µm."""


class LocalPlane:
    """Instances int32 (H, W), and as a training target uint8 (H, W).

    evidence: float32 (H, W) of mean 0 and deviation 1, higher in nuclei; threshold: of the whole
    image; scale: px per px of 0.25 µm.
    """

    def __init__(self, evidence: NDArray[np.float32], threshold: float, scale: float) -> None:
        self.band = disk(max(BAND * scale, 1.0))
        self.contours = Contours(scale)
        self.evidence, self.threshold = evidence, threshold
        self.instances = np.zeros(evidence.shape, dtype=np.int32)

    def typical_radius(self, cells: Cells, known: Mask) -> float:
        """Median radius in px of the nuclei at a sample of the points in `known`; 0 without any."""
        serials = [s for s in _owning(cells, cells.points) if known[cells.points[s]]]
        serials = serials[:: max(1, len(serials) // SAMPLE)]
        radii = self.contours.radii(self.evidence, self.threshold, cells, serials)
        return round(float(np.median(np.sqrt((radii**2).mean(axis=1)))), 3) if serials else 0.0

    def full(self, cells: Cells) -> NDArray[np.uint8]:
        """The target of a whole image; fills `instances` too."""
        self.instances.fill(0)
        plane = np.full(cells.shape, _empty(cells), dtype=np.uint8)
        self._outline(plane, cells, cells.points)
        return plane

    def update(
        self, plane: NDArray[np.uint8], cells: Cells, changed: Box, owners: Iterable[int]
    ) -> Box:
        """Bring both up to date after `changed` got other owners; the box rewritten."""
        if changed.empty:
            return changed
        beyond = cells.squared[changed.slices] > self.contours.reach**2
        plane[changed.slices][beyond] = _empty(cells)
        self.instances[changed.slices][beyond] = 0
        return Box.around([changed, *self._outline(plane, cells, owners)])

    def _outline(self, plane: NDArray[np.uint8], cells: Cells, serials: Iterable[int]) -> list[Box]:
        """Write nuclei into both planes; the boxes looked at. A point without a cell has none."""
        owning = _owning(cells, serials)
        radii = self.contours.radii(self.evidence, self.threshold, cells, owning)
        return [self._write(plane, cells, s, r) for s, r in zip(owning, radii, strict=True)]

    def _write(
        self, plane: NDArray[np.uint8], cells: Cells, serial: int, radii: NDArray[np.float64]
    ) -> Box:
        pixel = cells.points[serial]
        whole, cell = cells.crop(serial, self.contours.reach)
        self.instances[whole.slices][cell] = 0
        plane[whole.slices][cell] = BACKGROUND
        box, inside = self.contours.mask(radii, pixel, cells.shape, len(self.band) // 2)
        cell = cells.owner[box.slices] == serial
        nucleus = filled(holding(inside & cell, pixel[0] - box.y0, pixel[1] - box.x0)) & cell
        self.instances[box.slices][nucleus] = serial
        plane[box.slices][cell] = self._target(nucleus)[cell]
        return whole

    def _target(self, nucleus: Mask) -> NDArray[np.uint8]:
        """Core nucleus, a thin band along the outline unknown, the rest background."""
        target = np.full(nucleus.shape, BACKGROUND, dtype=np.uint8)
        target[ndi.binary_dilation(nucleus, self.band)] = UNKNOWN
        target[ndi.binary_erosion(nucleus, self.band)] = NUCLEUS
        return target


def _owning(cells: Cells, serials: Iterable[int]) -> list[int]:
    """Those of the points that have a cell: not gone, nor under one of a lower serial."""
    return [s for s in serials if s in cells.points and cells.owner[cells.points[s]] == s]


def _empty(cells: Cells) -> int:
    """What lies beyond every nucleus; without any point nothing is known."""
    return BACKGROUND if cells.points else UNKNOWN
