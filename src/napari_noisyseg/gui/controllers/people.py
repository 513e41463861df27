"""Two people on one slide: how far they agree, and the nuclei that they see differently."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_noisyseg.gui.change import Change, What
from napari_noisyseg.review.filters import Filter
from napari_noisyseg.review.second import agreements, views
from napari_noisyseg.store.project import Project

if TYPE_CHECKING:
    from napari_noisyseg.gui.controllers.review import ReviewController
    from napari_noisyseg.gui.work import Submit

NOBODY_YET = (
    "When a second person judges the same nuclei without seeing your decisions, this says how far "
    "you agree."
)
Found = tuple[list[str], dict[str, str]]


class People:
    """What is known of their agreement, read out of the way while somebody `looks`."""

    changed = Signal()
    """something that is shown changed"""

    def __init__(self, review: ReviewController, submit: Submit) -> None:
        self._review, self._submit = review, submit
        self.different: Mapping[str, str] = {}
        """by nucleus, who said what of those that two people judged differently"""
        self._sentences: list[str] = []
        self._looks = self._busy = self._stale = False
        self._deaf = review.session.on(What.DECISIONS | What.PROJECT, self._follow)

    def close(self) -> None:
        """Hear no more."""
        self._deaf()

    @property
    def words(self) -> str:
        """How far people agree, in sentences."""
        if self._review.who.blind:
            return "You see the nuclei that others judged, as they were found, not their decisions."
        return " ".join(self._sentences) or NOBODY_YET

    def look(self, looks: bool) -> None:
        """Somebody looks at it, or does not any more."""
        self._looks = looks
        if looks:
            self.ask()

    @property
    def through(self) -> bool:
        """Whether the review goes through the nuclei that were seen differently."""
        return self._review.course.filter.ids is not None and not self._review.who.blind

    def go_through(self) -> None:
        """Let the review go through the nuclei that are seen differently, or through all again."""
        if self.through:
            self._review.narrow(Filter())
        elif self.different:
            self._review.who.be_second(False)
            self._review.narrow(Filter(ids=frozenset(self.different)))

    def said(self, nucleus: str) -> str:
        """Who said what of a nucleus, while those that are seen differently are gone through."""
        return self.different.get(nucleus, "") if self.through else ""

    def ask(self) -> None:
        """Count again."""
        project = self._review.session.project
        if project is None:
            self._sentences, self.different = [], {}
            self.changed.emit()
        elif self._busy:
            self._stale = True
        else:
            self._busy, self._stale = True, False
            self._submit(partial(_read, project), partial(self._came, project), self._failed)

    def _follow(self, change: Change) -> None:
        if self._looks or change.what & What.PROJECT:
            self.ask()

    def _came(self, project: Project, found: Found) -> None:
        self._busy = False
        if project is self._review.session.project and not self._stale:
            self._sentences, self.different = found
            self.changed.emit()
        elif self._stale:
            self.ask()

    def _failed(self, error: BaseException) -> None:
        self._busy = False
        self._review.session.failed(error)


def _read(project: Project) -> Found:
    return [one.sentence() for one in agreements(project)], views(project)
