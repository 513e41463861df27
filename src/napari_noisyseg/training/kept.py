"""Which rough masks of a field stay as people gave them, beside masks that were redrawn (ours).

A mask that the redrawn one agrees with is as good a guess, and it is what a person said. How much
agreement that takes is learned from clean nuclei that have a rough mask too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

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


def with_kept(redrawn: Labels, given: Given, redraw: Redraw) -> Labels:
    """The redrawn nuclei, with the rough masks in place of those that they agree with, (H, W).

    redraw: how they were redrawn, to see it done where clean nuclei tell how good it is. What is
    settled stays as it is in `redrawn`.
    """
    least = _least(given, redraw)
    settled = given.empty | (given.clean > 0)
    rough, doubtful = (np.where(settled, 0, labels) for labels in (given.rough, redrawn))
    shared = Shared.of(rough, doubtful)
    masks, nuclei = shared.partners()
    stay = shared.iou(masks, nuclei) >= least
    after = np.where(np.isin(doubtful, nuclei[stay]), 0, redrawn)
    kept = np.isin(rough, masks[stay])
    labels: Labels = np.where(kept, rough + redrawn.max(initial=0), after).astype(np.int32)
    return labels


def _least(given: Given, redraw: Redraw) -> float:
    """The overlap from which masks stay, by clean nuclei redrawn as if nobody knew them."""
    told = Shared.of(given.clean, given.rough)
    nuclei, masks = told.partners()
    # a neighbour's mask that reaches a little into a nucleus is not the nucleus's own
    own = 2 * told.pixels(nuclei, masks) >= np.minimum(*told.sizes(nuclei, masks))
    nuclei, masks = nuclei[own], masks[own]
    if len(nuclei) < FEWEST:
        return UNTOLD
    rough = np.where(np.isin(given.rough, masks), given.rough, 0)
    nothing = np.zeros_like(rough)
    redrawn = redraw(Given(rough, nothing, nothing > 0))
    if redrawn is None:
        return UNTOLD
    agreement = Shared.of(rough, redrawn)
    partner = dict(zip(*(names.tolist() for names in agreement.partners()), strict=True))
    drawn = np.array([partner.get(mask, 0) for mask in masks.tolist()])
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

    areas: of either image, by name; pairs: sorted, first times `base` plus second; counts: theirs.
    """

    areas: tuple[Names, Names]
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
        return cls((np.bincount(one.ravel()), np.bincount(other.ravel())), base, pairs, counts)

    def partners(self) -> tuple[Names, Names]:
        """Every first that shares a pixel, and the second that it shares most with, (n,) each."""
        order = np.lexsort((-self.counts, self.pairs // self.base))
        first, at = np.unique(self.pairs[order] // self.base, return_index=True)
        return first, self.pairs[order][at] % self.base

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
