"""The way through a review: its queue, the nuclei of it that are wanted, and which comes next."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from napari_noisyseg.review.filters import Filter
from napari_noisyseg.review.queue import ReviewItem, ReviewQueue

OPEN = ("unreviewed", "unsure")
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

    def passing(self) -> list[ReviewItem]:
        """The nuclei that the review goes through, in its order."""
        items = self.queue.items if self.queue is not None else ()
        if not self.filter.active:
            return list(items)
        return [item for item in items if self.filter.passes(item)]

    def above(self, confidence: float) -> list[ReviewItem]:
        """Those of them without a decision that are at least so sure."""
        if self.queue is None:
            return []
        found = self.queue.above(confidence)
        return [x for x in found if self.filter.passes(x)] if self.filter.active else found

    def of(self, image: str | None) -> list[ReviewItem]:
        """The nuclei of an image, wanted or not."""
        items = self.queue.items if self.queue is not None else ()
        return [item for item in items if item.image == image]

    # --- which comes next ----------------------------------------------------------------------

    def ask_first(self, nuclei: Iterable[str]) -> None:
        """Let these be asked for next."""
        self._first = [*nuclei, *self._first]

    def first_of(self, image: str) -> int | None:
        """The row of an image's first nucleus without a decision, else of its first one."""
        rows = self._rows(lambda x: x.image == image and self.filter.passes(x))
        items = self.queue.items if self.queue is not None else ()
        still = [row for row in rows if items[row].state == "unreviewed"]
        return next(iter(still or rows), None)

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
        passing = self._rows(self.filter.passes)
        passing = [r for r in passing if r > row] + [r for r in passing if r <= row]
        if self.filter.ids is None:
            for state in OPEN:
                for at in passing:
                    if self.queue.items[at].state == state:
                        return at
        return passing[0] if passing else None

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

    def _rows(self, wanted: Callable[[ReviewItem], bool]) -> list[int]:
        items = self.queue.items if self.queue is not None else ()
        return [row for row, item in enumerate(items) if wanted(item)]
