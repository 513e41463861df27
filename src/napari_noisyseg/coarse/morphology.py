"""Small binary morphology on the crop of one nucleus; all masks bool (h, w), never wrapped."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

Mask = NDArray[np.bool_]


@lru_cache(maxsize=32)
def disk(radius: float) -> Mask:
    """Pixels within `radius` of the centre of a square of odd side."""
    r = int(radius)
    rows, columns = np.ogrid[-r : r + 1, -r : r + 1]
    inside: Mask = rows * rows + columns * columns <= radius * radius
    return inside


def opened(mask: Mask, radius: float) -> Mask:
    """Opening with a disk; what lies beyond the crop counts as empty."""
    if radius < 1:
        return mask
    element = disk(radius)
    return ndi.binary_dilation(ndi.binary_erosion(mask, element), element)


def filled(mask: Mask) -> Mask:
    """Holes filled: empty regions (4-connected) that do not reach the crop's border."""
    holes, count = ndi.label(~mask)
    if count <= 1:
        return mask
    outside = np.zeros(count + 1, dtype=bool)
    for edge in (holes[0], holes[-1], holes[:, 0], holes[:, -1]):
        outside[edge] = True
    return mask | ~outside[holes]


def holding(mask: Mask, y: int, x: int) -> Mask:
    """The connected component (4-connected) at (y, x); empty when that pixel is empty."""
    parts, _ = ndi.label(mask)
    here = parts[y, x]
    component: Mask = (parts == here) if here else np.zeros_like(mask)
    return component


def without_small(mask: Mask, area: float) -> Mask:
    """Components (4-connected) of fewer than `area` pixels dropped."""
    parts, count = ndi.label(mask)
    if count == 0:
        return mask
    large = np.bincount(parts.ravel(), minlength=count + 1) >= area
    large[0] = False
    kept: Mask = large[parts]
    return kept
