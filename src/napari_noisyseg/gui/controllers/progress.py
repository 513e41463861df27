"""A run's events folded into what a person wants to know: how far, how long, how well; no Qt."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from napari_noisyseg.events import (
    Checkpointed,
    Event,
    Failed,
    Finished,
    Previewed,
    Relabelled,
    Started,
    Stepped,
    Validated,
    Warned,
)

MOST_POINTS = 1500
"""points kept of a curve; beyond it every second one goes, so that a long run plots fast too"""


def clock(seconds: float) -> str:
    """Seconds as a person reads a clock: 0:21, 12:05, 1:02:05."""
    whole = max(0, round(seconds))
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def first_line(text: str, most: int = 200) -> str:
    """What fits into a notice of a library's long message."""
    line = next(iter(text.strip().splitlines()), "")
    return line if len(line) <= most else f"{line[: most - 1]}…"


@dataclass(slots=True)
class Curve:
    """One line of the plot: x in epochs, y the loss."""

    x: list[float] = field(default_factory=list)
    y: list[float] = field(default_factory=list)
    _every: int = 1
    _seen: int = 0

    def add(self, x: float, y: float) -> None:
        """One more point; points that are no number are left out."""
        if y != y or y in (float("inf"), float("-inf")):
            return
        self._seen += 1
        if (self._seen - 1) % self._every:
            return
        self.x.append(x)
        self.y.append(y)
        if len(self.x) > MOST_POINTS:
            self.x, self.y, self._every = self.x[::2], self.y[::2], self._every * 2


@dataclass(slots=True)
class RunProgress:
    """Where a run stands by all its events so far; `take` is given each once, in order."""

    method: str = ""
    device: str = ""
    note: str = ""
    epoch: int = 0
    epochs: int = 0
    seconds_left: float | None = None
    training: dict[str, Curve] = field(default_factory=dict)
    validation: dict[str, Curve] = field(default_factory=dict)
    best: float | None = None
    previews: dict[str, Previewed] = field(default_factory=dict)
    relabelled: Relabelled | None = None
    checkpoint: Checkpointed | None = None
    warnings: list[str] = field(default_factory=list)
    end: Finished | Failed | None = None
    unit: str = "epoch"
    _steps_per_epoch: int = 1
    _steps_in_epoch: int = 0

    def take_all(self, events: Iterable[Event]) -> None:
        """Fold many events."""
        for event in events:
            self.take(event)

    def take(self, event: Event) -> None:
        """Fold one event."""
        match event:
            case Started():
                self._start(event)
            case Stepped():
                self._step(event)
            case Validated():
                self._validate(event)
            case Previewed(image=image):
                self.previews[image] = event
            case Relabelled():
                self.relabelled = event
            case Checkpointed():
                self.checkpoint = event
            case Warned(message=message):
                self.warnings.append(message)
            case Finished() | Failed():
                self.end, self.seconds_left = event, None

    def _start(self, event: Started) -> None:
        self.method, self.device, self.note = event.method, event.device, event.note
        self.epochs, self._steps_per_epoch = event.epochs, max(1, event.steps_per_epoch)
        self.unit = "epoch" if event.steps_per_epoch else "image"
        self.end = None

    def _step(self, event: Stepped) -> None:
        if event.epoch != self.epoch:
            self._steps_in_epoch = 0
        self.epoch, self.epochs, self.seconds_left = event.epoch, event.epochs, event.seconds_left
        self._steps_in_epoch += 1
        x = self.epoch + min(1.0, self._steps_in_epoch / self._steps_per_epoch)
        for name, value in event.losses.items():
            self.training.setdefault(name, Curve()).add(x, value)

    def _validate(self, event: Validated) -> None:
        for name, value in event.losses.items():
            self.validation.setdefault(name, Curve()).add(event.epoch + 1, value)
        if event.best:
            self.best = event.losses.get("total")

    @property
    def fraction(self) -> float:
        """How much is done, in 0..1."""
        if isinstance(self.end, Finished) and not self.end.stopped:
            return 1.0
        if not self.epochs:
            return 0.0
        part = min(1.0, self._steps_in_epoch / self._steps_per_epoch)
        return min(1.0, (self.epoch + part) / self.epochs)

    def words(self) -> str:
        """One line: `epoch 12/30 · 0:21 left`, or how it ended."""
        match self.end:
            case Failed(message=message):
                return first_line(message)
            case Finished(stopped=True):
                return f"stopped at {self.unit} {self.epoch + 1}/{self.epochs} · resumes from there"
            case Finished(seconds=seconds):
                return f"finished in {clock(seconds)}"
        if not self.epochs:
            return "starting …"
        line = f"{self.unit} {min(self.epoch + 1, self.epochs)}/{self.epochs}"
        return line if self.seconds_left is None else f"{line} · {clock(self.seconds_left)} left"
