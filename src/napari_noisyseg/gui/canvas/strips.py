"""Paths as triangle strips that a shader can make as wide as it likes.

A row of a strip is one corner: x, y, the two parts of the mitre (x, y), the way along the path and
the path's length (all in the layer's pixels), and the side (+1 outside, -1 inside). The mitre says
where the edge of a line lies that is one wide on either side; it points out of a closed path. First
and last corner of a path come twice, so that strips can be put end to end.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

COLUMNS = 7
SIDE = 6
SHARPEST = 0.5
"""cosine of half the turn beyond which a mitre grows no longer"""

Strip = NDArray[np.float32]


def strips_of(outlines: Sequence[Sequence[NDArray[np.floating]]]) -> list[Strip]:
    """One strip for each outline, an outline being some paths (n, 2) of (y, x).

    A path whose last point is its first is closed. All are worked out together: thousands of
    outlines cost little more than one.
    """
    paths = [[path for path in outline if len(path) > 1] for outline in outlines]
    flat = [np.asarray(path, dtype=float) for outline in paths for path in outline]
    if not flat:
        return [np.empty((0, COLUMNS), np.float32) for _ in outlines]
    sizes = np.array([len(path) for path in flat])
    rows = _doubled(_corners(np.concatenate(flat)[:, ::-1], sizes, _owners(paths)), sizes)
    ends = list(accumulate(2 * sum(map(len, outline)) + 2 * len(outline) for outline in paths))
    return np.split(rows, ends[:-1])


def _owners(paths: Sequence[Sequence[NDArray[np.floating]]]) -> NDArray[np.int64]:
    """Of every path the number of its outline."""
    return np.repeat(np.arange(len(paths)), [len(outline) for outline in paths])


def _corners(
    points: NDArray[np.float64], sizes: NDArray[np.int64], owners: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Everything but the side, one row for each of the points (x, y)."""
    first = np.cumsum(sizes) - sizes
    last = first + sizes - 1
    closed = np.all(points[first] == points[last], axis=1)
    index = np.arange(len(points))
    before, after = index - 1, index + 1
    before[first] = np.where(closed, last - 1, first)
    after[last] = np.where(closed, first + 1, last)
    come, go = points - points[before], points[after] - points
    reach = np.hypot(*come.T)
    reach[first] = 0
    way = np.cumsum(reach)
    way -= np.repeat(way[first], sizes)
    turned = points[before, 0] * points[:, 1] - points[before, 1] * points[:, 0]
    area = np.bincount(owners, np.add.reduceat(turned, first))[owners]
    sign = np.repeat(np.where(area < 0, -1.0, 1.0), sizes)
    mitre = _mitre(_unit(come), _unit(go)) * sign[:, None]
    return np.column_stack([points, mitre, way, np.repeat(way[last], sizes)]).astype(np.float32)


def _mitre(come: NDArray[np.float64], go: NDArray[np.float64]) -> NDArray[np.float64]:
    """Half-way between the normals of two directions (x, y), long enough to keep the width."""
    come = np.where(_none(come), go, come)
    both = _unit(come + np.where(_none(go), come, go))
    along = np.where(_none(both), come, both)
    cosine = np.maximum((along * come).sum(axis=1, keepdims=True), SHARPEST)
    return np.asarray(np.stack([along[:, 1], -along[:, 0]], axis=1) / cosine)


def _none(vectors: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of them are of no length, as a column."""
    return np.asarray(~np.any(vectors, axis=1, keepdims=True))


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    size = np.hypot(*vectors.T)[:, None]
    return np.asarray(np.divide(vectors, size, out=np.zeros_like(vectors), where=size > 1e-9))


def _doubled(corners: NDArray[np.float32], sizes: NDArray[np.int64]) -> Strip:
    """Both sides of every point, with the first and the last row of each path twice."""
    both = np.repeat(corners, 2, axis=0)
    sides = np.tile(np.array([1, -1], np.float32), len(corners))
    times = np.ones(len(both), np.int64)
    last = np.cumsum(2 * sizes) - 1
    times[last] = times[last - 2 * sizes + 1] = 2
    return np.repeat(np.column_stack([both, sides]), times, axis=0)
