"""A slide's tiles over the workers of a scheduler, in whatever order they are ready.

A tile depends only on the slide, the model and the plan, so it may be done twice, anywhere. The
slide's pixels are read by the workers; what travels is the model once, and each tile's nuclei.
"""

from __future__ import annotations

import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from napari_noisyseg.errors import JobError, NoisySegError
from napari_noisyseg.whole import Plan, Tile, TileNuclei
from napari_noisyseg.whole.drive import Source
from napari_noisyseg.whole.tile import LIMIT
from napari_noisyseg.worker.cluster.address import Scheduler
from napari_noisyseg.worker.cluster.connect import LostError, connected
from napari_noisyseg.worker.cluster.offers import offers
from napari_noisyseg.worker.cluster.parcel import RUN, Parcel, predict_tile, unreadable, weights_of

if TYPE_CHECKING:
    from distributed import Client, Future

OUTAGE = 900.0
"""Seconds for which a lost scheduler, or a worker, is waited for."""
PAUSE = 2.0
LOOKS = 0.5
"""Seconds after which it is seen whether to stop, and who works."""
AHEAD = 2
"""Tiles that each worker has to do, so that it never waits for the next."""


class GoneError(JobError):
    """Nobody worked at the scheduler for as long as was waited."""


class Workers(NamedTuple):
    """Workers of a scheduler that predict with one model, in place of this machine."""

    scheduler: Scheduler
    files: Mapping[str, bytes]
    channel: int | None
    device: str

    @classmethod
    def of(cls, scheduler: Scheduler, source: str, channel: int | None, device: str) -> Workers:
        """With a model as `load_model` takes it. Raises NoisySegError for none."""
        return cls(scheduler, weights_of(source), channel, device)

    def check(self, slides: Mapping[str, str]) -> None:
        """Raise NoisySegError where a worker cannot predict these slides (path to content)."""
        check_workers(self.scheduler, slides, RUN in self.files)

    def on(self, slide: Path, plan: Plan, say: Callable[[str], None]) -> Source:
        """What predicts the tiles of a slide."""
        document = plan.document()
        parcel = Parcel(str(slide.absolute()), self.channel, document, self.files, self.device)
        return partial(predicted_there, self.scheduler, parcel, say=say)


def check_workers(scheduler: Scheduler, slides: Mapping[str, str], needs_torch: bool) -> None:
    """Raise NoisySegError where a worker cannot predict these slides (path to content)."""
    with connected(scheduler) as client:
        found = offers(scheduler, client)
        without = [offer.host for offer in found if needs_torch and not offer.torch]
        if without:
            raise NoisySegError(
                f"{scheduler.address}: {without[0]} has no PyTorch, which a run's model needs: pip "
                "install 'napari-noisyseg[train,cluster]' there, or predict with the starter",
                window=f"{without[0]}, a machine of {scheduler.address}, has no PyTorch, which the "
                "selected run needs. Whoever looks after it can install it.",
            )
        _check_reach(scheduler, client, slides)


def predicted_there(
    scheduler: Scheduler,
    parcel: Parcel,
    tiles: Iterable[Tile],
    stopping: Callable[[], bool] = lambda: False,
    say: Callable[[str], None] = lambda _: None,
    outage: float = OUTAGE,
) -> Iterator[TileNuclei]:
    """The nuclei of each tile, in any order, as they are ready; stops early where asked.

    A lost worker's tiles are done by others; a lost scheduler is waited for, `outage` seconds.
    Raises NoisySegError where no worker can read the slide, GoneError where nobody came back, and
    another JobError where the work cannot go on.
    """
    spread = _Spread(parcel, {tile.index for tile in tiles}, stopping, outage)
    heard, since = -1.0, 0.0
    while spread.missing and not stopping():
        try:
            with connected(scheduler) as client:
                _check_reach(scheduler, client, dict([parcel.proven]))
                yield from spread.work(client)
        except LostError as lost:
            if not spread.begun:
                raise
            if heard != spread.heard:
                heard, since = spread.heard, time.monotonic()
            if time.monotonic() - since > outage:
                raise _over(f"{lost}, for {outage / 60:.0f} minutes now", GoneError) from lost
            say(f"{lost}; trying again, {len(spread.missing)} tiles are left")
            time.sleep(PAUSE)


