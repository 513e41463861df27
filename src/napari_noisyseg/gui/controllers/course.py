"""The way through a review: its queue, the nuclei of it that are wanted, and which comes next."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from napari_noisyseg.review.filters import Filter
from napari_noisyseg.review.items import Images, Items
from napari_noisyseg.review.queue import ReviewItem, ReviewQueue
from napari_noisyseg.store.records import State

OPEN: tuple[State, ...] = ("unreviewed", "unsure")
"""states of nuclei that are asked for again"""


class Course:
    """Knows nothing of a window. Rows are places in the queue; None: there is none."""

    def __init__(self) -> None:
        self.queue: ReviewQueue | None = None
        self.filter = Filter()
        self._first: list[str] = []

    def clear(self) -> None:
        """Another project: nothing is known of it yet."""
        self.queue, self.filter, self._first = None, Filter(), []

    # --- what there is -------------------------------------------------------------------------

    def row(self, nucleus: str | None) -> int | None:
        """Where in the queue a nucleus stands."""
        if self.queue is None or nucleus is None:
            return None
        return self.queue.row(nucleus)

    def item(self, nucleus: str | None) -> ReviewItem | None:
        """A nucleus as it is now."""
        row = self.row(nucleus)
        return self.queue.items[row] if self.queue is not None and row is not None else None

    def passing(self) -> Items:
        """The nuclei that the review goes through, in its order."""
        return self._wanted(self._items)

    def above(self, confidence: float) -> Items:
        """Those of them without a decision that are at least so sure."""
        return self._wanted(self._items if self.queue is None else self.queue.above(confidence))

    def of(self, image: str | None) -> Items:
        """The nuclei of an image, wanted or not."""
        return self._items.only(self._items.are_of(image or ""))

    @property
    def _items(self) -> Items:
        return Items(Images().none()) if self.queue is None else self.queue.items

    def _wanted(self, items: Items) -> Items:
        return items.at(self.filter.rows(items)) if self.filter.active else items

    # --- which comes next ----------------------------------------------------------------------

    def ask_first(self, nuclei: Iterable[str]) -> None:
        """Let these be asked for next."""
        self._first = [*nuclei, *self._first]

    def first_of(self, image: str) -> int | None:
        """The row of an image's first nucleus without a decision, else of its first one."""
        items = self._items
        rows = self.filter.rows(items)
        rows = rows[items.are_of(image)[rows]]
        still = rows[items.are("unreviewed")[rows]]
        return next(iter((still if len(still) else rows).tolist()), None)

    def open_after(self, row: int) -> int | None:
        """The next nucleus that is open; where all is decided the first one, to be looked at.

        Where certain nuclei alone are gone through (`Filter.ids`) it is the next of them, decided
        or not.
        """
        if self.queue is None or not len(self.queue):
            return None
        while self._first:
            waiting = self.queue.row(self._first.pop(0))
            if waiting is not None and self.queue.items[waiting].state == "unreviewed":
                return waiting
        if not self.filter.active:
            following = self.queue.following(row)
            return 0 if following is None else following
        return self._passing_after(row)

    def _passing_after(self, row: int) -> int | None:
        assert self.queue is not None
        items = self.queue.items
        passing = self.filter.rows(items)
        passing = np.concatenate([passing[passing > row], passing[passing <= row]])
        if self.filter.ids is None:
            for state in OPEN:
                such = passing[items.are(state)[passing]]
                if len(such):
                    return int(such[0])
        return int(passing[0]) if len(passing) else None

    def after_decision(self, row: int) -> int:
        """The row of what is looked at once this one is decided on; its own where nothing is."""
        following = self.open_after(row)
        if following is None or self.queue is None:
            return row
        still = self.queue.items[following].state in OPEN or self.filter.ids is not None
        return following if still or following == self.queue.drawn() else row

    def step(self, row: int | None, by: int) -> int | None:
        """So far along those that are gone through, decided ones included."""
        if self.queue is None:
            return None
        row = row if row is not None else -1
        for _ in range(len(self.queue)):
            row = (row + by) % len(self.queue)
            if self.filter.passes(self.queue.items[row]):
                return row
        return None

    def coming(self, row: int) -> list[ReviewItem]:
        """What may be looked at next after this one; nothing of the way is used up by asking."""
        if self.queue is None:
            return []
        first = [self.queue.row(one) for one in self._first[:1]]
        usual = self._passing_after(row) if self.filter.active else self.queue.open_after(row)
        rows = [*first, usual, None if self.filter.active else self.queue.draw_after(row)]
        items = self.queue.items
        return [items[at] for at in dict.fromkeys(rows) if at is not None and at != row]
