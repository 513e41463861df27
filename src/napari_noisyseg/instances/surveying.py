"""What a place looks like, as planes over an image: at the scale of its nuclei, turned or not.

All planes are on a grid of every `step`-th pixel. Besides smoothed colours and edges there are
rings: what lies at a distance around a pixel, in order of value, so that direction has no say.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

F32 = NDArray[np.float32]
Floats = NDArray[np.floating[Any]]

WIDTHS = (0.15, 0.3, 0.6, 1.0, 1.8)
"""Gaussian sigmas, in radii of a nucleus."""
RINGS = (0.5, 0.75, 1.0, 1.3, 1.7)
"""Distances at which is looked around, in radii."""
DIRECTIONS = 12


def planes(evidence: F32, rgb: NDArray[np.uint8], radius: float, step: int) -> F32:
    """Features (h, w, n) of every `step`-th pixel; `radius` px of a typical nucleus."""
    density = -np.log(np.maximum(rgb, 1).astype(np.float32) / 255)
    colours = [_thinned(density[..., c], step) for c in range(3)]
    seen, size = _thinned(evidence, step), radius / step
    smooth = [ndi.gaussian_filter(c, s * size) for s in WIDTHS for c in (seen, *colours)]
    found = [*smooth, *_blobs(seen, size), _unrest(seen, size), *_around(seen, size)]
    return np.stack([*found, *_edges_around(seen, size)], axis=-1).astype(np.float32)


def planes_of_probability(probability: Floats, radius: float, step: int) -> F32:
    """Further features (h, w, n) from a network's probability (H, W)."""
    seen, size = _thinned(np.asarray(probability, np.float32), step), radius / step
    smooth = [ndi.gaussian_filter(seen, s * size) for s in WIDTHS]
    found = [*smooth, *_blobs(seen, size), *_around(seen, size), *_edges_around(seen, size)]
    return np.stack(found, axis=-1).astype(np.float32)


def _thinned(plane: F32, step: int) -> F32:
    return np.ascontiguousarray(ndi.gaussian_filter(plane, step / 2)[::step, ::step])


def _blobs(seen: F32, size: float) -> list[F32]:
    """Steepness, and how much a place stands out, at every width."""
    steep = [ndi.gaussian_gradient_magnitude(seen, s * size) * (s * size) for s in WIDTHS]
    out = [-ndi.gaussian_laplace(seen, s * size) * (s * size) ** 2 for s in WIDTHS]
    return [*steep, *out]


def _unrest(seen: F32, size: float) -> F32:
    """Deviation of the evidence within a nucleus's inside."""
    mean = ndi.gaussian_filter(seen, 0.4 * size)
    spread = ndi.gaussian_filter(seen * seen, 0.4 * size) - mean * mean
    return np.asarray(np.sqrt(np.maximum(spread, 0)), dtype=np.float32)


def _directions(distance: float) -> list[tuple[float, float]]:
    turn = np.arange(DIRECTIONS) * (2 * np.pi / DIRECTIONS)
    return list(zip(distance * np.sin(turn), distance * np.cos(turn), strict=True))


def _around(seen: F32, size: float) -> list[F32]:
    """Least, lower, middle and upper evidence on each ring."""
    soft = ndi.gaussian_filter(seen, 0.15 * size)
    found: list[F32] = []
    for share in RINGS:
        ring = np.sort([_moved(soft, dy, dx) for dy, dx in _directions(share * size)], axis=0)
        found += [ring[k] for k in (0, 3, 6, 9)]
    return found


def _edges_around(seen: F32, size: float) -> list[F32]:
    """Fall of evidence outwards on each ring, and the steepest on each of the rays."""
    rise = [ndi.gaussian_filter(seen, 0.25 * size, order=o) for o in ((1, 0), (0, 1))]
    rings = []
    for share in RINGS:
        falls = [
            -(_moved(rise[0], share * dy, share * dx) * dy)
            - _moved(rise[1], share * dy, share * dx) * dx
            for dy, dx in _directions(size)
        ]
        rings.append(np.stack(falls))
    steepest = np.sort(np.max(rings, axis=0), axis=0)
    found = [plane for ring in rings for plane in _least(ring)]
    return [*found, steepest[0], steepest[3], steepest.mean(axis=0)]


def _least(ring: F32) -> tuple[F32, F32, F32]:
    ordered = np.sort(ring, axis=0)
    return ordered[1], ordered[4], ordered.mean(axis=0)


def _moved(plane: F32, dy: float, dx: float) -> F32:
    """The plane as seen from (dy, dx) away; beyond its border lies its border."""
    height, width = plane.shape
    rows = np.clip(np.arange(height) + round(dy), 0, height - 1)
    columns = np.clip(np.arange(width) + round(dx), 0, width - 1)
    return plane[np.ix_(rows, columns)]
