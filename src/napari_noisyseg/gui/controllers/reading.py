"""A review's queue read from the project, out of the way; what happened since, how far it is."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from napari_noisyseg.gui.summary import Summary
from napari_noisyseg.review.queue import ReviewProgress, ReviewQueue
from napari_noisyseg.review.second import second_queue
from napari_noisyseg.store.project import Project

if TYPE_CHECKING:
    from napari_noisyseg.gui.controllers.review import ReviewController
    from napari_noisyseg.gui.work import Submit

FEW = 5000
"""nuclei of a queue that is read again in place, in its order"""


class Reading:
    """Reads the queue into the review's course; `stale`: it is to be read before it is shown."""

    def __init__(self, review: ReviewController, submit: Submit) -> None:
        self._review, self._submit = review, submit
        self.stale = True
        self._version = 0
        self._runs: dict[str, str | None] = {}

    def in_place(self) -> bool:
        """Whether other nuclei of the same runs can take the place of those that are there."""
        queue = self._review.queue
        return queue is not None and len(queue) < FEW and self._runs == self._runs_now()

    def touched(self) -> set[str]:
        """Nuclei of this review that somebody's acts have changed since this was asked last."""
        project, since = self._review.session.project, self._version
        self._version = project.nuclei.version() if project is not None else 0
        if project is None or not self._review.open or not since or self._version == since:
            return set()
        return set().union(*project.nuclei.touched(since).values())

    def progress(self) -> ReviewProgress:
        """How far the review is, by what the project holds: one count, whoever asks."""
        project, review = self._review.session.project, self._review
        if project is None:
            return ReviewProgress(0, 0, 0, 0)
        if review.who.blind and review.queue is not None:
            return review.queue.progress()
        c = project.nuclei.counts()
        return ReviewProgress(c.candidates, c.accepted, c.rejected, c.unsure)

    def summary(self) -> Summary:
        """The line of the step's row."""
        progress = self.progress()
        text = progress.words()
        if progress.reviewed:
            text = text.replace(" reviewed", "")
        done = progress.total > 0 and progress.reviewed >= progress.total
        project = self._review.session.project
        if not progress.total and project is not None and project.nuclei.counts().points:
            text = "the outlines at your clicks"
        return Summary(text, "done" if done else "todo")

    def load(self) -> None:
        """Read it, for whoever judges."""
        project, who = self._review.session.project, self._review.who
        self.stale = False
        if project is None:
            return
        if who.blind:
            second = partial(second_queue, project, who.name)
            failed = partial(self._not_blind, project)
            self._submit(second, partial(self._loaded, project, True), failed)
        else:
            first = partial(ReviewQueue, project, reviewer=who.name)
            self._submit(first, partial(self._loaded, project, False))

    def _loaded(self, project: Project, blind: bool, queue: ReviewQueue) -> None:
        review = self._review
        if project is not review.session.project or blind != review.who.blind:
            return
        review.course.queue, self._runs = queue, self._runs_now()
        queue.reviewer = review.who.name
        self._version = project.nuclei.version()
        queue.refresh()  # what was decided while it was read
        review.arrived()

    def _not_blind(self, project: Project, error: BaseException) -> None:
        """There is nothing for a second person to judge."""
        if project is self._review.session.project:
            self._review.who.be_second(False)
        self._review.session.failed(error)

    def _runs_now(self) -> dict[str, str | None]:
        """By image, whose nuclei are judged."""
        project = self._review.session.project
        if project is None:
            return {}
        return {r.name: project.nuclei.adopted_run(r.name) for r in project.images()}
