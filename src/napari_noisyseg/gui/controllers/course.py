"""The way through a review: its queue, the nuclei of it that are wanted, and which comes next."""

from __future__ import annotations

from collections.abc import Iterable
from time import monotonic
from typing import TYPE_CHECKING

import numpy as np

from napari_noisyseg.review.filters import Filter
from napari_noisyseg.review.items import Images, Items
from napari_noisyseg.review.queue import ReviewItem, ReviewQueue
from napari_noisyseg.store.records import Outline, State

if TYPE_CHECKING:
    from napari_noisyseg.gui.session import Session

OPEN: tuple[State, ...] = ("unreviewed", "unsure")
"""states of nuclei that are asked for again"""
LONGEST = 120.0
"""seconds; a nucleus that lies there for longer is not being looked at"""


class Course:
    """Knows nothing of a window. Rows are places in the queue; None: there is none.

    `away`: images that could not be opened; no nucleus of theirs comes next by itself.
    """

    def __init__(self) -> None:
        self.queue: ReviewQueue | None = None
        self.filter = Filter()
        self.away: set[str] = set()
        self._first: list[str] = []

    def clear(self) -> None:
        """Another project: nothing is known of it yet."""
        self.queue, self.filter, self._first = None, Filter(), []
        self.away.clear()

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

    def id(self, row: int | None) -> str | None:
        """The nucleus of a row."""
        return self.queue.items[row].id if self.queue is not None and row is not None else None

    def passing(self) -> Items:
        """The nuclei that the review goes through, in its order."""
        return self._wanted(self._items)

    def above(self, confidence: float) -> Items:
        """Those of them without a decision that are at least so sure."""
        return self._wanted(self._items if self.queue is None else self.queue.above(confidence))

    def of(self, image: str | None) -> Items:
        """The nuclei of an image, wanted or not."""
        return self._items.only(self._items.are_of(image or ""))

    def at(self, image: str | None, place: tuple[float, float]) -> list[ReviewItem]:
        """The nuclei of an image at a place, (y, x); the smallest first."""
        near = self.of(image).around(*place)
        found = [item for item in near if item.candidate.outline.holds(*place)]
        return sorted(found, key=lambda item: item.candidate.outline.area)

    def outlines(self, nuclei: Iterable[str], image: str | None) -> list[Outline]:
        """The outlines of those of these nuclei that are of an image."""
        items = map(self.item, nuclei)
        return [x.candidate.outline for x in items if x is not None and x.image == image]

    def left_away(self) -> list[str]:
        """Names of the images that are away and have nuclei that are still asked for."""
        items = self.passing()
        still = np.logical_or.reduce([items.are(state) for state in OPEN])
        return sorted(self.away.intersection(items.only(still).images()))

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
        or not. None where all that there is is away.
        """
        if self.queue is None or not len(self.queue):
            return None
        while self._first:
            waiting = self.queue.row(self._first.pop(0))
            if waiting is not None and self._asked_for(waiting):
                return waiting
        return self._passing_after(row) if self.filter.active else self._following(row)

    def _asked_for(self, row: int) -> bool:
        assert self.queue is not None
        return self.queue.items[row].state == "unreviewed" and self._is_here(row)

    def _is_here(self, row: int) -> bool:
        """Whether its image is none of those that are away."""
        return not self.away or self._items[row].image not in self.away

    def _following(self, row: int) -> int | None:
        """What the queue asks for next, past images that are away."""
        assert self.queue is not None
        found = self.queue.following(row)
        if found is None:
            return self._passing_after(-1)
        if self._is_here(found):
            return found
        # the order goes on where it was left, also where one drawn at random is passed over
        return self._passing_after(row if found == self.queue.drawn() else found)

    def _passing_after(self, row: int) -> int | None:
        assert self.queue is not None
        items = self.queue.items
        passing = self.filter.rows(items)
        for image in self.away:
            passing = passing[~items.are_of(image)[passing]]
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
        narrow = self.filter.active
        first = [self.queue.row(one) for one in self._first[:1]]
        usual = self._passing_after(row) if narrow or self.away else self.queue.open_after(row)
        rows = [*first, usual, None if narrow else self.queue.draw_after(row)]
        known = [at for at in dict.fromkeys(rows) if at is not None and at != row]
        return [self.queue.items[at] for at in known if self._is_here(at)]


class Sight:
    """Brings the images of a review to the front, and knows how long a nucleus was looked at.

    One that cannot be opened is told of once, and left alone until a person asks for it.
    """

    def __init__(self, session: Session, course: Course) -> None:
        self._session, self._course = session, course
        self._since: tuple[str | None, float] = (None, 0.0)

    def begin(self, nucleus: str | None) -> None:
        """A nucleus is looked at from now on, or none."""
        if self._since[0] != nucleus:
            self._since = (nucleus, monotonic())

    def looked_ms(self, nucleus: str) -> int | None:
        """How long it has been shown; None for what lay there for long."""
        shown, since = self._since
        ms = round(1000 * (monotonic() - since))
        return ms if shown == nucleus and ms < 1000 * LONGEST else None

    def look_at(self, image: str) -> None:
        """Bring an image to the front, also where it could not be opened before."""
        self._course.away.discard(image)
        with self._session.guard():
            self._session.show_image(image)
        if self._session.image != image:
            self._course.away.add(image)

    def proves_away(self, image: str) -> bool:
        """Bring an image to the front that is not known to be away; whether it proves to be."""
        if image == self._session.image or image in self._course.away:
            return False
        self.look_at(image)
        return image in self._course.away

    def tell_left(self) -> None:
        """Say why nothing comes next while there are nuclei without a decision."""
        left = ", ".join(self._course.left_away())
        if left:
            self._session.notice(
                f"the nuclei left to review are in images that could not be opened: {left}. "
                "Choose one at the top of the panel to try it again"
            )
