"""A run on a worker, seen from home: sent, followed, fetched, let go."""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_noisyseg import regular_file
from napari_noisyseg.errors import JobError, NoisySegError
from napari_noisyseg.events import Checkpointed, Event, Previewed, from_json
from napari_noisyseg.store.runs import Run
from napari_noisyseg.worker.cluster import far
from napari_noisyseg.worker.cluster.connect import LostError, broken
from napari_noisyseg.worker.cluster.offers import Offer

if TYPE_CHECKING:
    from distributed import Client, Future

SENT = ("snapshot", "checkpoints")
"""Folders of a run that travel to the worker; beside them the weights to start from."""
INIT = "init.safetensors"
LOOKS = 2.0
"""Seconds between two looks at whether the worker is still known."""
RETURN = 2.0
"""Seconds that bringing the results home is given at least, and times what sending took."""


@dataclass
class There:
    """One run at one worker.

    offset: bytes of its events that were read; due: events whose files are still to be brought,
    which outlive a broken connection; job: its folder there.
    """

    folder: Path
    offer: Offer
    job: str
    offset: int = 0
    sending: float = 0.0
    client: Client | None = None
    task: Future | None = field(default=None, repr=False)
    rest: bytes = b""
    looked: float = 0.0
    due: deque[Event] = field(default_factory=deque, repr=False)

    @classmethod
    def new(cls, folder: Path, offer: Offer, client: Client) -> There:
        """A place for a run at a worker; nothing is sent yet."""
        return cls(folder, offer, f"{secrets.token_hex(8)}/{folder.name}", client=client)

    @property
    def worker(self) -> str:
        """The worker's address."""
        return self.offer.address

    def ask(self, call: Callable[..., Any], *words: Any) -> Any:
        """Call a function of `far` on the worker; LostError where there is no such worker now."""
        assert self.client is not None
        with broken(f"the connection to {self.offer.host}"):
            # Dask would try for half a minute to reach one that is gone
            if time.monotonic() - self.looked > LOOKS:
                self.looked = time.monotonic()
                if self.worker not in self.client.scheduler_info(n_workers=-1)["workers"]:
                    raise self.gone()
            told = self.client.run(call, self.job, *words, workers=[self.worker])
        try:
            return told[self.worker]
        except (KeyError, TypeError) as error:
            raise self.gone() from error

    def gone(self) -> LostError:
        """That the worker is no more."""
        return LostError(f"the machine {self.offer.host} is gone")

    def send(self) -> Iterator[float]:
        """Send the folder's files; yields the share that is there; then starts the run."""
        began = time.monotonic()
        files = list(_files(self.folder))
        whole, done = sum(size for _, size in files) or 1, 0
        for name, size in files:
            with regular_file.opened(self.folder / name) as file:
                at = 0
                while at == 0 or at < size:
                    piece = file.read(far.PIECE)
                    self.ask(far.put, name, at, piece)
                    at += len(piece) or 1
                    yield min(1.0, (done + at) / whole)
            done += size
        self.sending = time.monotonic() - began
        self._order()

    def _order(self) -> None:
        assert self.client is not None
        spec = Run(self.folder).spec()
        left = None
        if spec.get("deadline") is not None:
            left = float(spec["deadline"]) - time.time() - RETURN * (1 + self.sending)
        resumes = any(name.startswith("checkpoints/") for name, _ in _files(self.folder))
        changes = {
            "resume": (spec.get("resume") or self.folder.name) if resumes else None,
            # beside the worker there is no window to give way to
            "scheduler": None, "yielding": False,
        }  # fmt: skip
        self.ask(far.order, {**spec, **changes}, left)
        self.task = self.client.submit(
            far.hold, self.job, key=f"noisyseg-{self.job}", workers=[self.worker],
            allow_other_workers=False, pure=False, retries=0,
        )  # fmt: skip

    def news(self) -> far.News:
        """Hear what the run has said since, into `due`; how it stands. Raises LostError."""
        told: far.News = self.ask(far.news, self.offset)
        self.offset += len(told["lines"])
        *lines, self.rest = (self.rest + told["lines"]).split(b"\n")
        if not told["begun"]:
            self._look_at_task()
        self.due += _newest([event for event in map(from_json, lines) if event is not None])
        return told

    def _look_at_task(self) -> None:
        """Raise what kept the task from starting the run."""
        if self.task is None or self.task.status in ("pending", "finished"):
            return
        if self.task.status != "error":
            raise self.gone()
        error = self.task.exception()
        if isinstance(error, NoisySegError):
            raise error
        raise JobError(f"{self.offer.host} could not start the run ({error})")

    def held(self, *under: str) -> dict[str, int]:
        """The run's files there, below these names, with their sizes."""
        found: dict[str, int] = {}
        for name in under:
            found |= self.ask(far.held, name)
        return found

    def read(self, name: str, offset: int) -> bytes:
        """A piece of one of them."""
        piece: bytes = self.ask(far.take, name, offset)
        return piece


def _files(folder: Path) -> Sequence[tuple[str, int]]:
    """What travels: names and sizes of the run's regular files that training reads."""
    found = [path for name in SENT for path in sorted((folder / name).rglob("*"))]
    found.append(folder / INIT)
    return [
        (path.relative_to(folder).as_posix(), path.stat().st_size)
        for path in found
        if path.is_file() and not path.is_symlink() and ".part" not in path.name
    ]


def _newest(events: list[Event]) -> Iterator[Event]:
    """Of many pictures and checkpoints that came at once only the last: the others are gone."""
    last = {type(event): i for i, event in enumerate(events)}
    for i, event in enumerate(events):
        if not isinstance(event, Previewed | Checkpointed) or last[type(event)] == i:
            yield event
