"""Nuclei where people placed points: every point knows that it lies in one nucleus.

Each nucleus is the best closed outline around its point, on evidence from the stain and the
network together. A first outline uses a threshold of the point's own surroundings; from the first
outlines the image's stains, the size of its nuclei and each nucleus's own contrast are read, and
the outlines are found again. Nothing here is trained; constants are px of 0.25 µm.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from napari_noisyseg.instances import evidence
from napari_noisyseg.instances.painting import make_whole, paint, seeds
from napari_noisyseg.instances.rays import Rays, distances, smoothed

Floats = NDArray[np.floating[Any]]
F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]
Labels = NDArray[np.int32]

PAPER_MPP = 0.25
REACH = 30.0
"""How far from a point its own threshold looks."""
FALL = 15.0
"""Distance from the point that weighs as much as a standard deviation of evidence."""
OWN = 0.8
"""Weight of the point's own threshold (Otsu); the rest is the image's."""
FIRST_UNIT = 1.2
"""Px between the places along a ray in the first round."""
TYPICAL = 12.5
"""Median radius at which later rounds look at places one px apart; they scale with the image's."""
SCALES = (0.6, 2.5)
ROUNDS = 2
CAREFUL, CARELESS = 0.13, 0.22
"""Typical offsets of points from the middles of outlines, in radii: placed with care, or not."""
MIDDLE = 0.45
"""Where between the evidence outside and inside a nucleus its outline runs."""
INSIDE, OUTSIDE = 0.75, (1.25, 1.9)
"""Where inside and outside are looked at, in radii."""
MARGIN = 0.75
"""Outlines run this much further in: half of the fall of evidence lies outside the nucleus."""
CHUNK = 2048
"""Points looked at together, for the sake of memory."""


def from_points(
    probability: Floats,
    points: Floats,
    density: Floats,
    mpp: float,
    rgb: NDArray[np.uint8] | None = None,
) -> Labels:
    """One connected, hole-free nucleus per point inside the image, label k + 1 for points[k].

    `probability` and `density` (H, W): the network's nucleus probability (0.5 everywhere says
    nothing) and the hematoxylin density; `points` (n, 2) y, x in pixels, centres at integers;
    `mpp` µm per pixel; `rgb` (H, W, 3) lets the image's own stains be learned. Points outside the
    image get nothing. Returns int32 (H, W).
    """
    shape = (probability.shape[0], probability.shape[1])
    points = np.asarray(points, float).reshape(-1, 2)
    pixels, inside = seeds(points, shape)
    if not inside.any():
        return np.zeros(shape, np.int32)
    centres = points[inside]
    centres, radii = _outlines(probability, centres, density, PAPER_MPP / mpp, rgb)
    labels = paint(radii, centres, shape)
    make_whole(labels, pixels[inside], centres)
    names = np.concatenate([[0], np.flatnonzero(inside) + 1]).astype(np.int32)
    named: Labels = names[labels]
    return named


def _outlines(
    probability: Floats,
    centres: Floats,
    density: Floats,
    scale: float,
    rgb: NDArray[np.uint8] | None,
) -> tuple[Floats, F32]:
    shape = (probability.shape[0], probability.shape[1])
    network, stain = evidence.network(probability), evidence.stain(density, scale)
    owner, distance = _cells(centres, shape)
    threshold = _thresholds(stain, owner, distance, len(centres), scale)
    radii = _first_round(stain, network, owner, centres, threshold, scale)
    learned = (
        None if rgb is None else evidence.discriminant(rgb, paint(radii, centres, shape), scale)
    )
    if learned is not None:
        stain = evidence.standard(stain + learned)
    shift = _to_middles(radii)
    share = _carelessness(shift, radii)
    for _ in range(ROUNDS):
        free = paint(radii, centres, shape) == 0
        centres = centres + share * _to_middles(radii)
        radii = _next_round(stain, network, owner, centres, radii, free, scale)
    return centres, np.maximum(smoothed(radii) - np.float32(MARGIN * scale), np.float32(1.0))


def _to_middles(radii: F32) -> Floats:
    """From each point to the centre of mass of its outline, (n, 2) px."""
    angle = np.arange(radii.shape[1]) * (2 * np.pi / radii.shape[1])
    rays = np.stack([np.sin(angle), np.cos(angle)], axis=1)
    return np.asarray(2 / 3 * (radii**3 @ rays) / (radii**2).sum(axis=1)[:, None])


