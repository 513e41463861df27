"""A training: begun, followed, waited for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from napari_noisyseg.annotation.advice import recommend
from napari_noisyseg.errors import JobError, NoisySegError
from napari_noisyseg.events import Event, Failed, Finished, Started, Stepped
from napari_noisyseg.store import Project, Run, RunState
from napari_noisyseg.store.spec import DeviceName, RunSpec
from napari_noisyseg.worker.adoption.adopt import adopt_finished
from napari_noisyseg.worker.parent import client, process

POLL = 0.1
"""seconds between two looks at what a run says"""


def train(
    project: Project,
    method: str | None = None,
    *,
    epochs: int | None = None,
    time_budget: float | None = None,
    settings: Mapping[str, Any] | None = None,
    images: Sequence[str] | None = None,
    device: DeviceName = "auto",
    seed: int = 0,
    init: str | None = None,
    resume: str | None = None,
) -> Training:
    """Start a training in a separate process; returns at once.

    project: what to learn from; its annotation is copied first, so that you can go on working in
    it. method: one of `noisyseg methods`; None for the one that fits the annotation. epochs, or
    time_budget in seconds: how long; without both, the method's own length. settings: settings of
    the method, by name. images: names; None for all annotated ones. device: auto, cpu, cuda or
    mps. seed: fixes every random choice. init: start from the weights of a run (its id), with the
    package's networks (`starter`) or without (`none`). resume: the id of a run to continue.

    Returns the `Training`: wait for it with `wait()`. Raises NoisySegError if the annotation is
    not enough, a setting is wrong, or torch is missing; then nothing is left behind.
    """
    if epochs and time_budget:
        raise NoisySegError("give only one of epochs and time_budget")
    spec = RunSpec(
        method=method or recommend(project).method,
        config=dict(settings or {}),
        epochs=epochs,
        time_budget=time_budget,
        device=device,
        seed=seed,
        init=init,
        resume=resume,
        images=None if images is None else list(images),
    )
    return Training(client.start(project, spec), project)


class Training:
    """A run that works in a process of its own, or has worked; `train` makes it.

    It lives on when Python ends. `id` names it in the project, `dir` is its folder, `run` its
    record, `last` the last thing it said, `meter` how far it is.
    """

    def __init__(self, run: Run, project: Project | None = None) -> None:
        self.run, self._project = run, project
        self._tail = run.tail()
        self.meter = Meter()
        self.last: Event | None = None

    def __repr__(self) -> str:
        return f"<Training {self.id}: {self.state}>"

    @property
    def id(self) -> str:
        """Its name in the project."""
        return self.run.id

    @property
    def dir(self) -> Path:
        """Its folder, which holds the model, the log and what it found."""
        return self.run.dir

    @property
    def state(self) -> RunState:
        """`waiting`, `running`, `finished`, `stopped`, `failed` or `lost`."""
        return self.run.state()

    def events(self) -> Iterator[Event]:
        """Yield its events until it ends, from where the last call stopped; see `events.py`.

        Raises JobError if its process died without a message (out of memory, for example).
        """
        while not isinstance(self.last, (Finished, Failed)):
            for event in self._tail.poll():
                self.last = event
                yield event
                if isinstance(event, (Finished, Failed)):
                    return
            if self.run.state() == "lost":
                raise self._lost()
            time.sleep(POLL)

    def wait(self, tell: Callable[[float, str], object] | None = None) -> dict[str, float]:
        """Wait until it ends; if the project is open for writing, its results are taken in.

        tell: called with (share done 0..1, a few words) at every step. An interrupt (Ctrl+C) stops
        the waiting, not the run: call `stop()` for that. You may call `wait()` again at any time.

        Returns its figures by name. Raises JobError if it failed.
        """
        for event in self.events():
            done = self.meter.take(event)
            if done is not None and tell is not None:
                tell(*done)
        if isinstance(self.last, Failed):
            raise JobError(f"run {self.id}: {self.last.message} {self.last.hint}".strip())
        if self._project is not None and self._project.writable:
            adopt_finished(self._project)
            if self.run.skipped:
                raise JobError(f"run {self.id}: its results do not fit: {self.run.skipped}")
        return dict(self.last.figures) if isinstance(self.last, Finished) else {}

    def stop(self) -> None:
        """Ask it to stop at its next step; it first writes its results, and can be resumed."""
        client.stop(self.run)

    def _lost(self) -> JobError:
        word = client.lost(self.run)
        log = f" See {self.dir / process.LOG}." if process.has_log(self.run) else ""
        return JobError(f"run {self.id}: {word.message}. {word.hint}{log}")


class Meter:
    """How far a run is, from what it says."""

    def __init__(self) -> None:
        self._per_epoch = 1

    def take(self, event: Event) -> tuple[float, str] | None:
        """The share done (0..1) and a few words after a step; None for other events."""
        if isinstance(event, Started):
            self._per_epoch = max(event.steps_per_epoch, 1)
        if not isinstance(event, Stepped):
            return None
        left = event.seconds_left
        loss = event.losses.get("total", sum(event.losses.values()))
        words = f"epoch {event.epoch + 1}/{event.epochs} loss {loss:.3f}"
        words += "" if left is None else f" {int(left) // 60}:{int(left) % 60:02d} left"
        # steps count on over the epochs; after a smaller batch an epoch may have more of them
        inside = min(max(event.step / self._per_epoch - event.epoch, 0), 1)
        return (event.epoch + inside) / max(event.epochs, 1), words
