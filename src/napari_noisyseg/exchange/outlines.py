"""Masks to polygons along the edges of pixels, and back, exactly.

Here alone coordinates are x, y and corner-based, as QuPath, ImageScope and HoVer-Net have them:
pixel (row r, column c) is the square from (c, r) to (c + 1, r + 1).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_noisyseg.slides import Box

Ring = NDArray[np.float64]
"""Vertices (n, 2) of x, y; the last repeats the first."""
Polygon = tuple[Ring, ...]
"""The outer ring, then holes."""


def trace(
    mask: NDArray[np.bool_], origin: tuple[int, int] = (0, 0), corners: bool = False
) -> list[Polygon]:
    """Valid polygons that hold exactly the pixels of a mask (h, w); none of an empty mask.

    `origin` is the (y, x) of the mask's first pixel. Pixels that touch at a corner only are
    polygons of their own; with `corners` they are one, whose ring meets itself there.
    """
    offset = np.array([origin[1], origin[0]], float)
    # one polygon for each part: its outer ring, which comes first, and its holes
    parts: dict[int, list[Ring]] = {}
    for part, ring in _rings(mask, corners):
        parts.setdefault(part, []).append(ring + offset)
    return [tuple(rings) for rings in parts.values()]


# A side of a pixel at which the mask ends, from (x, y) by (dx, dy), the pixel on its right: plain
# tuples, of which a mask has hundreds
_Edge = tuple[int, int, int, int]


def _right(edge: _Edge) -> _Edge:
    """The edge after it round its own pixel."""
    x, y, dx, dy = edge
    return x + dx, y + dy, -dy, dx


def _pixel(edge: _Edge) -> tuple[int, int]:
    """The row and column of its pixel."""
    x, y, dx, dy = edge
    return y - (dx < 0 or dy < 0), x - (dx < 0 or dy > 0)


def _rings(mask: NDArray[np.bool_], corners: bool) -> Iterator[tuple[int, Ring]]:
    """Every ring, the mask on its right, and the number of the part that it belongs to."""
    edges = _edges(mask)
    leaving: dict[tuple[int, int], list[_Edge]] = {}
    for edge in edges:
        leaving.setdefault(edge[:2], []).append(edge)
    parts, _ = ndimage.label(mask, np.ones((3, 3)) if corners else None)
    waiting = dict.fromkeys(edges)
    while waiting:
        first = at = next(iter(waiting))
        ring = []
        while at in waiting:
            del waiting[at]
            ring.append(at[:2])
            x, y, dx, dy = at
            found = leaving[x + dx, y + dy]
            at = found[0] if len(found) == 1 else _after(at, found, parts)
        yield int(parts[_pixel(first)]), _corners(np.array(ring, float))


def _edges(mask: NDArray[np.bool_]) -> list[_Edge]:
    """All sides at which the mask ends, the topmost first."""
    padded = np.pad(mask, 1).astype(np.int8)
    down, right = np.diff(padded, axis=0), np.diff(padded, axis=1)
    found: list[_Edge] = []
    for change, sign, start, step in (
        (down, 1, (0, -1), (1, 0)),
        (down, -1, (0, 0), (-1, 0)),
        (right, 1, (0, 0), (0, -1)),
        (right, -1, (-1, 0), (0, 1)),
    ):
        ys, xs = np.nonzero(change == sign)
        places = zip((xs + start[1]).tolist(), (ys + start[0]).tolist(), strict=True)
        found += [(x, y, *step) for x, y in places]
    return found


def _after(edge: _Edge, found: Sequence[_Edge], parts: NDArray[np.integer[Any]]) -> _Edge:
    """The next edge of the ring where pixels touch at a corner only. There parts are kept apart; a
    part that touches itself has a hole that meets its outline in that one point.
    """
    same, other = sorted(found, key=_right(edge).__ne__)
    return same if parts[_pixel(same)] != parts[_pixel(other)] else other


def _corners(ring: NDArray[np.float64]) -> Ring:
    """The vertices where an open ring turns, closed."""
    turns = (np.roll(ring, 1, axis=0) + np.roll(ring, -1, axis=0) != 2 * ring).any(axis=1)
    kept = ring[turns]
    return np.vstack([kept, kept[:1]])


def bounds(polygons: Sequence[Polygon]) -> Box:
    """The smallest box of pixels, at least one, that holds the polygons."""
    corners = np.vstack([ring for polygon in polygons for ring in polygon])
    first = np.floor(corners.min(axis=0)).astype(int)
    last = np.maximum(np.ceil(corners.max(axis=0)).astype(int), first + 1)
    return Box(int(first[1]), int(first[0]), int(last[1]), int(last[0]))


def fill(polygons: Sequence[Polygon], box: Box) -> NDArray[np.bool_]:
    """The pixels of a box whose centres lie inside, bool (box.height, box.width).

    Within one polygon by the even-odd rule, so that holes and crossings need no order. A centre
    on an edge belongs to the right or lower side, so that neighbours never share a pixel.
    """
    mask = np.zeros(box.shape, bool)
    for polygon in polygons:
        mask |= _fill_one(polygon, box)
    return mask


def _fill_one(polygon: Polygon, box: Box) -> NDArray[np.bool_]:
    toggles = np.zeros((box.height, box.width + 1), np.uint8)
    for ring in polygon:
        rows, x = _crossings(ring - (box.x0, box.y0), box.height)
        columns = np.clip(np.floor(x + 0.5), 0, box.width).astype(np.int64)
        np.bitwise_xor.at(toggles, (rows, columns), 1)
    return np.bitwise_xor.accumulate(toggles, axis=1)[:, :-1].astype(bool)


def _crossings(ring: Ring, height: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Where the edges of a ring cross the centre lines of rows 0..height-1: rows, and their x."""
    start, end = ring, np.roll(ring, -1, axis=0)
    upper = np.where((start[:, 1] <= end[:, 1])[:, None], start, end)
    lower = np.where((start[:, 1] <= end[:, 1])[:, None], end, start)
    # the centre line of row r is at r + 0.5; an edge holds its upper end, not its lower
    first = np.clip(np.ceil(upper[:, 1] - 0.5), 0, height).astype(np.int64)
    last = np.clip(np.ceil(lower[:, 1] - 0.5), 0, height).astype(np.int64)
    count = np.maximum(last - first, 0)
    edge = np.repeat(np.arange(len(ring)), count)
    rows = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + first[edge]
    share = (rows + 0.5 - upper[edge, 1]) / (lower[edge, 1] - upper[edge, 1])
    return rows, upper[edge, 0] + share * (lower[edge, 0] - upper[edge, 0])
