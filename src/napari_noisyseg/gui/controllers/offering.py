"""The outlines at clicks brought up to date for a review, out of the way, where no run is."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from napari_noisyseg.store.project import Project
from napari_noisyseg.worker.adoption.clicked import offer

if TYPE_CHECKING:
    from napari_noisyseg.gui.session import Session
    from napari_noisyseg.gui.work import Submit


class Offering:
    """Asks for them; while `held()` it waits until `go_on` is called.

    `adopted()` is called when there are new ones, `changed()` when the work is done.
    """

    def __init__(
        self,
        session: Session,
        submit: Submit,
        held: Callable[[], bool],
        adopted: Callable[[], object],
        changed: Callable[[], object],
    ) -> None:
        self._session, self._submit, self._held = session, submit, held
        self._adopted, self._changed = adopted, changed
        self.busy = self._again = False
        self._told: set[str] = set()

    def reset(self) -> None:
        """Another project is open: what is on its way is of no use."""
        self.busy = self._again = False
        self._told.clear()

    def ask(self) -> None:
        """Bring them up to date, now or as soon as that may be."""
        project = self._session.project
        if project is None or not project.writable:
            return
        if self.busy or self._held():
            self._again = True
            return
        self.busy, self._again = True, False
        left: list[str] = []
        self._submit(
            partial(offer, project, tell=left.append),
            partial(self._came, project, left),
            partial(self._failed, project),
        )

    def go_on(self) -> None:
        """What had to wait is done now."""
        if self._again:
            self.ask()

    def _came(self, project: Project, left: list[str], images: list[str]) -> None:
        if project is not self._session.project:
            return
        self.busy = False
        for words in left:  # an image that cannot be read, once
            if words not in self._told:
                self._session.notice(words)
        self._told.update(left)
        if images:
            self._session.sync()
            self._adopted()
        self.go_on()
        self._changed()

    def _failed(self, project: Project, error: BaseException) -> None:
        if project is self._session.project:
            self.busy = False
        self._session.failed(error)
