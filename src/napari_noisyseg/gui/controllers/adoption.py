"""Finished runs come into the project, out of the way."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from napari_noisyseg.gui.jobs import Jobs
from napari_noisyseg.gui.session import Session
from napari_noisyseg.gui.tools.kit import kit_of
from napari_noisyseg.worker.adoption.adopt import adopt_finished


class Adoption:
    """Adopts what has finished whenever asked; the project's journal tells the rest."""

    def __init__(self, session: Session, jobs: Jobs) -> None:
        self._session = session
        self._jobs = jobs
        self._told: set[str] = set()
        self._busy = self._again = False

    def adopt(self) -> None:
        """Take in finished runs, if the project is ours to write."""
        project = self._session.project
        if self._busy:  # tiles come faster than they are taken in
            self._again = True
        elif project is not None and project.writable:
            self._busy = True
            words: list[str] = []
            done = partial(self._adopted, words=words)
            self._jobs.do(partial(adopt_finished, project, words.append), done, self.failed)

    def failed(self, error: BaseException) -> None:
        """Tell of an error in the background."""
        self._busy = self._again = False
        self._session.failed(error)

    def _adopted(self, found: list[str], words: Sequence[str] = ()) -> None:
        self._busy, again, self._again = False, self._again, False
        if again:
            self.adopt()
        # what was passed over is tried again with every run that ends, and told once
        for word in set(words) - self._told:
            self._session.notice(word)
        self._told |= set(words)
        if found:
            self._session.sync()
            # whoever heard of the nuclei while the labels were still being written read old ones
            kit_of(self._session).results.forget()
