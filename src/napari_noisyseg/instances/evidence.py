"""How much a pixel looks like nucleus: the image's own stain, the outlines so far, the network."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

Floats = NDArray[np.floating[Any]]
F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]
Labels = NDArray[np.int32]

SMOOTH = 1.5
"""Gaussian sigma, px of 0.25 µm."""
CORE, BAND, RING = 2, 2, 10
"""Inside is this deep in a nucleus; outside from one to the other off it; px of 0.25 µm."""
FEW = 50
"""Fewer pixels tell nothing of a class."""
SURE = 4.0
"""Log-odds at which the network's evidence begins to level off."""
WEIGHT = 0.75
"""Weight of the network's evidence (−1..1) beside the stain's, in standard deviations."""
BINS = 64


def standard(values: Floats) -> F32:
    """Mean 0 and deviation 1 over the image; a flat image is 0 everywhere."""
    spread = max(float(values.std()), 1e-6)
    return np.asarray((values - values.mean()) / spread, dtype=np.float32)


def stain(density: Floats, scale: float) -> F32:
    """The smoothed hematoxylin density, standardised."""
    return standard(ndi.gaussian_filter(np.asarray(density, np.float32), SMOOTH * scale))


def network(probability: Floats) -> F32:
    """The network's log-odds, levelled off so that one sure pixel does not outvote many."""
    p = np.clip(np.asarray(probability, np.float32), 1e-4, 1 - 1e-4)
    return np.asarray(WEIGHT * np.tanh(np.log(p / (1 - p)) / SURE), dtype=np.float32)


def discriminant(rgb: NDArray[np.uint8], drawn: Labels, scale: float) -> F32 | None:
    """Fisher's linear discriminant of the optical densities between nuclei and their surroundings.

    It learns this image's stains from the outlines drawn so far; None where these are too few.
    """
    optical = -np.log((np.asarray(rgb, np.float32) + 1) / 256)
    smooth = ndi.gaussian_filter(optical, (SMOOTH * scale, SMOOTH * scale, 0))
    inside, outside = _surely(drawn > 0, scale)
    a, b = smooth[inside], smooth[outside]
    if min(len(a), len(b)) < FEW:
        return None
    within = np.cov(a.T) + np.cov(b.T) + 1e-4 * np.eye(3)
    direction = np.linalg.solve(within, a.mean(axis=0) - b.mean(axis=0))
    return standard(smooth @ direction.astype(np.float32))


def _surely(nuclei: Mask, scale: float) -> tuple[Mask, Mask]:
    to_outside = ndi.distance_transform_edt(nuclei)
    to_nucleus = ndi.distance_transform_edt(~nuclei)
    ring = (to_nucleus > BAND * scale) & (to_nucleus <= RING * scale)
    return to_outside > CORE * scale, ring


def otsu(values: Floats) -> float:
    """Otsu's threshold of all values together."""
    return float(otsu_of_groups(values, np.zeros(values.shape, np.int64), 1)[0])


def otsu_of_groups(values: Floats, group: NDArray[np.integer[Any]], count: int) -> Floats:
    """Otsu's threshold of each group 0..count−1 of a flat array, from histograms; (count,)."""
    if values.size == 0:
        return np.zeros(count)
    low, high = np.percentile(values, [0.1, 99.9])
    width = max(float(high - low), 1e-6) / BINS
    place = np.clip((values - low) / width, 0, BINS - 1).astype(np.int64)
    histogram = np.bincount(group.astype(np.int64) * BINS + place, minlength=count * BINS)
    share = histogram.reshape(count, BINS) + 1e-9
    centre = low + (np.arange(BINS) + 0.5) * width
    below, above = np.cumsum(share, axis=1), share.sum(axis=1, keepdims=True)
    first, total = np.cumsum(share * centre, axis=1), (share * centre).sum(axis=1, keepdims=True)
    above = np.maximum(above - below, 1e-9)
    between = below * above * (first / below - (total - first) / above) ** 2
    return np.asarray(centre[between[:, :-1].argmax(axis=1)] + width / 2)
