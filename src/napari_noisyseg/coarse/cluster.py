"""The cluster label of SC-Net (Lin et al., II-A): k-means on colour and distance to the points.

k = 3; the cluster that holds most points is nuclei; components are cleaned within each Voronoi
cell. Published: features [RGB/10, min(distance, 20)] in px, background the remaining cluster that
overlaps disks around the points least. Departures, each measured on 30 images:

- distances are in radii of the image's own nuclei (a distance capped in px makes every nucleus a
  disk of one size), and outlines are drawn in by a pixel where the label is least sure;
- background is the brightest remaining cluster (the published rule picks a wrong one in many
  images), and whatever lies `FAR_AWAY` radii from every point, as all nuclei of a field are marked;
- a nucleus is cleaned on its own crop, not on the full frame.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi
from scipy.cluster.vq import ClusterError, kmeans2

from napari_noisyseg.coarse.cells import FAR, Cells, Pixel, around
from napari_noisyseg.coarse.morphology import Mask, disk, filled, opened, without_small
from napari_noisyseg.method import BACKGROUND, NUCLEUS, UNKNOWN
from napari_noisyseg.slides import Box

PAPER_MPP = 0.25
COLOUR = 0.1
"""Weight of a grey level."""
SMOOTH = 1.0
"""Gaussian sigma of the colours, px of 0.25 µm."""
DISTANCE = 12.0
"""Weight of a nucleus radius of distance to the nearest point."""
CAP = 1.5
"""Distances beyond this many radii are alike."""
LARGEST = 1.1
"""No nucleus reaches further than this many radii from its point."""
CLEAR = 1.0
"""No background within this many radii of a point."""
FAR_AWAY = 2.0
"""Whatever lies further than this many radii from every point is background."""
SMALL = 30.0
"""Components of nuclei of fewer px (0.25 µm) are dropped, unless a fit says otherwise."""
OPENING = 2.0
"""Radius of the opening, px of 0.25 µm."""
SAMPLE = 20_000
"""Pixels that k-means looks at."""

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
RGB = NDArray[np.uint8]


def smoothed(rgb: RGB, scale: float) -> RGB:
    """The colours that are clustered, uint8 (H, W, 3)."""
    blurred: RGB = ndi.gaussian_filter(rgb, (SMOOTH * scale, SMOOTH * scale, 0))
    return blurred


def fit_clusters(colours: RGB, cells: Cells, known: Mask, radius: float) -> dict[str, Any]:
    """Centroids and roles of the three clusters, as a JSON dict.

    colours: as `smoothed` gives them; known: bool (H, W), must hold a point; radius: of the
    image's nuclei in px. Looks at a fixed sample of `known`, so that it is fast and repeatable.
    """
    where = np.flatnonzero(known)
    where = where[:: max(1, len(where) // SAMPLE)]
    sample = _features(colours.reshape(-1, 3)[where], cells.squared.ravel()[where], radius)
    centroids = np.round(_centroids(sample.astype(np.float64)), 4)
    inside = np.array([p for p in cells.points.values() if known[p]])
    rows, columns = inside.T
    at_points = _features(colours[rows, columns], cells.squared[rows, columns], radius)
    nucleus = int(np.bincount(_nearest(at_points, centroids), minlength=3).argmax())
    brightness = centroids[:, :3].sum(axis=1)
    brightness[nucleus] = -1.0
    return {
        "centroids": centroids.tolist(),
        "nucleus": nucleus,
        "background": int(brightness.argmax()),
        "radius": radius,
    }


def _centroids(sample: F64) -> F64:
    """Lloyd's k-means from near, bright and other pixels: no chance in it, and three clusters."""
    near = sample[:, 3] <= 0.5 * DISTANCE
    bright = ~near & (sample[:, :3].sum(axis=1) > np.median(sample[:, :3].sum(axis=1)))
    start = np.stack([_mean(sample, part) for part in (near, bright, ~near & ~bright)])
    try:
        centroids, _ = kmeans2(sample, start, iter=60, minit="matrix", missing="raise")
    except ClusterError:  # a cluster ran empty, as in an image of one colour
        return start
    return np.asarray(centroids, dtype=np.float64)


def _mean(sample: F64, part: Mask) -> F64:
    return np.asarray(sample[part].mean(axis=0) if part.any() else sample.mean(axis=0))


