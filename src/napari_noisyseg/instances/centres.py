"""Where the middles of nuclei lie when clicks are imprecise: clicks are a prior, stain the data.

The stained pixels of an image are shared out between all its points at once, as in a mixture of
round blobs with a background; each point's middle is the mean of what it gets and of its click.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

Floats = NDArray[np.floating[Any]]
F32 = NDArray[np.float32]
Ints = NDArray[np.intp]

STEP = 2.0
"""Px of 0.25 µm between the pixels looked at."""
SOFT = 0.5
"""Evidence above the threshold at which a pixel counts in full, in standard deviations."""
FAR = 24.0
"""A pixel further than this from every click, px of 0.25 µm, belongs to none."""
RIVALS = 5
"""Clicks among which a pixel is shared out."""
BACKGROUND = 0.05
"""Density of the background beside that in the middle of a nucleus."""
PRIOR = 0.5
"""Weight of the click, in typical nuclei."""
RADII = (5.0, 16.0)
ROUNDS = 8
MOST = 10.0
"""No middle lies further from its click: 2.5 µm."""
CAREFUL, CARELESS = 0.165, 0.235
"""Root mean square distance of clicks from middles, in radii: placed with care, or in passing."""
ENOUGH = 8
"""Clicks that tell by themselves how the image's were placed."""
SPARSE, COMPLETE = 0.5, 0.75
"""Share of the stain near clicks at which too many nuclei bear none to share it out, or few."""


@dataclass(frozen=True, slots=True)
class _Stained:
    """Stained pixels (m, 2) px, their weights (m,), and the clicks (m, k) they may belong to.

    covered: share of all stain that lies near a click.
    """

    places: Floats
    weight: Floats
    rivals: Ints
    near: NDArray[np.bool_]
    covered: float


def recentred(
    evidence: F32, threshold: float, points: Floats, scale: float
) -> tuple[Floats, float]:
    """Likely middles (n, 2) y, x of the nuclei at `points`, and how carelessly they were placed.

    Careful clicks (0) are a better guide than the stain and stay; careless ones (1) go where the
    mixture puts them; between the two in proportion.
    """
    pixels = _stained(evidence, threshold, points, scale)
    if not len(pixels.places):
        return points, 0.0
    mass = pixels.weight.sum() / len(points)
    step = _step(scale)
    radius = float(np.clip(step * np.sqrt(mass / np.pi), RADII[0] * scale, RADII[1] * scale))
    moves = _middles(pixels, points, radius, mass) - points
    off = float(np.sqrt(((moves / radius) ** 2).sum(axis=1).mean()))
    trust = _ramp(pixels.covered, SPARSE, COMPLETE) * len(points) / (len(points) + ENOUGH)
    carelessness = trust * _ramp(off, CAREFUL, CARELESS)
    length = np.hypot(*moves.T)[:, None]
    moves = moves * np.minimum(1, MOST * scale / np.maximum(length, 1e-6))
    return np.clip(points + carelessness * moves, 0, np.array(evidence.shape) - 1), carelessness


def _ramp(value: float, low: float, high: float) -> float:
    return float(np.clip((value - low) / (high - low), 0, 1))


def _step(scale: float) -> int:
    return max(1, round(STEP * scale))


def _stained(evidence: F32, threshold: float, points: Floats, scale: float) -> _Stained:
    step = _step(scale)
    weight: F32 = np.clip((evidence[::step, ::step] - threshold) / SOFT, 0, 1)
    places = np.argwhere(weight > 0) * float(step)
    _, rivals = KDTree(points).query(
        places, k=list(range(1, min(RIVALS, len(points)) + 1)), distance_upper_bound=FAR * scale
    )
    near: NDArray[np.bool_] = np.asarray(rivals < len(points))
    some, weight = near[:, 0], weight[weight > 0]
    covered = float(weight[some].sum() / max(float(weight.sum()), 1e-6))
    return _Stained(
        places[some], weight[some], np.where(near, rivals, 0)[some], near[some], covered
    )


def _middles(pixels: _Stained, points: Floats, radius: float, mass: float) -> Floats:
    """Expectation maximisation of the middles; blobs as wide as a disk of `radius` px."""
    middles, prior = points, PRIOR * mass
    for _ in range(ROUNDS):
        away = ((pixels.places[:, None] - middles[pixels.rivals]) ** 2).sum(axis=2)
        share = np.where(pixels.near, np.exp(-away / (radius * radius / 2)), 0)
        share *= (pixels.weight / (share.sum(axis=1) + BACKGROUND))[:, None]
        got = np.bincount(pixels.rivals.ravel(), share.ravel(), len(points))
        sums = [
            np.bincount(pixels.rivals.ravel(), (share * pixels.places[:, [a]]).ravel(), len(points))
            for a in (0, 1)
        ]
        middles = (np.stack(sums, axis=1) + prior * points) / (got + prior)[:, None]
    return middles