def _check_reach(scheduler: Scheduler, client: Client, slides: Mapping[str, str]) -> None:
    """Raise NoisySegError where a worker cannot read a slide, or has another of its name."""
    same, every = len(offers(scheduler, client)), len(client.nthreads())
    if same < every:
        raise NoisySegError(
            f"{scheduler.address}: {every - same} of {every} workers have another version of "
            "napari-noisyseg, or none: install the same on all of them",
            window=f"{every - same} of {every} machines of {scheduler.address} have another "
            "version of this program, or none. Whoever looks after them can mend that.",
        )
    told = client.run(unreadable, dict(slides), on_error="return")
    doubts = [str(words) for words in told.values() if words]
    if doubts:
        raise NoisySegError(
            f"{doubts[0]}; put the slides where every worker of {scheduler.address} reads them "
            f"under the same path ({len(told) - len(doubts)} of {len(told)} workers can)",
            window=f"{doubts[0]}. The other machines must find the image (of one that was copied "
            "in, the project) under the same path: put it in a folder that all of them share, or "
            "clear the tick at “Run on another machine”.",
        )


def _over(what: str, kind: type[JobError] = JobError) -> JobError:
    """That it cannot go on, and what is left."""
    return kind(
        f"{what}; what is done stays, and the same command goes on from there",
        window=f"{what}. What is done stays, and Resume goes on from there.",
    )


@dataclass
class _Spread:
    """Tiles that are to be done. heard: when the last came; empty: since when nobody works."""

    parcel: Parcel
    missing: set[int]
    stopping: Callable[[], bool]
    outage: float = OUTAGE
    begun: bool = False
    heard: float = 0.0
    empty: float | None = None
    running: dict[Future, int] = field(default_factory=dict)

    def work(self, client: Client) -> Iterator[TileNuclei]:
        """Have them done, as long as the connection holds."""
        self.begun, self.heard = True, time.monotonic()
        waiting, self.running = deque(sorted(self.missing)), {}
        sent = client.scatter(self.parcel, broadcast=True, hash=False)
        while (waiting or self.running) and not self.stopping():
            while waiting and len(self.running) < AHEAD * self._workers(client):
                index = waiting.popleft()
                future = client.submit(predict_tile, sent, index, pure=False)
                self.running[future] = index
            for index, data in self._ready(client):
                self.missing.discard(index)
                self.heard = time.monotonic()
                yield read(index, data)
        client.cancel(list(self.running))

    def _workers(self, client: Client) -> int:
        """How many tasks are worked on at once. Raises GoneError where nobody works for long."""
        found = sum(int(count) for count in client.nthreads().values())
        self.empty = None if found else self.empty or time.monotonic()
        if self.empty is not None and time.monotonic() - self.empty > self.outage:
            raise _over(f"no worker is left, for {self.outage / 60:.0f} minutes now", GoneError)
        return max(1, found)

    def _ready(self, client: Client) -> list[tuple[int, bytes]]:
        """Tiles that were done since; waits a little."""
        from distributed import wait

        try:
            with client.as_current():
                done = wait(list(self.running), LOOKS, "FIRST_COMPLETED").done
        except CancelledError as error:
            raise LostError("the machine that held the model is gone") from error
        except TimeoutError:
            if client.status != "running":
                raise LostError("the connection to the scheduler broke off") from None
            self._workers(client)
            return []
        return [(self.running.pop(future), _result(future)) for future in done]


def _result(future: Future) -> bytes:
    """What a worker found. Raises LostError where the scheduler forgot it, else what went wrong."""
    if future.status == "finished":
        found: bytes = future.result()
        return found
    if future.status != "error":
        raise LostError("the scheduler, or the machine that held the model, is gone")
    error = future.exception()
    if isinstance(error, NoisySegError):
        raise error
    if type(error).__name__ == "KilledWorker":
        raise _over(
            "a tile was given up after its workers died one after the other, most likely because "
            "memory ran out there"
        )
    raise _over(f"a worker failed ({type(error).__name__}: {error})")


def read(index: int, data: bytes) -> TileNuclei:
    """A tile's nuclei as they came, checked like those in a stranger's file."""
    if not isinstance(data, bytes) or len(data) > LIMIT:
        raise JobError(f"a worker sent something else than the nuclei of tile {index}")
    with tempfile.TemporaryDirectory(prefix="noisyseg-") as folder:
        path = Path(folder) / f"{index}.npz"
        path.write_bytes(data)
        found = TileNuclei.read(path)
    if found.index != index:
        raise JobError(f"a worker sent tile {found.index} for tile {index}")
    return found
