"""Runs as signals: whoever polls learns what they say, also those alive from before; no Qt."""

from __future__ import annotations

import time
from dataclasses import dataclass

from psygnal import Signal

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.events import Event
from napari_noisyseg.gui.controllers.progress import RunProgress
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.runs import EventTail, Run
from napari_noisyseg.worker.parent import client
from napari_noisyseg.worker.parent.processor import Processor
from napari_noisyseg.worker.parent.slides import PREDICTS, is_slide

POLL_MS = 250
"""how often whoever has a timer should poll"""
LOOK_EVERY = 6
"""polls between two looks at what other runs there are and whether the followed ones live"""
PATIENCE = 300.0
"""seconds in which a run's folder that nobody works on yet may still become a run"""


@dataclass(slots=True)
class Watch:
    """One followed run: its tail, its events folded, and what it gets of the processor."""

    run: Run
    tail: EventTail
    processor: Processor
    progress: RunProgress


class Follower:
    """Follows the living runs of one project; the dead are never read here, however many.

    `told(run id, events)` carries all new events of a poll at once, so that attaching to a long
    run is one message (none where only the run's state is another); `ended(run id, progress)`
    comes once, after a run's last event or its death; `listed()` when runs appeared or ended.
    """

    told = Signal(str, object)
    ended = Signal(str, object)
    listed = Signal()

    def __init__(self) -> None:
        self._project: Project | None = None
        self._watches: dict[str, Watch] = {}
        self._dying: dict[str, Run] = {}
        self._seen: set[str] = set()
        self._polls = 0

    @property
    def living(self) -> list[str]:
        """Ids of the runs that go on now, the oldest first."""
        return sorted(self._watches)

    def knows(self, run: str) -> bool:
        """Whether a run was seen alive or dead; one that is only being prepared is not."""
        return run in self._seen

    def progress(self, run: str) -> RunProgress | None:
        """A living run as it stands; None for any other."""
        watch = self._watches.get(run)
        return watch.progress if watch is not None else None

    def follow(self, project: Project | None) -> None:
        """Follow this project's runs from now on, those alive from before included."""
        for known in (self._watches, self._dying, self._seen):
            known.clear()
        self._project, self._polls = project, 0
        self.look()

    def stop(self) -> None:
        """Follow nothing any more; the runs go on."""
        self.follow(None)

    def expect(self, run: str) -> None:
        """A run was started, perhaps one that had ended before: look at it again."""
        self._seen.discard(run)
        self._dying.pop(run, None)

    def look(self) -> None:
        """See which runs there are and which live; begin to follow the living."""
        if self._project is None:
            return
        before = len(self._seen), self.living
        for run in self._project.runs.list():
            if run.id not in self._seen and not _unborn(run):
                self._seen.add(run.id)
                if run.alive():
                    progress = RunProgress(unit=_unit(run))
                    self._watches[run.id] = Watch(run, run.tail(), Processor(run), progress)
        for run_id, watch in list(self._watches.items()):
            if not client.is_alive(watch.run):
                self._end(run_id)
            elif watch.progress.take_state(watch.run.stop_requested, watch.processor.look()):
                self.told.emit(run_id, [])
        self._bury()
        if before != (len(self._seen), self.living):
            self.listed.emit()

    def poll(self) -> None:
        """Tell what is new; cheap when nothing is."""
        if self._project is None:
            return
        self._polls += 1
        for run_id, watch in list(self._watches.items()):
            if events := watch.tail.poll():
                self._tell(run_id, watch, events)
            if watch.progress.end is not None and run_id in self._watches:
                self._end(run_id)
                self.listed.emit()
        if self._polls % LOOK_EVERY == 0:
            self.look()

    def _tell(self, run_id: str, watch: Watch, events: list[Event]) -> None:
        watch.progress.take_all(events)
        self.told.emit(run_id, events)

    def _end(self, run_id: str) -> None:
        watch = self._watches[run_id]
        while watch.progress.end is None and (rest := watch.tail.poll()):
            self._tell(run_id, watch, rest)
        if watch.progress.end is None:
            self._tell(run_id, watch, [client.lost(watch.run)])
        # a listener may have turned to another project meanwhile
        if self._watches.pop(run_id, None) is not None:
            self._dying[run_id] = watch.run
            self.ended.emit(run_id, watch.progress)

    def _bury(self) -> None:
        """A child of ours that has ended lingers until it is asked for."""
        for run_id in [r for r, run in self._dying.items() if not client.is_alive(run)]:
            del self._dying[run_id]


def _unit(run: Run) -> str:
    """What a run's work is counted in, before it says so itself: only a training has epochs."""
    if is_slide(run):
        return "tile"
    try:
        return "image" if run.spec().get(PREDICTS) else "epoch"
    except NoisySegError:  # the run says itself what is wrong with it
        return "epoch"


def _unborn(run: Run) -> bool:
    return run.worker() is None and time.time() - run.created < PATIENCE