def _features(colours: RGB, squared: NDArray[np.int32], radius: float) -> F32:
    """[RGB/10, 12·min(distance in radii, 1.5)], float32 (..., 4)."""
    features = np.empty((*squared.shape, 4), dtype=np.float32)
    np.multiply(colours, np.float32(COLOUR), out=features[..., :3])
    distance = np.sqrt(squared.astype(np.float32)) * np.float32(1 / radius)
    features[..., 3] = np.minimum(distance, np.float32(CAP)) * np.float32(DISTANCE)
    return features


def _nearest(features: F32, centroids: F64) -> NDArray[np.uint8]:
    """Index of the nearest centroid, uint8 (...); ties to the lower index."""
    best = np.full(features.shape[:-1], np.inf, dtype=np.float32)
    index = np.zeros(features.shape[:-1], dtype=np.uint8)
    for k, centroid in enumerate(centroids.astype(np.float32)):
        away = features - centroid
        away *= away
        distance = away[..., 0] + away[..., 1] + away[..., 2] + away[..., 3]
        nearer = distance < best
        best[nearer] = distance[nearer]
        index[nearer] = k
    return index


class ClusterPlane:
    """uint8 (H, W) from stored fit values: what one pixel or one nucleus sees decides it."""

    def __init__(self, colours: RGB, scale: float, fit: dict[str, Any]) -> None:
        self.colours = colours
        self.scale = scale
        self.fit = fit
        self.radius = float(fit.get("radius", 1.0))
        self.reach = math.ceil(LARGEST * self.radius)
        # as a person set it, or the default; both in px
        smallest = fit.get("smallest_um2", SMALL * PAPER_MPP**2)
        self.smallest = float(smallest) * (scale / PAPER_MPP) ** 2
        self.centroids = np.array(fit.get("centroids", []), dtype=np.float64)
        self.assigned = np.zeros(colours.shape[:2], dtype=np.uint8)
        self.nuclei = np.zeros(colours.shape[:2], dtype=bool)

    def full(self, cells: Cells) -> NDArray[np.uint8]:
        """The plane of a whole image."""
        plane = np.full(cells.shape, UNKNOWN, dtype=np.uint8)
        if self.fit:
            frame = Box(0, 0, *cells.shape)
            self._assign(cells, frame)
            for serial in cells.points:
                self._clean(cells, serial)
            self._compose(plane, cells, frame)
        return plane

    def update(
        self,
        plane: NDArray[np.uint8],
        cells: Cells,
        changed: Box,
        owners: Iterable[int],
        pixel: Pixel,
    ) -> Box:
        """Bring the plane up to date after `changed` got other owners; the box rewritten.

        pixel: where a point came or went. Distances beyond `FAR_AWAY` radii are all alike, so
        that far from it nothing changes but when the first point comes or the last one goes.
        """
        if not self.fit or changed.empty:
            return Box(0, 0, 0, 0)
        if len(cells.points) > 1:
            near = around(pixel, math.ceil(FAR_AWAY * self.radius) + 1, cells.shape)
            changed = changed.intersect(near)
        self._assign(cells, changed)
        self.nuclei[changed.slices] &= cells.squared[changed.slices] <= self.reach**2
        cleaned = [self._clean(cells, serial) for serial in owners if serial in cells.points]
        box = Box.around([changed, *cleaned])
        self._compose(plane, cells, box)
        return box

    def _assign(self, cells: Cells, box: Box) -> None:
        features = _features(self.colours[box.slices], cells.squared[box.slices], self.radius)
        self.assigned[box.slices] = _nearest(features, self.centroids)

    def _clean(self, cells: Cells, serial: int) -> Box:
        """Write the nucleus of one cell, cleaned, into `nuclei`; the box looked at."""
        box, cell = cells.crop(serial, self.reach)
        mask = cell & (self.assigned[box.slices] == self.fit["nucleus"])
        mask &= cells.squared[box.slices] <= (LARGEST * self.radius) ** 2
        mask = without_small(opened(mask, OPENING * self.scale), self.smallest)
        mask = filled(mask)
        if round(self.scale):
            mask = ndi.binary_erosion(mask, disk(round(self.scale)))
        self.nuclei[box.slices][cell] = mask[cell]
        return box

    def _compose(self, plane: NDArray[np.uint8], cells: Cells, box: Box) -> None:
        part, squared = plane[box.slices], cells.squared[box.slices]
        clear = (squared > (CLEAR * self.radius) ** 2) & (squared < FAR)
        bright = self.assigned[box.slices] == self.fit["background"]
        part.fill(UNKNOWN)
        part[clear & (bright | (squared > (FAR_AWAY * self.radius) ** 2))] = BACKGROUND
        part[self.nuclei[box.slices]] = NUCLEUS
