"""Size and shape of very many nuclei at once, as `regionprops` has them, from stacks of masks."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

_AROUND = np.zeros(50)
"""What a border pixel adds to the perimeter, by its border neighbours: 1 itself, 2 for each beside
it, 10 for each at a corner (Benkrid & Crookes 2000, as in scikit-image)."""
_AROUND[[5, 7, 15, 17, 25, 27]] = 1
_AROUND[[21, 33]] = math.sqrt(2)
_AROUND[[13, 23]] = (1 + math.sqrt(2)) / 2


class Shapes(NamedTuple):
    """Of each mask, (k,): area and perimeter in pixels, eccentricity 0 (a circle) to 1 (a line)."""

    areas: F64
    perimeters: F64
    eccentricities: F64


def shapes_of(stack: NDArray[np.uint8]) -> Shapes:
    """The shapes of masks (k, h, w) of 0 and 1, each with an empty pixel on every side."""
    areas, eccentricities = _moments(stack)
    return Shapes(areas, _perimeters(stack), eccentricities)


def _perimeters(stack: NDArray[np.uint8]) -> F64:
    number, height, width = stack.shape
    flat = stack.ravel()
    # the margins keep one mask from the next where rows are run together
    inner = flat[width + 1 : -width - 1]
    beside = inner & flat[width : -width - 2] & flat[width + 2 : -width]
    border = np.zeros_like(flat)
    border[width + 1 : -width - 1] = inner & ~(
        beside & flat[1 : -2 * width - 1] & flat[2 * width + 1 : -1]
    )
    # sums of three in a row, above, at and below
    sides = border[:-2] + border[2:]
    across = 2 * sides + border[1:-1]
    corners = 10 * sides + 2 * border[1:-1]
    kinds = across[width:-width] + corners[: -2 * width] + corners[2 * width :]
    found = np.flatnonzero(border[width + 1 : -width - 1].view(np.bool_))
    owner = (found + width + 1) // (height * width)
    return np.asarray(np.bincount(owner, _AROUND[kinds[found]], minlength=number), np.float64)


def _moments(stack: NDArray[np.uint8]) -> tuple[F64, F64]:
    """Areas, and eccentricities of the ellipses with the same second moments."""
    _, height, width = stack.shape
    y, x = np.arange(height, dtype=np.float64), np.arange(width, dtype=np.float64)
    # whole numbers that single precision still holds, but for very wide masks
    exact = np.float32 if width < 256 else np.float64
    rows = (stack.astype(exact) @ np.stack([x**0, x, x**2], axis=1).astype(exact)).astype(float)
    area, sum_x, sum_xx = rows.sum(axis=1).T
    sum_y, sum_yy = rows[:, :, 0] @ y, rows[:, :, 0] @ y**2
    sum_xy = rows[:, :, 1] @ y
    # area² times the central moments: whole numbers too, so that a disc is exactly round
    xx, yy = area * sum_xx - sum_x**2, area * sum_yy - sum_y**2
    xy = area * sum_xy - sum_x * sum_y
    apart = np.hypot(xx - yy, 2 * xy)
    longer, shorter = xx + yy + apart, np.maximum(xx + yy - apart, 0)
    return area, np.sqrt(1 - shorter / np.where(longer > 0, longer, 1)) * (longer > 0)
