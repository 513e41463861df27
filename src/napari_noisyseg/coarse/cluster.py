"""The cluster label of SC-Net (Lin et al., II-A): k-means on colour and distance to the points.

k = 3 on [RGB/10, min(distance, 20)]. The cluster that holds most points is nuclei. Departures
from the published code: background is the brightest remaining cluster (the published rule picks
the wrong one in many images), and a nucleus is cleaned on its own crop, not on the full frame.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.coarse.cells import FAR, Cells, union
from napari_noisyseg.coarse.morphology import Mask, filled, opened, without_small
from napari_noisyseg.method import BACKGROUND, NUCLEUS, UNKNOWN
from napari_noisyseg.slides import Box

CLUSTERS = 3
COLOUR = 0.1
"""Weight of a grey level against a pixel of distance."""
CAP = 20.0
"""Distances beyond this many px (0.25 µm) are alike."""
CLEAR = 10.0
"""No background within this many px of a point."""
SMALL = 30.0
"""Components of nuclei of fewer px are dropped."""
OPENING = 2.0
"""Radius of the opening, in px."""
REACH = 40
"""No nucleus reaches further than this many px from its point."""
SAMPLE = 60_000
"""Pixels that k-means looks at."""

F64 = NDArray[np.float64]


def fit_clusters(rgb: NDArray[np.uint8], cells: Cells, known: Mask, scale: float) -> dict[str, Any]:
    """Centroids and roles of the clusters, as a JSON dict; empty without a point in `known`.

    Looks at a fixed sample of the pixels of `known`, so that it is fast and repeatable.
    """
    inside = [(y, x) for y, x in cells.points.values() if known[y, x]]
    if not inside:
        return {}
    from sklearn.cluster import KMeans  # slow to import, and only a fit needs it

    where = np.flatnonzero(known)
    if len(where) > SAMPLE:
        where = np.sort(np.random.default_rng(0).choice(where, SAMPLE, replace=False))
    colours = rgb.reshape(-1, 3)[where]
    features = _features(colours, cells.squared.ravel()[where], scale).astype(np.float64)
    distinct = len(np.unique(features, axis=0))
    model = KMeans(min(CLUSTERS, distinct), n_init=2, max_iter=100, random_state=0).fit(features)
    centroids = np.round(model.cluster_centers_, 4)
    rows, columns = np.array(inside).T
    at_points = _features(rgb[rows, columns], cells.squared[rows, columns], scale)
    nucleus = int(np.bincount(_nearest(at_points, centroids), minlength=len(centroids)).argmax())
    brightness = centroids[:, :3].sum(axis=1)
    brightness[nucleus] = -1.0
    return {
        "centroids": centroids.tolist(),
        "nucleus": nucleus,
        "background": int(brightness.argmax()) if len(centroids) > 1 else -1,
        "count": len(cells.points),
    }


def _features(
    colours: NDArray[np.uint8], squared: NDArray[np.int32], scale: float
) -> NDArray[np.float32]:
    """[RGB/10, min(distance in px of 0.25 µm, 20)], float32 (..., 4)."""
    distance = np.minimum(np.sqrt(squared.astype(np.float32)) / np.float32(scale), CAP)
    return np.concatenate(
        [colours.astype(np.float32) * np.float32(COLOUR), distance[..., None]], axis=-1
    )


def _nearest(features: NDArray[np.float32], centroids: F64) -> NDArray[np.uint8]:
    """Index of the nearest centroid, uint8 (...); ties to the lower index."""
    best = np.full(features.shape[:-1], np.inf, dtype=np.float32)
    index = np.zeros(features.shape[:-1], dtype=np.uint8)
    for k, centroid in enumerate(centroids.astype(np.float32)):
        distance = np.zeros_like(best)
        for c in range(len(centroid)):
            distance += (features[..., c] - centroid[c]) ** 2
        nearer = distance < best
        best[nearer] = distance[nearer]
        index[nearer] = k
    return index


class ClusterPlane:
    """uint8 (H, W) from stored fit values: what one pixel or one nucleus sees decides it."""

    def __init__(self, rgb: NDArray[np.uint8], scale: float, fit: dict[str, Any]) -> None:
        self.rgb = rgb
        self.scale = scale
        self.fit = fit
        self.reach = round(REACH * scale)
        if fit:
            self.assigned = np.zeros(rgb.shape[:2], dtype=np.uint8)
            self.nuclei = np.zeros(rgb.shape[:2], dtype=bool)
            self.centroids = np.array(fit["centroids"], dtype=np.float64)

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
        self, plane: NDArray[np.uint8], cells: Cells, changed: Box, owners: Iterable[int]
    ) -> Box:
        """Bring the plane up to date after `changed` got other owners; the box rewritten."""
        if not self.fit or changed.empty:
            return Box(0, 0, 0, 0)
        self._assign(cells, changed)
        self.nuclei[changed.slices] &= cells.squared[changed.slices] <= self.reach**2
        cleaned = [self._clean(cells, serial) for serial in owners if serial in cells.points]
        box = union([changed, *cleaned])
        self._compose(plane, cells, box)
        return box

    def _assign(self, cells: Cells, box: Box) -> None:
        features = _features(self.rgb[box.slices], cells.squared[box.slices], self.scale)
        self.assigned[box.slices] = _nearest(features, self.centroids)

    def _clean(self, cells: Cells, serial: int) -> Box:
        """Write the nucleus of one cell, cleaned, into `nuclei`; the box looked at."""
        box, cell = cells.crop(serial, self.reach)
        mask = cell & (self.assigned[box.slices] == self.fit["nucleus"])
        mask = filled(opened(without_small(mask, SMALL * self.scale**2), OPENING * self.scale))
        self.nuclei[box.slices][cell] = (mask & cell)[cell]
        return box

    def _compose(self, plane: NDArray[np.uint8], cells: Cells, box: Box) -> None:
        part = plane[box.slices]
        part.fill(UNKNOWN)
        squared = cells.squared[box.slices]
        clear = (squared > (CLEAR * self.scale) ** 2) & (squared < FAR)
        part[(self.assigned[box.slices] == self.fit["background"]) & clear] = BACKGROUND
        part[self.nuclei[box.slices]] = NUCLEUS
