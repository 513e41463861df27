"""How much a pixel looks like nucleus, from its colour alone; depends on the image, not on points.

Hematoxylin takes red light, eosin leaves it; blood and brown fibres take red and blue. So red
density less some of the blue is the start. Half of the evidence is Fisher's linear discriminant of
the six channels (optical densities and grey levels) between what Otsu's threshold of the start
puts apart: it learns the image's own stains.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Floats = NDArray[np.floating]

SMOOTH = 1.5
"""Gaussian sigma, px of 0.25 µm."""
LOOK = 250_000
"""Pixels, on a coarser grid, that the discriminant looks at."""
GAP = 0.3
"""Share of the way from the threshold to a class's mean that is left out as undecided."""
RIDGE = 0.003
"""Share of the mean variance added to each, so that grey images have a discriminant too."""
FEW = 50
"""A class of fewer pixels tells nothing."""
START = np.array([1.0, 0, -0.4, 0, 0, 0])
"""Weights of the channels to start from."""


class Gauge(NamedTuple):
    """What evidence is measured by: weights of the six channels, mean and deviation of the sum."""

    weights: tuple[float, ...]
    mean: float
    deviation: float


def evidence(rgb: NDArray[np.uint8], scale: float) -> tuple[F32, float]:
    """Mean 0 and deviation 1, float32 (H, W), darker nuclei higher; and Otsu's threshold of it."""
    return standardised(weighed(rgb, scale, weights_of(rgb, scale)))


def weighed(rgb: NDArray[np.uint8], scale: float, weights: F64) -> F32:
    """The smoothed sum of the six channels by their weights, float32 (H, W)."""
    total: F32 = ndi.gaussian_filter(_weighted(rgb, weights), SMOOTH * scale)
    return total


def gauge_of(values: Floats, weights: F64) -> Gauge:
    """What the sum `weighed` by these weights is standardised by."""
    return Gauge(tuple(weights.tolist()), float(values.mean()), max(float(values.std()), 1e-6))


def gauged(values: Floats, gauge: Gauge) -> F32:
    """The sum (H, W) at mean 0 and deviation 1 of what the gauge was taken from, float32."""
    scored: F32 = ((values - gauge.mean) * (1 / gauge.deviation)).astype(np.float32)
    return scored


def standardised(values: Floats) -> tuple[F32, float]:
    """Any evidence (H, W) at mean 0 and deviation 1, float32, and Otsu's threshold of it."""
    scored = gauged(values, gauge_of(values, START))
    return scored, otsu(scored.ravel()[:: max(1, scored.size // 60_000)])


def otsu(values: Floats) -> float:
    """Otsu's threshold of any values (n,), exactly: the best of all n−1 splits, halfway."""
    return float(otsu_rows(values[None], np.array([len(values)]))[0])


def otsu_rows(values: Floats, counts: NDArray[np.integer]) -> F64:
    """Otsu's threshold of each row's first `counts` values; (n, m) to (n,); 0 of an empty row."""
    n, m = values.shape
    column = np.arange(m)
    used = column < counts[:, None]
    ordered = np.sort(np.where(used, values, np.inf).astype(np.float64), axis=1)
    sums = np.cumsum(np.where(used, ordered, 0.0), axis=1)
    below = column[:-1] + 1.0
    above = np.maximum(counts[:, None] - below, 1.0)
    gap = sums[:, :-1] / below - (sums[:, -1:] - sums[:, :-1]) / above
    between = np.where(used[:, 1:], below * above * gap * gap, -1.0)
    if m < 2:
        return np.where(counts > 0, sums[:, 0] if m else 0.0, 0.0)
    k = between.argmax(axis=1)
    rows = np.arange(n)
    upper = np.where(counts > 1, ordered[rows, np.minimum(k + 1, m - 1)], ordered[rows, 0])
    return np.where(counts > 0, (np.where(counts > 0, ordered[rows, k], 0.0) + upper) / 2, 0.0)


def _channels(rgb: NDArray[np.uint8], scale: float) -> F64:
    """Smoothed optical densities and grey levels on a coarser grid, (n, 6)."""
    step = max(1, math.ceil(math.sqrt(rgb.shape[0] * rgb.shape[1] / LOOK)))
    small = rgb[::step, ::step]
    sigma = SMOOTH * scale / step
    planes = [table[small[..., c % 3]] for c, table in enumerate(_tables())]
    return np.stack([ndi.gaussian_filter(p, sigma).ravel() for p in planes], axis=1)


def _tables() -> F64:
    """Value of each grey level in the six channels, (6, 256)."""
    level = np.arange(256, dtype=np.float64)
    density = -np.log(np.maximum(level, 1.0) / 255)
    return np.stack([density] * 3 + [level / 255] * 3)


def _weighted(rgb: NDArray[np.uint8], weights: F64) -> F32:
    """Weighted sum of the six channels, float32 (H, W), through one table per colour."""
    tables = weights[:, None] * _tables()
    red, green, blue = (tables[:3] + tables[3:]).astype(np.float32)
    total: F32 = red[rgb[..., 0]] + green[rgb[..., 1]] + blue[rgb[..., 2]]
    return total


def weights_of(rgb: NDArray[np.uint8], scale: float) -> F64:
    """Weights of the six channels: the start and the discriminant, each of deviation 1."""
    channels = _channels(rgb, scale)
    start = channels @ START
    discriminant = _discriminant(channels, start)
    if discriminant is None:
        return START
    spread = max(float((channels @ discriminant).std()), 1e-6)
    return np.round(START / max(float(start.std()), 1e-6) + discriminant / spread, 4)


def _discriminant(channels: F64, start: F64) -> F64 | None:
    """Fisher's direction between the sure pixels on either side of Otsu's threshold of `start`."""
    threshold = otsu(start[:: max(1, len(start) // 60_000)])
    high = start > threshold
    if min(high.sum(), (~high).sum()) < FEW:
        return None
    upper = threshold + GAP * (start[high].mean() - threshold)
    lower = threshold - GAP * (threshold - start[~high].mean())
    inside, outside = channels[start > upper], channels[start < lower]
    if min(len(inside), len(outside)) < FEW:
        return None
    within = np.cov(inside.T) + np.cov(outside.T)
    within += max(RIDGE * np.trace(within) / 6, 1e-9) * np.eye(6)
    direction: F64 = np.linalg.solve(within, inside.mean(axis=0) - outside.mean(axis=0))
    return direction
