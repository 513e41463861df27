"""The rings around very many nuclei at once: what `outlines.trace` gives, without a loop over them.

On every line of the pixel grid the corners of a simple nucleus belong together in pairs: two that
follow each other on a row are joined by an edge, and so are two on a column. So all rings are
walked in step, a corner at a time. Nuclei with holes, in several parts or with pixels that touch
at a corner only are told apart and left to `trace`.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.exchange.outlines import Polygon, trace
from napari_noisyseg.store import Packed

Index = NDArray[np.int64]


class Rings(NamedTuple):
    """Closed rings of n nuclei, one after the other.

    `x`, `y` (k,) are their corners; `counts` (n,) says how many corners each nucleus has, 0 where
    it is not simple; `areas` (n,) are those of all nuclei, in pixels.
    """

    x: Index
    y: Index
    counts: Index
    areas: Index


class _Corners(NamedTuple):
    """Corners of the nuclei `which`, those of one nucleus by row and column; on each column
    `across` is the one that belongs to a corner.
    """

    which: Index
    counts: Index
    x: NDArray[np.int32]
    y: NDArray[np.int32]
    across: Index
    areas: Index


def rings_of(nuclei: Packed) -> Rings:
    """The ring of every simple nucleus: from the first corner of its first row, clockwise."""
    parts = [_corners(which, stack) for which, stack in nuclei.stacks()]
    which, counts, x, y, _, areas = map(np.concatenate, zip(*parts, strict=True))
    before = np.cumsum([0, *(len(p.x) for p in parts[:-1])]).tolist()
    across = np.concatenate([p.across + n for p, n in zip(parts, before, strict=True)])
    ring, whole = _walk(counts, across)
    order = np.argsort(which)
    starts, counts = (np.cumsum(counts) - counts)[order], np.where(whole, counts, 0)[order]
    chosen, counts = _closed(starts, counts)
    corners = ring[chosen]
    left, top = (np.repeat(nuclei.boxes[:, k], counts) for k in (1, 0))
    return Rings(x[corners] + left, y[corners] + top, counts, areas[order])


def _corners(which: Index, stack: NDArray[np.uint8]) -> _Corners:
    """The corners of masks (k, h, w); none of those in which pixels touch at a corner only."""
    number, height, width = stack.shape
    size = height * width
    # masks have an empty border, so that they do not touch when rows are put end to end
    flat = stack.ravel()
    edges = flat[:-width] ^ flat[width:]
    turns = edges[:-1] ^ edges[1:]
    crossed = edges[:-1] & edges[1:] & (flat[: len(turns)] ^ flat[1 : len(turns) + 1])
    for n in set((np.flatnonzero(crossed.view(np.bool_)) // size).tolist()):
        turns[n * size : (n + 1) * size] = 0
    found = np.flatnonzero(turns.view(np.bool_)).astype(np.int32)
    owner = found // size
    place = found - owner * size
    y = place // width
    x = place - y * width
    # 16-bit numbers are sorted several times as fast; they are enough unless a mask is enormous
    small = np.min_scalar_type(number * width)
    column = np.argsort((owner * width + x).astype(small), kind="stable")
    across = np.empty(len(found), np.int64)
    across[column[::2]], across[column[1::2]] = column[1::2], column[::2]
    counts = np.bincount(owner, minlength=number)
    areas = stack.reshape(number, size).sum(axis=1, dtype=np.int64)
    return _Corners(which, counts, x, y, across, areas)


def _walk(counts: Index, across: Index) -> tuple[Index, NDArray[np.bool_]]:
    """The corners in the order of their ring, and which nuclei have no other ring."""
    starts = np.cumsum(counts) - counts
    ring, lengths = np.zeros(len(across), np.int64), np.zeros(len(counts), np.int64)
    walking = np.flatnonzero(counts)
    first = starts[walking]
    at, done = first, 0
    while len(walking):
        # an edge along the row, then one along the column
        ring[first + done], ring[first + done + 1] = at, at ^ 1
        at, done = across[at ^ 1], done + 2
        closed = at == first
        if closed.any():
            lengths[walking[closed]] = done
            going = ~closed
            walking, first, at = walking[going], first[going], at[going]
    return ring, (lengths == counts) & (counts > 0)


def _closed(starts: Index, counts: Index) -> tuple[Index, Index]:
    """Rings that begin at `starts`, one after the other, the first corner of each repeated."""
    simple = counts > 0
    counts = counts + simple
    ends = np.cumsum(counts)
    chosen = np.arange(int(counts.sum())) + np.repeat(starts - (ends - counts), counts)
    chosen[ends[simple] - 1] = starts[simple]
    return chosen, counts


def polygons_of(nuclei: Packed) -> tuple[list[list[Polygon]], Index]:
    """The polygons of each nucleus, as `outlines.trace` gives them, and the areas in pixels."""
    rings = rings_of(nuclei)
    corners = np.stack([rings.x, rings.y], axis=1).astype(float)
    found: list[list[Polygon]] = []
    for k, (begin, end) in enumerate(pairwise(np.cumsum([0, *rings.counts]).tolist())):
        if end > begin:
            found.append([(corners[begin:end],)])
        else:
            outline = nuclei.outline(k)
            found.append(trace(outline.mask, outline.box.origin))
    return found, rings.areas


def texts_of(rings: Rings) -> list[bytes]:
    """The polygon of each ring as GeoJSON has it; empty where there is none."""
    if not len(rings.x):
        return [b""] * len(rings.counts)
    low = int(min(rings.x.min(), rings.y.min()))
    high = int(max(rings.x.max(), rings.y.max()))
    (left, wide), (right, long) = (_words(low, high, *s) for s in (("[", ", "), ("", "], ")))
    words = np.empty((len(rings.x), 2), left.dtype)
    words[:, 0], words[:, 1] = left[rings.x - low], right[rings.y - low]
    lengths = wide[rings.x - low] + long[rings.y - low]
    text = words.tobytes().translate(None, b"\0")
    ends = np.concatenate([[0], np.cumsum(lengths)])[np.cumsum([0, *rings.counts])].tolist()
    # without the comma after the last corner
    return [
        b'{"type": "Polygon", "coordinates": [[%b]]}' % text[begin : end - 2]
        if end > begin
        else b""
        for begin, end in pairwise(ends)
    ]


def _words(low: int, high: int, before: str, after: str) -> tuple[NDArray[np.void], Index]:
    """The numbers low..high as text, filled up with zero bytes; and their lengths."""
    texts = [f"{before}{number}{after}".encode() for number in range(low, high + 1)]
    # eight or sixteen bytes are copied at once
    size = 8 if high < 100_000 else 16
    table = np.array(texts, f"S{size}").view(f"V{size}")
    return table, np.array([len(text) for text in texts])
