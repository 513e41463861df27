"""Contours through the middles of the pixels at a nucleus's edge, as OpenCV finds and fills them.

HoVer-Net and what descends from it write such contours: their pixels are those on the contour and
those inside it. Here x, y are pixel centres at whole numbers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.exchange.outlines import Ring, fill, trace
from napari_noisyseg.slides import Box
from napari_noisyseg.store import Outline

MOST = 2**22
"""Pixels on one contour."""
Ints = NDArray[np.int64]


def contour_of(outline: Outline) -> Ints:
    """The contour (n, 2) of x, y of an outline's largest part, corners joined, holes filled."""
    polygons = trace(outline.mask, outline.box.origin, corners=True)
    rings = [polygon[0].astype(np.int64) for polygon in polygons]
    pixels = _pixels_along(max(rings, key=_area))
    changed = (pixels != np.roll(pixels, 1, axis=0)).any(axis=1)
    pixels = pixels[changed] if changed.any() else pixels[:1]
    step = np.roll(pixels, -1, axis=0) - pixels
    turns = (step != np.roll(step, 1, axis=0)).any(axis=1)
    return pixels[turns] if turns.any() else pixels


def _area(ring: Ints) -> int:
    (x, y), (u, v) = ring[:-1].T, ring[1:].T
    return int(abs((x * v - u * y).sum()))


def _pixels_along(ring: Ints) -> Ints:
    """The pixels inside a ring of pixel edges, in the order in which it passes them."""
    way = np.diff(ring, axis=0)
    lengths = np.abs(way).sum(axis=1)
    step = np.repeat(np.sign(way), lengths, axis=0)
    start = np.repeat(ring[:-1], lengths, axis=0)
    along = np.arange(len(step)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    dx, dy = step.T
    x, y = (start + step * along[:, None]).T
    return np.stack([x - ((dx < 0) | (dy > 0)), y - ((dx < 0) | (dy < 0))], axis=1)


def ring_around(contour: Ring) -> Ring:
    """The contour in corner-based coordinates, closed; around the inner pixels only."""
    return np.vstack([contour, contour[:1]]) + 0.5


def draw(contour: Ring, box: Box) -> NDArray[np.bool_]:
    """The pixels of a box on a contour (n, 2) or inside it, bool (h, w)."""
    mask = fill([(ring_around(contour),)], box)
    start = np.round(contour).astype(np.int64)
    way = np.roll(start, -1, axis=0) - start
    # pixels whose centre an edge meets
    steps = np.maximum(np.gcd(np.abs(way[:, 0]), np.abs(way[:, 1])), 1)
    if steps.sum() > MOST:
        raise NoisySegError("a contour is a tangle of lines, not a nucleus: leave it out")
    along = np.arange(int(steps.sum())) - np.repeat(np.cumsum(steps) - steps, steps)
    x, y = (np.repeat(start, steps, axis=0)
            + np.repeat(way // steps[:, None], steps, axis=0) * along[:, None]).T  # fmt: skip
    inside = (y >= box.y0) & (y < box.y1) & (x >= box.x0) & (x < box.x1)
    mask[y[inside] - box.y0, x[inside] - box.x0] = True
    return mask
