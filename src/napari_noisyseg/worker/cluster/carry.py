"""The child's work where a run is trained on another machine: send it, follow it, bring it home.

Started by `python -m napari_noisyseg.worker` like any training, so that the window, the command
line and a project opened later see no difference. Needs no torch here.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_noisyseg import regular_file
from napari_noisyseg.errors import JobError, NoisySegError
from napari_noisyseg.events import (
    Checkpointed,
    Doing,
    Event,
    Failed,
    Finished,
    Previewed,
    Relabelled,
    Started,
    Warned,
)
from napari_noisyseg.store.spec import RunSpec, read_spec
from napari_noisyseg.worker.cluster import far
from napari_noisyseg.worker.cluster.address import Scheduler
from napari_noisyseg.worker.cluster.arrivals import Arrivals, DiskError
from napari_noisyseg.worker.cluster.connect import LostError, connected
from napari_noisyseg.worker.cluster.offers import Offer, able, offers
from napari_noisyseg.worker.cluster.there import There

if TYPE_CHECKING:
    from distributed import Client

OUTAGE = 900.0
"""Seconds for which a lost scheduler or worker is looked for again."""
PAUSE = 2.0
ASKS = 0.4
"""Seconds between two questions to the worker."""
DEATHS = 3
"""Workers that may be lost one after the other without a new checkpoint."""
LOOK, LOOK_BYTES = "look.txt", 2**16
STOPPED = "the training was stopped before it had begun on another machine"

Stopping = Callable[[], bool]


def carry(folder: Path, stopping: Stopping) -> Iterator[Event]:
    """Have a run trained at its spec's scheduler; the same events and files as at home.

    Where the worker, the scheduler or the network is lost, it is tried again for a quarter of an
    hour, from the last checkpoint that came home. Raises NoisySegError where it cannot be.
    """
    carrier = _Carrier(folder, read_spec(folder), stopping, Arrivals(folder))
    try:
        yield from carrier.work()
    finally:
        carrier.arrivals.drop()


@dataclass
class _Carrier:
    folder: Path
    spec: RunSpec
    stopping: Stopping
    arrivals: Arrivals
    there: There | None = None
    shown: str = ""
    asked: bool = False
    heard: float = 0.0
    deaths: int = 0

    @property
    def scheduler(self) -> Scheduler:
        return Scheduler.of(self.spec.scheduler or "", self.spec.insecure)

    def work(self) -> Iterator[Event]:
        """Try, and try again after a loss, until the run has ended."""
        self.heard = time.monotonic()
        while True:
            try:
                yield from self._once()
                return
            except LostError as lost:
                self._bear(lost)
                yield Warned(f"{lost}; {self._goes_on()}")
                time.sleep(PAUSE)

    def _bear(self, lost: LostError) -> None:
        """Raise JobError where trying again is of no more use."""
        if self.stopping():
            raise self._over(f"{lost}, and the training was to stop") from lost
        if time.monotonic() - self.heard > OUTAGE:
            raise self._over(f"{lost}, for {OUTAGE / 60:.0f} minutes now") from lost
        if self.deaths >= DEATHS:
            raise self._over(
                f"the training was lost {self.deaths} times, most likely because memory ran out on "
                "the other machine; set a smaller crop or width"
            ) from lost

    def _over(self, what: str) -> JobError:
        """That it cannot go on, and what is left to go on from."""
        if not self._checkpoint():
            return JobError(f"{what}. Nothing had come back yet: train again")
        left = "goes on from the last checkpoint that came back"
        return JobError(f"{what}. --resume {left}", window=f"{what}. Resume {left}.")

    def _goes_on(self) -> str:
        step = self._checkpoint()
        return f"trying again, from step {step}" if step else "trying again"

    def _checkpoint(self) -> int:
        """The step of the newest checkpoint at home; 0 for none."""
        steps = [p.name for p in (self.folder / "checkpoints").glob("*") if p.name.isdigit()]
        return max(map(int, steps), default=0)

    def _once(self) -> Iterator[Event]:
        yield Doing("looking for the other machine")
        with connected(self.scheduler) as client:
            if self.there is not None:
                self.there.client, self.there.task = client, None
                if not self._still_there(self.there):
                    self.there = None
                    self.deaths += 1
            if self.there is None:
                if self.deaths >= DEATHS:
                    raise LostError("the machine is gone")
                self.there = There.new(self.folder, self._best(client), client)
                self.shown = ""
                yield from self._send(self.there)
            try:
                yield from self._follow(self.there)
            except LostError:
                raise
            except NoisySegError:
                self._leave(self.there)
                raise

    def _best(self, client: Client) -> Offer:
        return able(self.scheduler, offers(self.scheduler, client), self.spec.device)[0]

    def _still_there(self, there: There) -> bool:
        """Whether the run goes on where it was, after the connection was lost."""
        try:
            told: far.News = there.ask(far.news, there.offset)
        except NoisySegError:
            return False
        return told["begun"]

    def _send(self, there: There) -> Iterator[Event]:
        said = -1
        for share in there.send():
            self.heard = time.monotonic()
            if self.stopping():
                raise JobError(STOPPED)
            if int(10 * share) > said:
                said = int(10 * share)
                yield Doing(f"sending the fields to {there.offer.host} ({share:.0%})")
        yield Doing(f"waiting for a free place on {there.offer.host}")

    # --- following -----------------------------------------------------------------------------

    def _follow(self, there: There) -> Iterator[Event]:
        """Its events, each after the files that it speaks of; ends with its last word."""
        while True:
            self._pass_on(there)
            told = there.news()
            self.heard = time.monotonic()
            while there.due:
                for brought in self._bring(there, there.due[0]):
                    yield brought
                    if isinstance(brought, Finished | Failed):
                        self._leave(there)
                        return
                there.due.popleft()
            if told["ended"] and not told["lines"]:
                self._died(there)
            if not told["lines"]:
                time.sleep(ASKS)

    def _died(self, there: There) -> None:
        """The run ended there without a word."""
        self._log(there)
        self._leave(there)
        self.there, self.deaths = None, self.deaths + 1
        raise LostError(f"the training on {there.offer.host} was killed")

    def _pass_on(self, there: There) -> None:
        """What was asked for at home: to stop, to show another image."""
        if self.stopping() and not self.asked:
            there.ask(far.stop)
            self.asked = True
        with contextlib.suppress(NoisySegError):
            image = regular_file.read_text(self.folder / LOOK, LOOK_BYTES).strip()
            if image != self.shown:
                there.ask(far.look, image)
                self.shown = image

    def _bring(self, there: There, event: Event) -> Iterator[Event]:
        """The event, once its files are at home; pictures that are gone already are passed over."""
        match event:
            case Previewed(path=path):
                if self._came(there, path, self.arrivals.settle_preview):
                    yield event
            case Checkpointed(path=path):
                if self._came(there, path, self.arrivals.settle_checkpoint):
                    self.deaths = 0
                    yield event
            case Relabelled():
                for name in self._fetched(there, "rounds"):
                    self.arrivals.settle_file(name)
                yield event
            case Started():
                for name in self._fetched(there, "settings.json"):
                    self.arrivals.settle_file(name)
                yield replace(event, note=f"{event.note}, of {there.offer.host}".lstrip(", "))
            case Finished():
                yield Doing("bringing the nuclei home")
                yield self._finish(there, event)
            case Failed():
                self._log(there)
                yield event
            case _:
                yield event

    def _fetched(self, there: There, *under: str) -> list[str]:
        files = there.held(*under)
        self.arrivals.fetch(files, there.read)
        # an index names the others, so it takes its place last
        return sorted(files, key=lambda name: (name.endswith("index.json"), name))

    def _came(self, there: There, path: str, settle: Callable[[str], None]) -> bool:
        """Fetch what lies at `path` and settle it; False where it is gone or damaged."""
        try:
            if not self._fetched(there, path):
                return False
            settle(path)
        except (LostError, DiskError):
            raise
        except NoisySegError:
            return False
        return True

    def _finish(self, there: There, event: Finished) -> Finished:
        checkpoints = there.held("checkpoints")
        if checkpoints:
            newest = max(name.rpartition("/")[0] for name in checkpoints)
            self._came(there, newest, self.arrivals.settle_checkpoint)
        self._fetched(there, "results", "model.safetensors")
        self.arrivals.settle_results()
        self.arrivals.drop()
        self._log(there)
        return event

    def _log(self, there: There) -> None:
        """Add the log of there to ours, which is where people look."""
        with contextlib.suppress(NoisySegError, OSError):
            text = there.read("log.txt", 0).decode("utf-8", "replace")
            print(f"--- on {there.offer.host} ---\n{text}", flush=True)

    def _leave(self, there: There) -> None:
        with contextlib.suppress(Exception):
            there.ask(far.clear)
