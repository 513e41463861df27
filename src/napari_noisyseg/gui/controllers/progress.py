"""A run's events folded into what a person wants to know: how far, how long, how well; no Qt."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from napari_noisyseg.events import (
    Checkpointed,
    Doing,
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
from napari_noisyseg.gui.summary import Mark

MOST_POINTS = 1500
"""points kept of a curve; beyond it every second one goes, so that a long run plots fast too"""
FEWEST, ENOUGH = 20, 100
"""steps below which a run has learned nothing, and from which on it has, however large an epoch"""
WAITING = "waiting for the processor: other programs use it"


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
    """Where a run stands by all its events so far; `take` is given each once, in order.

    steps: updates made in all. doing: what it is at while it makes none. stopping: it was asked to
    stop. waiting: other programs keep the processor from it.
    """

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
    steps: int = 0
    doing: str = ""
    stopping: bool = False
    waiting: bool = False
    _steps_per_epoch: int = 0
    _steps_in_epoch: int = 0
    _complete: bool = False

    def take_all(self, events: Iterable[Event]) -> None:
        """Fold many events."""
        for event in events:
            self.take(event)

    def take(self, event: Event) -> None:
        """Fold one event."""
        match event:
            case Started():
                self._start(event)
            case Doing(work=work):
                self.doing = work
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

    def take_state(self, stopping: bool, waiting: bool) -> bool:
        """What is seen of the run from outside; whether that is another than before."""
        before = self.stopping, self.waiting
        # a stop cannot be taken back
        self.stopping, self.waiting = self.stopping or stopping, waiting
        return before != (self.stopping, self.waiting)

    def _start(self, event: Started) -> None:
        self.method, self.device, self.note = event.method, event.device, event.note
        self.epochs, self._steps_per_epoch = event.epochs, event.steps_per_epoch
        pieces = "tile" if event.unit == "tile" else "image"
        self.unit = "epoch" if event.steps_per_epoch else pieces
        self.end, self.doing = None, ""

    def _step(self, event: Stepped) -> None:
        if event.epoch != self.epoch:
            self._steps_in_epoch = 0
        self.epoch, self.epochs, self.seconds_left = event.epoch, event.epochs, event.seconds_left
        self._steps_in_epoch += 1
        self.steps, self.doing = event.step, ""
        self._complete = bool(event.losses.get("finished"))
        x = self.epoch + self._part
        for name, value in event.losses.items():
            self.training.setdefault(name, Curve()).add(x, value)

    def _validate(self, event: Validated) -> None:
        for name, value in event.losses.items():
            self.validation.setdefault(name, Curve()).add(event.epoch + 1, value)
        if event.best:
            self.best = event.losses.get("total")

    @property
    def _part(self) -> float:
        """How much of the present epoch is done, in 0..1."""
        return min(1.0, self._steps_in_epoch / max(1, self._steps_per_epoch))

    @property
    def fraction(self) -> float:
        """How much is done, in 0..1."""
        if isinstance(self.end, Finished) and not self.end.stopped:
            return 1.0
        if not self.epochs:
            return 0.0
        return min(1.0, (self.epoch + self._part) / self.epochs)

    @property
    def few(self) -> bool:
        """Whether it came to its end with too few steps to have learned anything.

        An epoch shows the network everything once: that much there should be, within bounds that
        hold for tiny fields and for many. A method that says itself that it is done has done it.
        """
        enough = min(max(self._steps_per_epoch, FEWEST), ENOUGH)
        ended = isinstance(self.end, Finished) and not self.end.stopped
        return ended and not self._complete and self._steps_per_epoch > 0 and self.steps < enough

    @property
    def mark(self) -> Mark:
        """How the run stands, as the panel marks it."""
        if self.end is None:
            return "busy"
        if isinstance(self.end, Failed) or self.few:
            return "warn"
        return "stale" if self.end.stopped else "done"

    def words(self) -> str:
        """One line: `epoch 12/30 · 0:21 left`, or how it ended."""
        match self.end:
            case Failed():
                return first_line(self.end.window or self.end.message)
            case Finished(stopped=True):
                return f"stopped at {self.unit} {self.epoch + 1}/{self.epochs} · resumes from there"
            case Finished(seconds=seconds):
                return _few_words(self.steps) if self.few else f"finished in {clock(seconds)}"
        if self.stopping:
            return self._stopping_words()
        if self.waiting and not self.steps:
            return WAITING
        line = self._line()
        return f"{line} · slow: other programs use the processor" if self.waiting else line

    def brief(self) -> str:
        """The same for a narrow row: how it stands, without the reasons."""
        match self.end:
            case Finished(stopped=True):
                return f"stopped at {self.unit} {self.epoch + 1}/{self.epochs}"
            case Finished() if self.few:
                return f"too short: {self.steps} step{'s' * (self.steps != 1)}"
        if self.end is None and self.waiting and not self.stopping:
            return "waiting for the processor" if not self.steps else self._line()
        return self.words()

    def _line(self) -> str:
        return f"{self.doing} …" if self.doing else self._place_words()

    def _stopping_words(self) -> str:
        if self.doing and self.steps:
            return f"stopping: {self.doing} …"
        what = "step" if self.unit == "epoch" else self.unit
        return f"stopping after this {what} …" if self.epochs else "stopping once it has started …"

    def _place_words(self) -> str:
        if not self.epochs:
            return "starting …"
        line = f"{self.unit} {min(self.epoch + 1, self.epochs)}/{self.epochs}"
        return line if self.seconds_left is None else f"{line} · {clock(self.seconds_left)} left"


def _few_words(steps: int) -> str:
    made = {0: "no step was", 1: "only 1 step was"}.get(steps, f"only {steps} steps were")
    return (
        f"finished, but {made} made, so the nuclei are hardly better than the labels. Train "
        "longer, or close other programs."
    )


def note_words(progress: RunProgress) -> str:
    """What the run said beside its figures: how to mend it, warnings, why it was set up so."""
    if isinstance(progress.end, Failed):
        return progress.end.remedy or progress.end.hint
    parts = list(progress.warnings[-2:])
    changed = progress.relabelled
    # a co-trained network's pseudo labels change all the time, and first labels (a share of 1) are
    # no change: that is no news for a person
    pseudo = changed is not None and changed.plane.startswith("pseudo")
    if changed is not None and not pseudo and 0.001 <= changed.share < 1:
        share = 100 * changed.share
        parts.append(f"the method changed {share:.1f} % of its own training labels")
    parts.append(progress.note)
    return " · ".join(part for part in parts if part)
