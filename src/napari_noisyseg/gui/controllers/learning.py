"""Outlines that learn by themselves from what is decided in the review; no Qt."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from importlib.util import find_spec
from threading import Event
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_noisyseg.coarse.starter import OUTLINE
from napari_noisyseg.gui.change import Change, What
from napari_noisyseg.store.project import Project
from napari_noisyseg.worker.lessons.adapting import Lesson, keep
from napari_noisyseg.worker.lessons.beside import learn_beside

if TYPE_CHECKING:
    from napari_noisyseg.gui.session import Session
    from napari_noisyseg.gui.work import Submit

FIRST, EVERY = 8, 5
"""decided nuclei from which on there is a lesson (`learning.starter.adapt.FEWEST`), and how many
more make the next one"""
WITHOUT_TORCH = "learning needs the training part: pip install 'napari-noisyseg[train]'"


class Learning:
    """After every few decisions a child learns from all of them; what helps is used at once.

    Switched `off`, nothing is learned; `take_back` returns to the outlines that came with the
    package. The result is used only if it is nearer to decisions that were held out.
    """

    changed = Signal()
    """something that is shown changed"""

    def __init__(self, session: Session, submit: Submit) -> None:
        self.session, self._submit = session, submit
        self.on, self.busy, self.words = True, False, ""
        self._stopping = Event()
        self._counted = self._redrawn = 0
        heard = What.PROJECT | What.LEARNED | What.DECISIONS | What.OUTLINES
        self._deaf = session.on(heard, self._follow)
        self._restart()

    def close(self) -> None:
        """Hear no more, and end what is going on."""
        self._deaf()
        self._stopping.set()

    def switch(self, on: bool) -> None:
        """Learn from decisions, or do not; the project keeps it."""
        self.on, project = on, self.session.project
        if project is not None and self.can_switch:
            with self.session.guard():
                project.learned.pause(not on)
        self._look()
        self.changed.emit()

    @property
    def can_switch(self) -> bool:
        """Whether there is a project that keeps it."""
        project = self.session.project
        return project is not None and project.writable

    @property
    def learned(self) -> bool:
        """Whether the project's outlines learned anything that is in use."""
        project = self.session.project
        return project is not None and project.learned.of(OUTLINE) is not None

    @property
    def enough(self) -> bool:
        """Whether enough nuclei are decided for a lesson."""
        project = self.session.project
        if project is None:
            return False
        counts = project.nuclei.counts()
        return counts.accepted + counts.rejected >= FIRST

    def take_back(self) -> None:
        """Outline as before all lessons, and learn nothing until switched on again; one action."""
        project = self.session.project
        if project is None or not self.learned:
            return
        with self.session.acting():
            project.learned.forget(OUTLINE, pause=True)
        self.words = "outlines are those of the package again"
        self.changed.emit()

    # --- lessons -------------------------------------------------------------------------------

    def _restart(self) -> None:
        """Another project: what it learned from is counted already."""
        self._stopping.set()
        self._stopping = Event()
        project, self.busy = self.session.project, False
        self.on = project is None or not project.learned.paused
        about = self._about()
        self._redrawn = 0
        self._counted = int(about.get("nuclei", 0)) + int(about.get("rejected", 0))
        self.words = str(self._about().get("words", ""))

    def _about(self) -> Mapping[str, Any]:
        """What is known of the lesson in use; empty without one."""
        project = self.session.project
        learned = project.learned.of(OUTLINE) if project is not None else None
        return learned.about if learned is not None else {}

    def _follow(self, change: Change) -> None:
        if change.what & What.PROJECT:
            self._restart()
            self.changed.emit()
            return
        if change.what & What.LEARNED:  # also by an undo of what was taken back
            self.words, project = str(self._about().get("words", "")), self.session.project
            self.on = project is None or not project.learned.paused
            self.changed.emit()
        if change.what & What.OUTLINES and not change.what & What.DECISIONS:
            self._redrawn += 1
        self._look()

    def _look(self) -> None:
        """Begin a lesson where one is due."""
        project = self.session.project
        if project is None or not project.writable or not self.on or self.busy:
            return
        counts = project.nuclei.counts()
        decided = counts.accepted + counts.rejected
        more = max(abs(decided - self._counted), self._redrawn)
        if decided < FIRST or more < EVERY:
            return
        if find_spec("torch") is None:
            self.words = WITHOUT_TORCH
            self.changed.emit()
            return
        self._counted, self._redrawn, self.busy = decided, 0, True
        self._submit(
            partial(learn_beside, project.path, self._stopping),
            partial(self._learned, project),
            partial(self._failed, project),
        )
        self.changed.emit()

    def _learned(self, project: Project, found: tuple[Lesson, bytes] | None) -> None:
        if found is None or project is not self.session.project:
            return
        self.busy = False
        if self.on:
            self._use(project, *found)
            self._look()  # what was decided meanwhile
        self.changed.emit()

    def _use(self, project: Project, lesson: Lesson, weights: bytes) -> None:
        self.words = lesson.words
        if lesson.used:
            with self.session.acting():
                keep(project, lesson, weights, unasked=True)
                self.session.say(lesson.words)

    def _failed(self, project: Project, error: BaseException) -> None:
        if project is self.session.project:
            self.busy, self.words = False, ""
            self.session.failed(error)
            self.changed.emit()
