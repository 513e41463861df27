"""Masks to polygons along the edges of pixels, and back, exactly.

Here alone coordinates are x, y and corner-based, as QuPath, ImageScope and HoVer-Net have them:
pixel (row r, column c) is the square from (c, r) to (c + 1, r + 1).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

from napari_noisyseg.slides import Box

Ring = NDArray[np.float64]
"""Vertices (n, 2) of x, y; the last repeats the first."""
Polygon = tuple[Ring, ...]
"""The outer ring, then holes."""


def trace(mask: NDArray[np.bool_], origin: tuple[int, int] = (0, 0)) -> list[Polygon]:
    """Valid polygons that hold exactly the pixels of a mask (h, w); none of an empty mask.

    `origin` is the (y, x) of the mask's first pixel. Pixels that touch at a corner only are
    polygons of their own.
    """
    ring = _single_ring(mask)
    polygons = [(ring,)] if ring is not None else _union_of_runs(mask)
    offset = np.array([origin[1], origin[0]], float)
    return [tuple(r + offset for r in polygon) for polygon in polygons]


def _single_ring(mask: NDArray[np.bool_]) -> Ring | None:
    """The one ring around a simple shape, which almost every nucleus is; None for others."""
    padded = np.pad(mask, 1)
    down, right = np.diff(padded.astype(np.int8), axis=0), np.diff(padded.astype(np.int8), axis=1)
    # each edge with the foreground on its right (y grows downwards): a map from start to end
    following: dict[tuple[int, int], tuple[int, int]] = {}
    edges = 0
    for kind, sign, start, end in (
        (down, 1, (0, 0), (1, 0)),
        (down, -1, (1, 0), (0, 0)),
        (right, 1, (0, 1), (0, 0)),
        (right, -1, (0, 0), (0, 1)),
    ):
        ys, xs = np.nonzero(kind == sign)
        # `down` has its first column at x = -1, `right` its first row at y = -1
        y, x = (ys, xs - 1) if kind is down else (ys - 1, xs)
        first = zip((x + start[0]).tolist(), (y + start[1]).tolist(), strict=True)
        last = zip((x + end[0]).tolist(), (y + end[1]).tolist(), strict=True)
        following.update(zip(first, last, strict=True))
        edges += len(ys)
    if not edges or len(following) < edges:  # empty, or two edges leave one corner
        return None
    ring = [next(iter(following))]
    while (end := following[ring[-1]]) != ring[0]:
        ring.append(end)
    return _corners(np.array(ring, float)) if len(ring) == edges else None


def _corners(ring: NDArray[np.float64]) -> Ring:
    """The vertices where an open ring turns, closed."""
    turns = (np.roll(ring, 1, axis=0) + np.roll(ring, -1, axis=0) != 2 * ring).any(axis=1)
    kept = ring[turns]
    return np.vstack([kept, kept[:1]])


def _union_of_runs(mask: NDArray[np.bool_]) -> list[Polygon]:
    change = np.diff(np.pad(mask.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    y, start = np.nonzero(change == 1)
    _, end = np.nonzero(change == -1)
    union = shapely.simplify(shapely.union_all(shapely.box(start, y, end, y + 1)), 0)
    return [
        (
            shapely.get_coordinates(shapely.get_exterior_ring(part)),
            *(shapely.get_coordinates(hole) for hole in part.interiors),
        )
        for part in shapely.get_parts(union)
        if not part.is_empty
    ]


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
