"""The one loop: begin or revise, step, validate, preview, checkpoint, each told by an event.

Stopping is ceasing to iterate: `close()` on the generator writes a checkpoint of where it stood.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict, deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from napari_noisyseg.data.loader import TrainingData, seed_of_step
from napari_noisyseg.errors import JobError
from napari_noisyseg.events import (
    Checkpointed,
    Event,
    Previewed,
    Relabelled,
    Started,
    Stepped,
    Validated,
    Warned,
)
from napari_noisyseg.method import Losses, Method, MethodConfig, Outcome, Revision
from napari_noisyseg.store import rounds
from napari_noisyseg.training import checkpoint as checkpoints
from napari_noisyseg.training.checkpoint import Checkpoint, Position
from napari_noisyseg.training.device import free_cache, is_out_of_memory, precision
from napari_noisyseg.training.plan import Plan
from napari_noisyseg.training.timing import Every, Schedule
from napari_noisyseg.training.tree import copied

if TYPE_CHECKING:  # the loop is given one; making pictures is no part of training
    from napari_noisyseg.training.preview import Preview

UNTRUSTED_STEPS = 100


@dataclass
class Training:
    """What one run works on; `folder` is where checkpoints go (None: none are written).

    seconds: time spent on `data` (making batches) and `step` (the method); how long the
    `last validation`, `last revision` and `last saving` took.
    """

    method: Method
    config: MethodConfig
    data: TrainingData
    plan: Plan
    device: str = "cpu"
    folder: Path | None = None
    preview: Preview | None = None
    at: Position = field(default_factory=Position)
    best: dict[str, Tensor] = field(default_factory=dict)
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    outcome: Outcome = field(default_factory=lambda: Outcome({}))
    """of the newest step of this process"""
    saved: int | None = None
    """step of the newest checkpoint of this run"""
    untrusted: int = 0
    """steps in a row without any weight on the labels that a method weighs"""
    deadline: float | None = None
    """the plan's; whoever iterates may move it, as the time that writing will take gets known"""

    def __post_init__(self) -> None:
        self.deadline = self.deadline or self.plan.deadline
        self.at.batch_size = self.at.batch_size or self.config.batch_size
        self.at.seed = self.plan.seed

    def resume(self, checkpoint: Checkpoint) -> None:
        """Go on where a checkpoint stood."""
        self.method.load_state_dict(checkpoint.method)
        self.at, self.best = checkpoint.position, dict(checkpoint.weights)
        for (image, plane), values in checkpoint.planes.items():
            self.data.revise(image, plane, values.astype(np.float32))
        checkpoints.restore_random(checkpoint.random)

    def save(self) -> Path | None:
        """Write a checkpoint of the present state."""
        if self.folder is None:
            return None
        planes = {
            (i, name): values.astype(np.float16)
            for i, image in enumerate(self.data.images)
            for name, values in image.planes.items()
        }
        state = Checkpoint(
            self.at, self.method.state_dict(), self.best, planes, checkpoints.random_state()
        )
        path = checkpoints.save(self.folder / "checkpoints", state)
        self.saved = self.at.step
        return path

    def use_best(self) -> None:
        """Put the best weights in place, where tiles were held out to tell which they are."""
        if self.best:
            self.method.load_weights({k: v.to(self.device) for k, v in self.best.items()})


def train(run: Training) -> Generator[Event, None, None]:
    """Train to the end of the plan; every event is yielded right after what it tells of.

    After the last event the best weights are in place. The same seed gives the same losses, and a
    run that was stopped and resumed the same as one that was not.
    """
    at, data = run.at, run.data
    per_epoch = data.steps_per_epoch(run.config.batch_size)  # even if batches became smaller
    schedule = Schedule(run.plan.epochs or run.config.epochs, per_epoch, run.deadline)
    at.epochs = at.epochs or schedule.epochs
    shown = run.preview.taken if run.preview else 0.0
    previews = Every(run.plan.preview_seconds, shown + run.plan.preview_seconds)
    saves = Every(run.plan.checkpoint_seconds, time.time() + run.plan.checkpoint_seconds)
    try:
        yield Started(type(run.method).title, at.epochs, per_epoch, run.device, run.plan.note)
        yield from _preview(run, previews)
        schedule.start(time.time())
        while True:
            if at.step_in_epoch >= per_epoch:
                yield from _end_epoch(run, schedule)
            schedule.deadline = _deadline(run)
            if schedule.done(at, time.time()) or run.outcome.done:
                break
            yield from _revise(run, schedule)
            yield from _step(run, schedule)
            yield from _preview(run, previews)
            yield from _checkpoint(run, saves)
    except GeneratorExit:
        run.save()
        deque(_last_judgement(run, schedule), maxlen=0)
        raise
    yield from _checkpoint(run, Every(0))
    yield from _last_judgement(run, schedule)


def _deadline(run: Training) -> float | None:
    """When the last step must be done: before what may come after it."""
    if run.deadline is None:
        return None
    revision = run.seconds["last revision"] if run.at.revised < run.at.epoch else 0.0
    return run.deadline - revision - run.seconds["last validation"] - run.seconds["last saving"]


def _last_judgement(run: Training, schedule: Schedule) -> Iterator[Event]:
    """Judge an epoch that was not finished, then put the best weights in place."""
    if run.at.step_in_epoch:
        yield from _validate(run, schedule)
    run.use_best()


