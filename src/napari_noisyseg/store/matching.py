"""Which of the earlier nuclei each new outline is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

from napari_noisyseg.store.records import Outline

SAME = 0.5
"""At this IoU and above two outlines are the same nucleus."""


def iou(a: Outline, b: Outline) -> float:
    """Intersection over union of two outlines, in pixels."""
    common = _common(a, b)
    return common / (a.area + b.area - common) if common else 0.0


def _common(a: Outline, b: Outline) -> int:
    """Pixels that both have."""
    both = a.box.intersect(b.box)
    if both.empty:
        return 0
    return int(np.count_nonzero(a.mask[both.within(a.box)] & b.mask[both.within(b.box)]))


def match(new: Sequence[Outline], old: Sequence[Outline]) -> dict[int, int]:
    """New index to old index, best IoU first; each at most once, and only from `SAME` on."""
    if not new or not old:
        return {}
    scored = [(iou(new[i], old[j]), i, j) for i, j in _near(new, old)]
    taken: dict[int, int] = {}
    given: set[int] = set()
    for score, i, j in sorted(scored, key=lambda s: (-s[0], s[1], s[2])):
        if score >= SAME and i not in taken and j not in given:
            taken[i] = j
            given.add(j)
    return taken


def swallowed(new: Sequence[Outline], old: Sequence[Outline]) -> set[int]:
    """Which of the new outlines lie by half or more in an old one, and are not that nucleus.

    For example half of a nucleus that a person merged, found again.
    """
    if not new or not old:
        return set()
    same = match(new, old)
    a, b = _corners(new), _corners(old)
    tree = shapely.STRtree(shapely.box(b[:, 1], b[:, 0], b[:, 3], b[:, 2]))
    pairs = tree.query(shapely.box(a[:, 1], a[:, 0], a[:, 3], a[:, 2]))
    return {
        i
        for i, j in zip(*pairs.tolist(), strict=True)
        if i not in same and 2 * _common(new[i], old[j]) >= new[i].area
    }


def _near(new: Sequence[Outline], old: Sequence[Outline]) -> list[tuple[int, int]]:
    """Pairs that can reach `SAME`: the boxes' overlap bounds what the masks have in common."""
    a, b = _corners(new), _corners(old)
    tree = shapely.STRtree(shapely.box(b[:, 1], b[:, 0], b[:, 3], b[:, 2]))
    i, j = tree.query(shapely.box(a[:, 1], a[:, 0], a[:, 3], a[:, 2]))
    low, high = np.maximum(a[i, :2], b[j, :2]), np.minimum(a[i, 2:], b[j, 2:])
    overlap = np.clip(high - low, 0, None).prod(axis=1)
    largest = np.maximum(_areas(new)[i], _areas(old)[j])
    can = overlap >= SAME * largest
    return list(zip(i[can].tolist(), j[can].tolist(), strict=True))


def _corners(outlines: Sequence[Outline]) -> NDArray[np.int64]:
    return np.array([o.box for o in outlines], np.int64)


def _areas(outlines: Sequence[Outline]) -> NDArray[np.int64]:
    return np.array([o.area for o in outlines], np.int64)
