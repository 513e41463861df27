"""Label images as smooth closed outlines, all labels in one pass.

The outline goes through the middles of the pixels' edges, as marching squares would have it, is
smoothed so that it is no staircase, keeps its area, and loses the points that add nothing. Points
are (y, x), pixel centres on whole numbers. A label lies to the right of the way (y down), so round
a hole the way is reversed; pixels of one label that touch at a corner only are apart.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.slides import Box
from napari_noisyseg.store.records import Outline

Path = NDArray[np.float64]
Index = NDArray[np.int64]

ROUNDS = 6
"""of smoothing: slopes of one pixel in eight are straight then, and a bay of four pixels stays"""
SLACK = 0.06
"""pixels by which one round of thinning may move the line"""
THINNINGS = 4
FEWEST = 12
"""points that a loop keeps at least"""


def paths_of(labels: NDArray[np.integer], box: Box | None = None) -> dict[int, list[Path]]:
    """Closed outlines of every label, each (n, 2) of (y, x), the last point as the first.

    With `box` only that part of the image is looked at; what it cuts is closed along its edge. The
    coordinates are those of the whole image either way.
    """
    part = labels if box is None else labels[box.slices]
    corner = np.array((0, 0) if box is None else (box.y0, box.x0))
    padded = np.pad(part, 1)
    edges = _edges(padded)
    if not len(edges):
        return {}
    order, lengths = _walk(_following(padded, edges))
    edges = edges[order]
    points = _middles(edges, padded.shape[1]) + corner - 1
    values = padded.ravel()[edges[_starts(lengths)] // 4]
    areas = _enclosed(points, edges % 4, lengths)
    points, lengths = _thinned(_smoothed(points, lengths), lengths)
    return _by_label(_to_area(points, lengths, areas), lengths, values)


# --- finding and ordering the edges --------------------------------------------------------------
# An edge is pixel * 4 + side; sides go clockwise: 0 top, 1 right, 2 bottom, 3 left.


def _edges(padded: NDArray[np.integer]) -> Index:
    """All sides of pixels at which their label ends, sorted."""
    flat, width = padded.ravel(), padded.shape[1]
    beside = np.flatnonzero(flat[1:] != flat[:-1])
    below = np.flatnonzero(flat[width:] != flat[:-width])
    sides = ((below + width, 0), (beside, 1), (below, 2), (beside + 1, 3))
    found = [pixels[flat[pixels] != 0] * 4 + side for pixels, side in sides]
    return np.sort(np.concatenate(found))


def _following(padded: NDArray[np.integer], edges: Index) -> Index:
    """Which edge comes after each one, clockwise round its label."""
    flat, width = padded.ravel(), padded.shape[1]
    pixel, side = edges // 4, edges % 4
    ahead = pixel + np.array([1, width, -1, -width])[side]
    across = ahead + np.array([-width, 1, width, -1])[side]
    value = flat[pixel]
    straight, left = flat[ahead] == value, flat[across] == value
    turn_right = pixel * 4 + (side + 1) % 4
    go_on = np.where(left, across * 4 + (side - 1) % 4, ahead * 4 + side)
    return np.searchsorted(edges, np.where(straight, go_on, turn_right))


def _walk(following: Index) -> tuple[Index, Index]:
    """The edges loop by loop, and the length of each loop."""
    after, done = following.tolist(), bytearray(len(following))
    order: list[int] = []
    lengths: list[int] = []
    for start in range(len(after)):
        if done[start]:
            continue
        before, at = len(order), start
        while not done[at]:
            done[at] = 1
            order.append(at)
            at = after[at]
        lengths.append(len(order) - before)
    return np.array(order), np.array(lengths)


def _middles(edges: Index, width: int) -> Path:
    pixel, side = edges // 4, edges % 4
    y, x = np.divmod(pixel, width)
    to_edge = np.array([(-0.5, 0), (0, 0.5), (0.5, 0), (0, -0.5)])
    return np.asarray(np.stack([y, x], axis=1) + to_edge[side])


# --- loops, one after the other in one array -----------------------------------------------------


def _starts(lengths: Index) -> Index:
    return np.cumsum(lengths) - lengths


def _neighbours(lengths: Index) -> tuple[Index, Index]:
    """Of every point of closed loops the one before and the one after."""
    index = np.arange(int(lengths.sum()))
    starts = _starts(lengths)
    before, after = index - 1, index + 1
    before[starts], after[starts + lengths - 1] = starts + lengths - 1, starts
    return before, after


def _enclosed(points: Path, sides: Index, lengths: Index) -> NDArray[np.float64]:
    """Pixels inside each loop of edges; negative for a hole."""
    width = np.array([0.0, 1.0, 0.0, -1.0])[sides] * points[:, 1]
    return np.asarray(np.add.reduceat(width, _starts(lengths)))


def _smoothed(points: Path, lengths: Index) -> Path:
    """Every point drawn towards its neighbours, more often in a long loop than in a short one."""
    before, after = _neighbours(lengths)
    for done in range(ROUNDS):
        # a loop round a pixel or two would vanish
        share = np.repeat(0.25 * (lengths > 4 * done + 8), lengths)[:, None]
        points = points + share * (points[before] + points[after] - 2 * points)
    return points


def _thinned(points: Path, lengths: Index) -> tuple[Path, Index]:
    """Without the points that lie on the line between their neighbours."""
    for _ in range(THINNINGS):
        before, after = _neighbours(lengths)
        starts = _starts(lengths)
        rank = np.arange(len(points)) - np.repeat(starts, lengths)
        chord, way = points[after] - points[before], points - points[before]
        off = np.abs(chord[:, 0] * way[:, 1] - chord[:, 1] * way[:, 0])
        flat = off <= SLACK * np.maximum(np.hypot(*chord.T), 1e-9)
        keep = ~(flat & (rank % 2 == 1) & (np.repeat(lengths, lengths) > FEWEST))
        points, lengths = points[keep], np.add.reduceat(keep.astype(np.int64), starts)
    return points, lengths


def _to_area(points: Path, lengths: Index, areas: NDArray[np.float64]) -> Path:
    """Loops moved out or in until they enclose `areas` again: smoothing draws them together."""
    before, after = _neighbours(lengths)
    starts = _starts(lengths)
    step = points[after] - points
    turned = points[:, 1] * points[after, 0] - points[:, 0] * points[after, 1]
    enclosed = np.add.reduceat(turned, starts) / 2
    around = np.add.reduceat(np.hypot(*step.T), starts)
    move = np.repeat(np.clip((areas - enclosed) / np.maximum(around, 1e-9), -0.5, 0.5), lengths)
    along = points[after] - points[before]
    along /= np.maximum(np.hypot(*along.T), 1e-9)[:, None]
    return points + move[:, None] * np.stack([-along[:, 1], along[:, 0]], axis=1)


def _by_label(
    points: Path, lengths: Index, values: NDArray[np.integer]
) -> dict[int, list[Path]]:  # fmt: skip
    """Closed paths of every label; the array of one loop is its own, not a part of all."""
    found: dict[int, list[Path]] = {}
    at = 0
    for value, length in zip(values.tolist(), lengths.tolist(), strict=True):
        path = np.empty((length + 1, 2))
        path[:-1] = points[at : at + length]
        path[-1] = points[at]
        found.setdefault(value, []).append(path)
        at += length
    return found


def outline_paths(outline: Outline) -> list[NDArray[np.float64]]:
    """One nucleus as closed lines, each (n, 2) of (y, x) in level-0 pixels."""
    traced = paths_of(outline.mask.astype(np.uint8)).get(1, ())
    return [path + outline.box.origin for path in traced]
