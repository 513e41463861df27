"""Which nuclei of a review are wanted now: a value that says yes or no to each."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.review.items import Items, ReviewItem, Rows
from napari_noisyseg.slides import Box
from napari_noisyseg.store.records import State

NO_CLASS = ""
BY_HAND = ""
"""the run of a nucleus that no run found"""
_FIGURES = re.compile(r"\s*(:.*|\d[\d.,]*\s*%?.*)$")


@dataclass(frozen=True, slots=True)
class Filter:
    """What a nucleus must be; a value of None asks for nothing, and all others must hold.

    `field` is a box of level-0 pixels that holds the nucleus's point; `reason` a `kind_of` one;
    `smallest` and `largest` are areas in µm², both included; `ids`: none but these, such as those
    that two people see differently.
    """

    image: str | None = None
    field: Box | None = None
    class_name: str | None = None
    run: str | None = None
    state: State | None = None
    reason: str | None = None
    smallest: float | None = None
    largest: float | None = None
    ids: Collection[str] | None = None

    @property
    def active(self) -> bool:
        """Whether it holds anything back."""
        return self != Filter()

    def passes(self, item: ReviewItem) -> bool:
        """Whether a nucleus is wanted."""
        c = item.candidate
        return (
            (self.image is None or item.image == self.image)
            and (self.state is None or c.state == self.state)
            and (self.class_name is None or (c.class_name or NO_CLASS) == self.class_name)
            and (self.run is None or c.run == self.run)
            and (self.smallest is None or c.area_um2 >= self.smallest)
            and (self.largest is None or c.area_um2 <= self.largest)
            and (self.field is None or self.field.contains(c.y, c.x))
            and (self.ids is None or item.id in self.ids)
            and (self.reason is None or kind_of(item.reason) == self.reason)
        )

    def rows(self, items: Items) -> Rows:
        """Places of those that are wanted, (n,): as `passes` says, without a look at each."""
        y, x = items.places
        wanted = np.ones(len(items), bool)
        if self.image is not None:
            wanted &= items.are_of(self.image)
        if self.state is not None:
            wanted &= items.are(self.state)
        if self.smallest is not None:
            wanted &= items.areas >= self.smallest
        if self.largest is not None:
            wanted &= items.areas <= self.largest
        if self.field is not None:
            y0, x0, y1, x1 = self.field
            wanted &= (y0 <= y + 0.5) & (y + 0.5 < y1) & (x0 <= x + 0.5) & (x + 0.5 < x1)
        if self.class_name is not None:
            wanted &= _each((name or NO_CLASS) == self.class_name for name in items.classes)
        if self.run is not None:
            wanted &= _each(run == self.run for run in items.runs)
        if self.ids is not None:
            ids = frozenset(self.ids)
            wanted &= _each(id in ids for id in items.ids)
        found = np.flatnonzero(wanted)
        if self.reason is not None:
            reasons = (kind_of(item.reason) for item in items.only(wanted))
            found = found[_each(reason == self.reason for reason in reasons)]
        return found


def _each(answers: Iterable[bool]) -> NDArray[np.bool_]:
    return np.fromiter(answers, bool)


def kind_of(reason: str) -> str:
    """A reason without its figures: `large: 3.1 × the usual area` is `large`."""
    return _FIGURES.sub("", reason) or reason


def kinds(items: Iterable[ReviewItem]) -> list[tuple[str, int]]:
    """The kinds of reasons and how often each is given, the most frequent first."""
    found = Counter(kind_of(item.reason) for item in items)
    return sorted(found.items(), key=lambda kind: (-kind[1], kind[0]))
