"""Runs as they stand: those that go on as they tell, those that ended as they were read; no Qt."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from napari_noisyseg.gui.controllers.duties import Submit
from napari_noisyseg.gui.controllers.follow import Follower
from napari_noisyseg.gui.controllers.progress import RunProgress
from napari_noisyseg.gui.controllers.runs import RunRow, read_all, run_row
from napari_noisyseg.store.project import Project


class History:
    """The project's runs, a row each; those that ended before our time are read out of the way.

    `read(latest)` hears that more is known; latest: the newest of those just read, if any.
    """

    def __init__(
        self,
        follower: Follower,
        submit: Submit,
        project: Callable[[], Project | None],
        read: Callable[[str | None], object],
        failed: Callable[[BaseException], object],
    ) -> None:
        self.rows: list[RunRow] = []
        self._follower, self._submit, self._project = follower, submit, project
        self._told, self._failed = read, failed
        self._over: dict[str, RunProgress] = {}

    def clear(self) -> None:
        """Another project: nothing is known of its runs."""
        self._over.clear()

    def goes_on(self, run_id: str) -> None:
        """What is known of a run's end is no longer true."""
        self._over.pop(run_id, None)

    def ended(self, run_id: str, progress: RunProgress) -> None:
        """Remember how a run ended."""
        self._over[run_id] = progress

    def progress(self, run_id: str | None) -> RunProgress | None:
        """A run as it stands, as far as it was read."""
        if run_id is None:
            return None
        return self._follower.progress(run_id) or self._over.get(run_id)

    def look(self) -> None:
        """Runs came or ended: those of which nothing is known are read."""
        self._list(None)

    def _list(self, latest: str | None) -> None:
        project = self._project()
        runs = project.runs.list() if project is not None else []
        runs = [run for run in runs if self._follower.knows(run.id)]
        unread = [run for run in runs if self.progress(run.id) is None]
        if unread:
            done = partial(self._read, project)
            self._submit(partial(read_all, unread), done, self._failed)
        known = [(run, self.progress(run.id)) for run in reversed(runs)]
        self.rows = [run_row(run, found) for run, found in known if found is not None]
        self._told(latest)

    def _read(self, project: Project | None, found: dict[str, RunProgress]) -> None:
        if project is self._project():
            self._over |= {run: p for run, p in found.items() if run not in self._over}
            self._list(max(found, default=None))
