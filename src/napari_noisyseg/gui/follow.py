"""Runs as Qt signals: their event files are tailed by a timer, also those alive from before."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer, Signal

from napari_noisyseg.events import Event, Failed, Finished
from napari_noisyseg.gui.progress import RunProgress

if TYPE_CHECKING:
    from napari_noisyseg.store.project import Project
    from napari_noisyseg.store.runs import EventTail, Run

POLL_MS = 250
LOOK_EVERY = 8
"""polls between two looks at what other runs there are and whether the followed ones live"""
ALIVE = ("waiting", "running")


@dataclass(slots=True)
class Watch:
    """One followed run: its tail, and its events folded."""

    run: Run
    tail: EventTail
    progress: RunProgress = field(default_factory=RunProgress)


class Follower(QObject):  # type: ignore[misc]
    """Follows the runs of one project.

    `told(run id, events)` carries all new events of a poll at once, so that attaching to a long
    run is one message; `ended(run id)` comes once, after a run's last event or its death;
    `listed()` when runs appeared or changed state.
    """

    told = Signal(str, object)
    ended = Signal(str)
    listed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._project: Project | None = None
        self._watches: dict[str, Watch] = {}
        self._states: dict[str, str] = {}
        self._over: set[str] = set()
        self._polls = 0
        self._timer = QTimer(self, interval=POLL_MS)
        self._timer.timeout.connect(self.poll)

    @property
    def running(self) -> list[str]:
        """Ids of the runs that are followed now, the oldest first."""
        return sorted(self._watches)

    def state(self, run: str) -> str:
        """A run's state as last seen; "lost" for one that is not known."""
        return self._states.get(run, "lost")

    def follow(self, project: Project | None) -> None:
        """Follow this project's runs from now on, those alive from before included."""
        self._timer.stop()
        self._watches.clear()
        self._states.clear()
        self._over.clear()
        self._project, self._polls = project, 0
        if project is not None:
            self.look()
            self._timer.start()

    def stop(self) -> None:
        """Follow nothing any more."""
        self.follow(None)

    def progress(self, run: Run) -> RunProgress:
        """A run as it stands: of a followed one what was told, else read from its file."""
        if run.id in self._watches:
            return self._watches[run.id].progress
        progress = RunProgress()
        progress.take_all(run.events())
        return progress

    def look(self) -> None:
        """See which runs there are and which live; begin to follow the living."""
        if self._project is None:
            return
        before = dict(self._states)
        for run in self._project.runs.list():
            if run.id in self._watches or self._states.get(run.id, "running") in ALIVE:
                self._states[run.id] = run.state()
            known = run.id in self._watches or run.id in self._over
            if self._states[run.id] in ALIVE and not known:
                self._watches[run.id] = Watch(run, run.tail())
        for run_id in [r for r in self._watches if self._states[r] not in ALIVE]:
            self._finish(run_id)
        if before != self._states:
            self.listed.emit()

    def poll(self) -> None:
        """Tell what is new; cheap when nothing is."""
        self._polls += 1
        for run_id, watch in list(self._watches.items()):
            events = watch.tail.poll()
            if events:
                self._tell(run_id, watch, events)
            if watch.progress.end is not None:
                self._states[run_id] = watch.run.state()
                self._finish(run_id)
                self.listed.emit()
        if self._polls % LOOK_EVERY == 0:
            self.look()

    def _tell(self, run_id: str, watch: Watch, events: list[Event]) -> None:
        watch.progress.take_all(events)
        self.told.emit(run_id, events)

    def _finish(self, run_id: str) -> None:
        watch = self._watches.pop(run_id)
        self._over.add(run_id)
        if watch.progress.end is None and (rest := watch.tail.poll()):
            self._tell(run_id, watch, rest)
        if not isinstance(watch.progress.end, Finished | Failed):
            lost = Failed("the training process is gone", "its last checkpoint can be resumed")
            self._tell(run_id, watch, [lost])
        self.ended.emit(run_id)