def _revise(run: Training, schedule: Schedule) -> Iterator[Event]:
    """The method's first or new label planes, once at the start of an epoch."""
    at, method, images = run.at, run.method, run.data.images
    if at.revised >= at.epoch:
        return
    began = time.perf_counter()
    with precision(run.device):
        first = at.revised < 0
        found = method.begin(images) if first else method.revise(schedule.progress(at), images)
        revisions = list(found)
    changed: defaultdict[str, list[float]] = defaultdict(list)
    for revision in revisions:
        changed[revision.plane].append(_changed(run, revision))
        _keep_round(run, revision)
        run.data.revise(revision.image, revision.plane, revision.values)
    at.revised = at.epoch
    if revisions:
        run.seconds["last revision"] = time.perf_counter() - began
    for plane, shares in changed.items():
        yield Relabelled(at.epoch, plane, float(np.mean(shares)))


def _keep_round(run: Training, revision: Revision) -> None:
    """Write down what a round made of a region's labels, for a person to step through."""
    if revision.round and run.folder is not None:
        name = run.data.images[revision.image].name
        values = {**revision.reasons, "after": revision.values}
        rounds.keep(run.folder, revision.round, run.at.epoch, name, values)


def _changed(run: Training, revision: Revision) -> float:
    """Share of pixels that a revision moves across 0.5 (all that are new)."""
    old = run.data.images[revision.image].planes.get(revision.plane)
    if old is None:
        return 1.0
    return float(np.mean((old > 0.5) != (revision.values > 0.5)))


def _step(run: Training, schedule: Schedule) -> Iterator[Event]:
    """One update; with half the batch where memory does not suffice."""
    at = run.at
    while True:
        began = time.perf_counter()
        try:
            batch = run.data.batch(at.epoch, at.step_in_epoch, at.batch_size)
            made = time.perf_counter()
            torch.manual_seed(seed_of_step(at.seed, at.step))
            with precision(run.device):
                run.outcome = run.method.step(batch, schedule.progress(at))
        except (RuntimeError, MemoryError) as error:
            yield _smaller_batch(run, error)
            continue
        break
    _look_sound(run)
    run.seconds["data"] += made - began
    run.seconds["step"] += time.perf_counter() - made
    epoch = at.epoch
    schedule.advance(at, time.time())
    left = schedule.seconds_left(at, time.time())
    yield Stepped(epoch, at.step, at.epochs, run.outcome.told(), left)


def _look_sound(run: Training) -> None:
    """JobError, naming the last good checkpoint, where losses or a method's weights went astray."""
    at = run.at
    kept = "no checkpoint was written yet"
    if run.saved is not None:
        kept = f"the checkpoint of step {run.saved} is kept"
    if not all(math.isfinite(value) for value in run.outcome.told().values()):
        raise JobError(
            f"the loss is not a number any more (step {at.step}): lower the learning rate (lr); "
            f"{kept}"
        )
    run.untrusted = run.untrusted + 1 if run.outcome.trusted == 0 else 0
    if run.untrusted >= UNTRUSTED_STEPS:
        raise JobError(
            f"no pixel of the rough masks was trusted in the last {UNTRUSTED_STEPS} steps: they "
            "contradict the clean nuclei; check that both belong to the same images, or train with "
            f"'supervised' on the clean ones; {kept}"
        )


def _smaller_batch(run: Training, error: BaseException) -> Warned:
    """Halve the batch after an out-of-memory error; any other error goes on up."""
    if not is_out_of_memory(error):
        raise error
    at = run.at
    least = 2 if run.data.halves else 1
    if at.batch_size <= least:
        raise JobError(
            f"not enough memory on {run.device} even for a batch of {at.batch_size}; "
            "set a smaller crop or width, or preset=small",
            window=f"not enough memory on {run.device} even for a batch of {at.batch_size}: choose "
            "a smaller crop or width, or the small preset, under “Settings of the method”",
        ) from error
    at.batch_size = max(least, at.batch_size // 2)
    error.__traceback__ = None
    free_cache(run.device)
    return Warned(f"memory ran out: going on with batches of {at.batch_size} tiles")


def _end_epoch(run: Training, schedule: Schedule) -> Iterator[Event]:
    """Judge the epoch and go on to the next."""
    yield from _validate(run, schedule)
    run.at.epoch, run.at.step_in_epoch = run.at.epoch + 1, 0


def _validate(run: Training, schedule: Schedule) -> Iterator[Event]:
    """Judge the weights on the held-out tiles, where there are any, and keep the best."""
    at, began = run.at, time.perf_counter()
    losses = _validation_losses(run, schedule)
    run.seconds["last validation"] = time.perf_counter() - began
    if losses is None:
        return
    # of equals the later: where no held-out pixel can be judged, all are 0
    best = at.best is None or losses["total"] <= at.best
    if best:
        at.best, run.best = losses["total"], copied(run.method.weights())
    yield Validated(at.epoch, losses, best)


def _validation_losses(run: Training, schedule: Schedule) -> Losses | None:
    """Mean losses over the held-out tiles; None when none are held out."""
    sums: defaultdict[str, float] = defaultdict(float)
    count = 0
    with torch.no_grad(), precision(run.device):
        for batch in run.data.validation(run.at.batch_size):
            size = len(batch.image)
            for name, value in run.method.validate(batch, schedule.progress(run.at)).items():
                sums[name] += value * size
            count += size
    return {name: value / count for name, value in sums.items()} if count else None


def _preview(run: Training, every: Every) -> Iterator[Previewed]:
    began = time.time()
    if run.preview is None or not every.due(began):
        return
    picture = run.preview.take(run.method, run.at.epoch)
    every.done(began, time.time())
    yield picture


def _checkpoint(run: Training, every: Every) -> Iterator[Checkpointed]:
    began = time.time()
    if not every.due(began):
        return
    path = run.save()
    ended = time.time()
    run.seconds["last saving"] = ended - began
    every.done(began, ended)
    if path is not None and run.folder is not None:
        yield Checkpointed(run.at.epoch, run.at.step, path.relative_to(run.folder).as_posix())
