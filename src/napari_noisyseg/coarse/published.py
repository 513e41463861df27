"""The cluster label of SC-Net as it was published (Lin et al., II-A, after Qu et al. 2020).

k-means, k = 3, on [RGB/10, min(distance to the nearest point, 20)]; the cluster that holds most
points is nuclei. For the tables: `cluster` mends what this gets wrong, and follows every click.

The paper does not say how it tells background from what is ignored, nor the opening's radius: its
recipe here takes the brightest remaining cluster and a disk of 2. Lengths are px of 0.25 µm.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi
from scipy.cluster.vq import ClusterError, kmeans2, vq

from napari_noisyseg.coarse.morphology import Mask, disk, filled, opened, without_small
from napari_noisyseg.method import BACKGROUND, NUCLEUS, UNKNOWN
from napari_noisyseg.plans import Recipe

COLOUR = 0.1
"""Weight of a grey level."""
CAP = 20.0
"""Distances beyond this are alike."""
SMALL = 30.0
"""Components of nuclei of fewer px are dropped."""
OPENING = 2.0
"""Radius of the paper's opening (ours)."""
WIDENED, NARROWED = 5.0, 7.0
"""Published cleaning: a nucleus is dilated, filled, eroded by disks of these radii."""
OVERLAP = 5.0
"""Published rule: background is the cluster that overlaps disks of this radius least.

A draw, as when both overlap none, goes to the brighter one; published: to either, by chance.
"""
CLEAR = 10.0
"""No background within this distance of a point."""
SAMPLE = 20_000
"""Pixels that k-means looks at."""
STARTS = 10
"""Random starts of k-means, of which the tightest counts."""

F64 = NDArray[np.float64]
Pixels = NDArray[np.intp]


def cluster_label(
    rgb: NDArray[np.uint8],
    cells: NDArray[np.int32],
    points: Iterable[tuple[int, int]],
    known: Mask,
    scale: float,
    recipe: Recipe,
) -> NDArray[np.uint8]:
    """uint8 (H, W) of 0 background, 1 nucleus, 2 ignored; ignored throughout outside `known`.

    rgb: uint8 (H, W, 3). cells: serial of the nearest point, int32 (H, W). points: (y, x) pixels;
    those outside `known` have no say. scale: pixels per px of 0.25 µm. recipe: `paper` (components,
    opening, filling) or `published` (closing, and background by the least overlap).
    """
    plane = np.full(known.shape, UNKNOWN, np.uint8)
    height, width = known.shape
    places = [(y, x) for y, x in points if 0 <= y < height and 0 <= x < width and known[y, x]]
    if not places:
        return plane
    rows, columns = np.array(places, dtype=np.intp).T
    distance = _distance(known.shape, rows, columns) / scale
    clusters = _clusters(rgb, distance, known)
    nucleus = int(np.bincount(clusters[rows, columns], minlength=3).argmax())
    near = distance <= OVERLAP if recipe == "published" else None
    background = _background(clusters, nucleus, rgb, known, near)
    plane[known & (clusters == background) & (distance > CLEAR)] = BACKGROUND
    mask = without_small(known & (clusters == nucleus), SMALL * scale**2)
    plane[_cleaned(mask, cells, scale, recipe)] = NUCLEUS
    plane[~known] = UNKNOWN
    return plane


def _distance(shape: tuple[int, int], rows: Pixels, columns: Pixels) -> F64:
    free = np.ones(shape, bool)
    free[rows, columns] = False
    return np.asarray(ndi.distance_transform_edt(free))


def _clusters(rgb: NDArray[np.uint8], distance: F64, known: Mask) -> NDArray[np.int32]:
    """Index of each pixel's cluster, int32 (H, W); the same image gives the same clusters."""
    features = np.empty((*distance.shape, 4))
    features[..., :3] = rgb * COLOUR
    features[..., 3] = np.minimum(distance, CAP)
    where = np.flatnonzero(known)
    sample = features.reshape(-1, 4)[where[:: max(1, len(where) // SAMPLE)]]
    index: NDArray[np.int32] = vq(features.reshape(-1, 4), _centroids(sample))[0]
    return index.reshape(distance.shape)


def _centroids(sample: F64) -> F64:
    """The tightest of several k-means from random pixels; (3, 4)."""
    rng = np.random.default_rng(0)
    best, spread = sample[rng.choice(len(sample), 3)], np.inf
    for _ in range(STARTS):
        start = sample[rng.choice(len(sample), 3)]
        try:
            centroids, index = kmeans2(sample, start, iter=60, minit="matrix", missing="raise")
        except ClusterError:  # a cluster ran empty
            continue
        total = float(((sample - centroids[index]) ** 2).sum())
        if total < spread:
            best, spread = centroids, total
    return best


def _background(
    clusters: NDArray[np.int32],
    nucleus: int,
    rgb: NDArray[np.uint8],
    known: Mask,
    near: Mask | None,
) -> int:
    """Of the two other clusters the brightest, or the one with the fewest pixels in `near`."""
    inside = clusters[known]
    total = np.bincount(inside, rgb[known].sum(axis=1), minlength=3)
    bright = total / np.maximum(np.bincount(inside, minlength=3), 1)
    overlap = np.zeros(3) if near is None else np.bincount(inside, near[known], minlength=3)
    others = [k for k in range(3) if k != nucleus]
    return min(others, key=lambda k: (overlap[k], -bright[k]))


def _cleaned(mask: Mask, cells: NDArray[np.int32], scale: float, recipe: Recipe) -> Mask:
    """Each cell's part of the nuclei, cleaned on its own crop."""
    serials, index = np.unique(cells, return_inverse=True)
    index = index.reshape(cells.shape) + 1
    cleaned = np.zeros_like(mask)
    boxes = ndi.find_objects(np.where(mask, index, 0), len(serials))
    for number, box in enumerate(boxes, start=1):
        if box is not None:
            part = mask[box] & (index[box] == number)
            cleaned[box] |= _clean(part, scale, recipe)
    return cleaned


def _clean(part: Mask, scale: float, recipe: Recipe) -> Mask:
    """One nucleus; bool (h, w) as given, with nothing beyond it."""
    if recipe == "paper":
        return filled(opened(part, OPENING * scale))
    margin = int(WIDENED * scale) + 1
    wide = ndi.binary_dilation(np.pad(part, margin), disk(WIDENED * scale))
    narrow: Mask = ndi.binary_erosion(filled(wide), disk(NARROWED * scale))
    return narrow[margin:-margin, margin:-margin]
