"""How right the nuclei are that nobody looked at, kept up to date as the review goes on; no Qt."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.gui.change import Change, What
from napari_noisyseg.review import audit
from napari_noisyseg.review.audit import Rest

if TYPE_CHECKING:
    from napari_noisyseg.gui.controllers.review import ReviewController
    from napari_noisyseg.gui.work import Submit
    from napari_noisyseg.review.queue import ReviewQueue

TOLD = What.DECISIONS | What.OUTLINES | What.CANDIDATES | What.POINTS | What.PROJECT
AT_RANDOM = "This nucleus was chosen at random, to estimate how many of the rest are right."


class Trust:
    """The words on the rest: assessed out of the way, one at a time, the newest state last."""

    changed = Signal()
    """the words changed"""

    def __init__(self, review: ReviewController, submit: Submit) -> None:
        self._review, self._submit = review, submit
        self.found: Rest | None = None
        self._of: ReviewQueue | None = None
        self._busy = self._stale = False
        self._deaf = review.session.on(TOLD, self._follow)

    def close(self) -> None:
        """Hear no more."""
        self._deaf()

    @property
    def words(self) -> str:
        """What is known of the rest, and whether to go on; empty where too few are to be judged."""
        queue = self._review.queue
        if queue is None or self.found is None or self.due or len(queue) < audit.FROM:
            return ""
        told = audit.sentence(self.found)
        text = f"{told[:1].upper()}{told[1:]}. {audit.advice(self.found).capitalize()}."
        return f"{AT_RANDOM} {text}" if self._review.at_random else text

    @property
    def due(self) -> bool:
        """Whether what is known is of other nuclei than those to be judged now."""
        review = self._review
        return self.found is None or self._of is not review.queue or review.reading.stale

    def ask(self) -> None:
        """Assess the rest again."""
        queue, project = self._review.queue, self._review.session.project
        if project is None or queue is None or len(queue) < audit.FROM:
            self.found = None
            return
        if self._review.reading.stale:
            return  # others come to be judged
        if self._busy:
            self._stale = True
            return
        self._busy, self._stale = True, False
        work = partial(audit.assess, project, queue.items)
        self._submit(work, partial(self._assessed, queue), self._failed)

    def _follow(self, change: Change) -> None:
        if change.what & What.PROJECT:
            self.found = None
        if self._review.open:
            self.ask()

    def _assessed(self, queue: ReviewQueue, found: Rest) -> None:
        self._busy, self.found, self._of = False, found, queue
        self.changed.emit()
        if self._stale:
            self.ask()

    def _failed(self, error: BaseException) -> None:
        """A nucleus that went meanwhile: the next decision asks again."""
        self._busy = False
        if not isinstance(error, NoisySegError):
            self._review.session.failed(error)
