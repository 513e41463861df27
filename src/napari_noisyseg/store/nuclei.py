"""Points, fields, outlines, decisions, classes, rough masks: all that people do, and can undo.

Every writing method is one action, one SQLite transaction: when it returns, it is on the disk.
Errors of all: `NoisySegError` for what is not there (any more), lies outside its image or cannot be
written; nothing is changed then.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator

from napari_noisyseg.store import judged, points
from napari_noisyseg.store.context import Context
from napari_noisyseg.store.judgements import Judgements
from napari_noisyseg.store.painting import Painting
from napari_noisyseg.store.records import STATES, Aspect, Counts, HistoryEntry, JournalEntry

_STATES = "SELECT image, origin, state, count(*) FROM nucleus GROUP BY image, origin, state"
_FIELDS = "SELECT image, count(*) FROM field GROUP BY image"
_COMPLETE = "SELECT image, count(*) FROM field WHERE complete = 1 GROUP BY image"
_OUTLINES = "SELECT image, count(*) FROM outline WHERE frozen = 1 GROUP BY image"

# a click changes nothing in how far the review is
_REVIEW = Aspect.OUTLINES | Aspect.DECISIONS | Aspect.CANDIDATES | Aspect.IMAGES


class Nuclei(Judgements):
    """What people marked and decided, in one project; reach it as `project.nuclei`."""

    def __init__(
        self, context: Context, painting: Painting, images_changed: Callable[[], None]
    ) -> None:
        super().__init__(context, painting)
        self._images_changed = images_changed
        self._judged: tuple[int, dict[int, Counter[str]]] = (-1, {})

    # history

    @contextlib.contextmanager
    def together(self, words: str) -> Iterator[None]:
        """Everything done inside is one action, undone at once; on an error none of it is kept."""
        with self._context.history.action(words):
            yield

    def undo(self) -> str | None:
        """Undo the last action, also after a restart; its words, or None when there is none."""
        return self._travelled(self._context.history.undo())

    def redo(self) -> str | None:
        """Do again what was undone last; its words, or None when there is none."""
        return self._travelled(self._context.history.redo())

    def _travelled(self, words: str | None) -> str | None:
        if words is not None and self.journal(self.version() - 1)[0].aspects & Aspect.IMAGES:
            self._images_changed()
        return words

    def history(self, limit: int = 100) -> list[HistoryEntry]:
        """The newest actions first, undone and dropped ones included."""
        return self._context.history.entries(limit)

    def coming(self, since: int = 0) -> tuple[str, str]:
        """What undo and redo would take up, in words, of the actions after that one; "" for none.

        since: the id of an action (`history`), 0 for all.
        """
        return self._context.history.coming(since)

    def journal(self, since: int = 0) -> list[JournalEntry]:
        """What happened after version `since`, oldest first: what a listener must refresh."""
        return self._context.history.journal(since)

    def touched(self, since: int) -> dict[str, set[str]]:
        """Per image the ids of nuclei that actions, undos and redos after version `since` changed.

        In themselves or in their outline; removed ones are among them. Not those of removed images,
        nor what a run found: adopting it changes no nucleus.
        """
        return self._context.history.touched(since)

    def version(self, image: str | None = None, aspects: Aspect = Aspect.NOTHING) -> int:
        """A number that grows with every action, undo, redo and adoption.

        Of one image, or of some aspects only (say `Aspect.POINTS | Aspect.FIELDS` to know
        whether coarse labels are up to date).
        """
        row = self._context.images.row(image).id if image is not None else None
        return self._context.history.version(row, aspects)

    def counts(self, image: str | None = None) -> Counts:
        """How far the work is, in one image or in all."""
        images = self._context.images
        rows = [images.row(image)] if image is not None else images.rows()
        # what belongs to removed images does not count
        shown = {row.id for row in rows}
        database = self._context.database
        rows_of = database.rows(_STATES)
        nuclei = [r for r in rows_of if r[0] in shown and r[1] != points.DROPPED]
        review = self._review()
        done = {s: sum(review[id][s] for id in shown if id in review) for s in ("all", *STATES)}
        fields_, complete_, outlines_ = (
            sum(r[1] for r in database.rows(sql) if r[0] in shown)
            for sql in (_FIELDS, _COMPLETE, _OUTLINES)
        )
        return Counts(
            points=sum(r[3] for r in nuclei if r[1] != points.FOUND_BY_RUN),
            fields=fields_,
            candidates=done["all"],
            accepted=done["accepted"],
            rejected=done["rejected"],
            unsure=done["unsure"],
            outlines=outlines_,
            complete=complete_,
            nuclei=sum(r[3] for r in nuclei if r[1] != points.FOUND_BY_RUN or r[2] == "accepted"),
        )

    def progress(self) -> dict[str, Counts]:
        """How far the review of each image is: the counts of candidates and decisions alone."""
        review, found = self._review(), {}
        for row in self._context.images.rows():
            n = review.get(row.id, Counter())
            found[row.name] = Counts(0, 0, n["all"], n["accepted"], n["rejected"], n["unsure"])
        return found

    def _review(self) -> dict[int, Counter[str]]:
        """`judged.count`, made again only after something that it depends on."""
        # the version stands still while an action is open, whatever happens in it
        if self._context.history.acting:
            return judged.count(self._context)
        version = self.version(aspects=_REVIEW)
        if self._judged[0] != version:
            self._judged = version, judged.count(self._context)
        return self._judged[1]