def _carelessness(shift: Floats, radii: F32) -> float:
    """How far to trust outlines more than points for the middles, 0..1.

    Points in the middle of nuclei are the better guide, as long as they are: where outlines lie
    off their points by more than outlines err, the points of this image were placed in passing.
    """
    off = float(np.median(np.hypot(*shift.T) / radii.mean(axis=1)))
    return float(np.clip((off - CAREFUL) / (CARELESS - CAREFUL), 0, 1))


def _cells(centres: Floats, shape: tuple[int, int]) -> tuple[Labels, F32]:
    """Number of the nearest point, from 1, and the distance to it in px."""
    names = np.zeros(shape, np.int32)
    rows, columns = np.clip(np.floor(centres + 0.5).astype(int), 0, np.array(shape) - 1).T
    names[rows[::-1], columns[::-1]] = np.arange(len(centres), 0, -1)
    distance, (y, x) = ndi.distance_transform_edt(names == 0, return_indices=True)
    return names[y, x], distance.astype(np.float32)


def _thresholds(stain: F32, owner: Labels, distance: F32, count: int, scale: float) -> F32:
    """What evidence less the fall with distance separates each point's nucleus, (count,)."""
    near = distance <= REACH * scale
    values = stain[near] - distance[near] / (FALL * scale)
    own = evidence.otsu_of_groups(values, owner[near] - 1, count)
    return np.asarray(OWN * own + (1 - OWN) * evidence.otsu(values), dtype=np.float32)


def _first_round(
    stain: F32, network: F32, owner: Labels, centres: Floats, threshold: F32, scale: float
) -> F32:
    unit = FIRST_UNIT * scale
    radii = []
    for some in _chunks(len(centres)):
        rays = Rays.around(centres[some], unit, owner, _names(some)[: len(centres[some])])
        seen = rays.look(stain)
        worth = seen - distances() * np.float32(FIRST_UNIT / FALL) - threshold[some, None, None]
        radii.append(rays.outlines(worth + rays.look(network), seen))
    return np.concatenate(radii)


def _next_round(
    stain: F32, network: F32, owner: Labels, centres: Floats, radii: F32, free: Mask, scale: float
) -> F32:
    """Outlines again, at the scale of this image's nuclei and each one's own contrast."""
    size = float(np.median(radii.mean(axis=1))) / (TYPICAL * scale)
    unit = scale * min(max(size, SCALES[0]), SCALES[1])
    elsewhere = float(stain[free].mean()) if free.any() else float(stain.min())
    better = []
    for some in _chunks(len(centres)):
        rays = Rays.around(centres[some], unit, owner, _names(some)[: len(centres[some])])
        seen = rays.look(stain)
        middle = _middle(rays, seen, free, radii[some], elsewhere)
        mean = radii[some].mean(axis=1)[:, None, None]
        worth = seen - middle[:, None, None] - (distances() * np.float32(unit) / mean - 1)
        better.append(rays.outlines(worth + rays.look(network), seen))
    return np.concatenate(better)


def _middle(rays: Rays, seen: F32, free: Mask, radii: F32, elsewhere: float) -> F32:
    """The evidence at which each nucleus ends: between its inside and what is free around it."""
    share = distances() * np.float32(rays.unit) / radii[..., None]
    inside = (share < INSIDE) * distances()
    around = (share > OUTSIDE[0]) & (share < OUTSIDE[1]) & rays.within & free[rays.pixels]
    outside = around * distances()
    weight = outside.sum(axis=(1, 2))
    high = (seen * inside).sum(axis=(1, 2)) / np.maximum(inside.sum(axis=(1, 2)), 1e-6)
    low = (seen * outside).sum(axis=(1, 2)) / np.maximum(weight, 1e-6)
    low = np.where(weight > distances()[-1], low, elsewhere)
    return np.asarray(low + MIDDLE * (high - low), dtype=np.float32)


def _chunks(count: int) -> list[slice]:
    return [slice(start, start + CHUNK) for start in range(0, count, CHUNK)]


def _names(some: slice) -> Labels:
    return np.arange(some.start + 1, some.stop + 1, dtype=np.int32)
