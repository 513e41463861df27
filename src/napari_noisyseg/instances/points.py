"""Nuclei where people placed points: every point knows that it lies in one nucleus."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

Floats = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]
Labels = NDArray[np.int32]

REACH_UM = 7.5
"""how far from its point a nucleus may extend"""


def from_points(
    probability: Floats,
    points: Floats,
    density: Floats,
    mpp: float,
    rgb: NDArray[np.uint8] | None = None,
) -> Labels:
    """One connected, hole-free nucleus per point inside the image, label k + 1 for points[k].

    `probability` and `density` (H, W): the network's nucleus probability and the hematoxylin
    density; `points` (n, 2) y, x in pixels, centres at integers; `mpp` µm per pixel.
    """
    shape = probability.shape
    points = np.asarray(points, float).reshape(-1, 2)
    pixels = np.floor(points + 0.5).astype(int)
    inside = ((pixels >= 0) & (pixels < shape)).all(axis=1)
    labels = np.zeros(shape, np.int32)
    if not inside.any():
        return labels
    cells, distance = _cells(pixels, inside, shape)
    evidence = _evidence(probability, density, mpp) - distance * (mpp / 3.75)
    cells[distance > REACH_UM / mpp] = 0
    mask = evidence > np.median(evidence[cells > 0])
    for k, box in enumerate(ndi.find_objects(cells)):
        if box is not None:
            own = cells[box] == k + 1
            seed = pixels[k] - [box[0].start, box[1].start]
            labels[box][_piece(mask[box] & own, seed)] = k + 1
    return labels


def _cells(
    pixels: NDArray[np.int64], inside: Mask, shape: tuple[int, ...]
) -> tuple[Labels, NDArray[np.float64]]:
    seeds = np.zeros(shape, np.int32)
    for k in np.flatnonzero(inside)[::-1]:
        seeds[tuple(pixels[k])] = k + 1
    distance, (rows, columns) = ndi.distance_transform_edt(seeds == 0, return_indices=True)
    return seeds[rows, columns], distance


def _evidence(probability: Floats, density: Floats, mpp: float) -> Floats:
    p = np.clip(probability, 0.01, 0.99)
    smooth = ndi.gaussian_filter(np.asarray(density, np.float32), 0.375 / mpp)
    stained: Floats = (smooth - smooth.mean()) / max(float(smooth.std()), 1e-6)
    return np.asarray(np.log(p / (1 - p)) / 4 + stained)


def _piece(mask: Mask, seed: NDArray[np.int64]) -> Mask:
    mask[tuple(seed)] = True
    pieces, _ = ndi.label(mask)
    filled: Mask = ndi.binary_fill_holes(pieces == pieces[tuple(seed)])
    return filled
