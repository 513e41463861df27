"""Which rough masks of a field stay as people gave them, beside masks that were redrawn (ours).

A mask that the redrawn one agrees with is as good a guess, and it is what a person said. How much
agreement that takes is learned from clean nuclei that have a rough mask too. A box is no outline,
and never stays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from napari_noisyseg.instances import Given

Labels = NDArray[np.int32]
Names = NDArray[np.integer[Any]]
Floats = NDArray[np.float64]
Redraw = Callable[[Given], Labels | None]
"""from what people said to nuclei, int32 (H, W), or None where they cannot be redrawn"""

UNTOLD = 0.7
"""overlap (IoU) from which a mask stays where too few clean nuclei tell"""
FEWEST = 8
"""clean nuclei with a rough mask that can tell"""
TRIED = (1.01, 0.8, 0.75, 0.7, 0.65, 0.6, 0.5, 0.4, 0.0)
"""overlaps from which masks may stay; 1.01: none does, 0: all do"""
FILLED = 0.95
"""share of its bounding box from which a mask is a box, neighbours that cut it counted in: 3 of
4249 nuclei of MoNuSeg reach it, and all of 2546 boxes round such nuclei"""


def with_kept(redrawn: Labels, given: Given, redraw: Redraw) -> Labels:
    """The redrawn nuclei, with the rough masks in place of those that they agree with, (H, W).

    redraw: how they were redrawn, to see it done where clean nuclei tell how good it is. What is
    settled stays as it is in `redrawn`.
    """
    boxes = _boxes(given.rough)
    least = _least(given, boxes, redraw)
    settled = given.empty | (given.clean > 0)
    rough, doubtful = (np.where(settled, 0, labels) for labels in (given.rough, redrawn))
    shared = Shared.of(rough, doubtful)
    masks = 1 + np.flatnonzero(shared.areas[0][1:])
    nuclei = shared.best[masks]
    stay = (shared.iou(masks, nuclei) >= least) & ~np.isin(masks, boxes)
    gone = nuclei[stay & (nuclei > 0)]
    after = np.where(np.isin(doubtful, gone), 0, redrawn)
    kept = np.isin(rough, masks[stay])
    labels: Labels = np.where(kept, rough + redrawn.max(initial=0), after).astype(np.int32)
    return labels


def _boxes(rough: Labels) -> Names:
    """The masks that are boxes, (n,)."""
    found = enumerate(ndi.find_objects(rough), start=1)
    filled = [name for name, box in found if box is not None and _filled(rough[box])]
    return np.array(filled, np.int64)


def _filled(part: Labels) -> bool:
    return bool((part > 0).mean() >= FILLED)


def _least(given: Given, boxes: Names, redraw: Redraw) -> float:
    """The overlap from which masks stay, by clean nuclei redrawn as if nobody knew them."""
    told = Shared.of(given.clean, given.rough)
    nuclei = np.flatnonzero(told.best)
    masks = told.best[nuclei]
    # a neighbour's mask that reaches a little into a nucleus is not the nucleus's own
    own = 2 * told.pixels(nuclei, masks) >= np.minimum(*told.sizes(nuclei, masks))
    own &= ~np.isin(masks, boxes)
    nuclei, masks = nuclei[own], masks[own]
    if len(nuclei) < FEWEST:
        return UNTOLD
    rough = np.where(np.isin(given.rough, masks), given.rough, 0)
    nothing = np.zeros_like(rough)
    redrawn = redraw(Given(rough, nothing, nothing > 0))
    if redrawn is None:
        return UNTOLD
    agreement = Shared.of(rough, redrawn)
    drawn = agreement.best[masks]
    met = Shared.of(given.clean, redrawn).iou(nuclei, drawn)
    return least_overlap(agreement.iou(masks, drawn), told.iou(nuclei, masks), met)


def least_overlap(agreement: Floats, rough: Floats, redrawn: Floats) -> float:
    """The overlap from which rough masks stay so that clean nuclei are met best.

    Of each clean nucleus with a rough mask, (n,): IoU of the rough mask and the redrawn one with
    each other, and of either with the nucleus. As few nuclei tell, the largest overlap that is
    within one standard error of the best (Breiman et al. 1984, 3.4.3).
    """
    met = np.array([np.where(agreement >= least, rough, redrawn) for least in TRIED])
    short = met[met.mean(axis=1).argmax()] - met
    error = short.std(axis=1, ddof=1) / np.sqrt(len(agreement))
    return TRIED[int(np.argmax(short.mean(axis=1) <= error))]


@dataclass(frozen=True, slots=True)
class Shared:
    """Pixels that the nuclei of two label images share; 0 is none of them.

    areas: of either image, by name; best: by the first's name, the second that shares most with
    it, 0 for none; pairs: sorted, first times `base` plus second; counts: theirs.
    """

    areas: tuple[Names, Names]
    best: Names
    base: int
    pairs: Names
    counts: Names

    @classmethod
    def of(cls, one: Labels, other: Labels) -> Shared:
        """one, other: int32 (H, W)."""
        both = (one > 0) & (other > 0)
        base = int(other.max(initial=0)) + 1
        pairs, counts = np.unique(
            one[both].astype(np.int64) * base + other[both], return_counts=True
        )
        areas = np.bincount(one.ravel()), np.bincount(other.ravel())
        best = np.zeros_like(areas[0])
        order = np.lexsort((-pairs, counts))
        best[pairs[order] // base] = pairs[order] % base
        return cls(areas, best, base, pairs, counts)

    def pixels(self, first: Names, second: Names) -> Names:
        """Of each pair, (n,)."""
        if not len(self.pairs):
            return np.zeros(len(first), np.int64)
        keys = first * self.base + second
        at = np.searchsorted(self.pairs, keys).clip(max=len(self.pairs) - 1)
        found: Names = np.where(self.pairs[at] == keys, self.counts[at], 0)
        return found

    def sizes(self, first: Names, second: Names) -> tuple[Names, Names]:
        """Areas of both of each pair, (n,)."""
        return self.areas[0][first], self.areas[1][second]

    def iou(self, first: Names, second: Names) -> Floats:
        """Of each pair, (n,); 0 for a second named 0."""
        shared = self.pixels(first, second)
        one, other = self.sizes(first, second)
        return np.asarray(shared / np.maximum(one + other - shared, 1), np.float64)
