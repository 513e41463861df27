"""Time: when something is due again, and how much of a schedule still fits before a deadline."""

from __future__ import annotations

from dataclasses import dataclass, field

from napari_noisyseg.method import Progress
from napari_noisyseg.training.checkpoint import Position

MAX_SHARE = 0.1
"""Share of the time that previews, or checkpoints, may take at most."""


@dataclass
class Every:
    """Something done every `seconds`, and more rarely where it takes long itself."""

    seconds: float
    next: float = 0.0

    def due(self, now: float) -> bool:
        """Whether it is time."""
        return now >= self.next

    def done(self, began: float, ended: float) -> None:
        """It was done just now, and took that long."""
        self.next = ended + max(self.seconds, (ended - began) / MAX_SHARE)


@dataclass
class Schedule:
    """Where a run stands between its first step and its last.

    Without a deadline the length is `epochs`. With one (Unix time) it is as many steps as fit:
    after every step the rest is planned again from the pace so far, so that the fraction N / N_max
    reaches 1 just before it.
    """

    epochs: int
    steps_per_epoch: int
    deadline: float | None = None
    _began: float | None = field(default=None, init=False)
    _steps: int = field(default=0, init=False)

    def start(self, now: float) -> None:
        """The first step of this process begins."""
        self._began = now

    def progress(self, at: Position) -> Progress:
        """What the method is told."""
        return Progress(at.epoch, at.epochs, at.step, at.fraction)

    def advance(self, at: Position, now: float) -> None:
        """One more step is done: move on in the schedule."""
        self._steps += 1
        at.step += 1
        at.step_in_epoch += 1
        if self.deadline is None:
            total = self.epochs * self.steps_per_epoch
            at.fraction = min(1.0, at.step / max(total - 1, 1))
            at.epochs = self.epochs
            return
        left = self.steps_left(now)
        at.fraction += (1 - at.fraction) / max(1, round(left))
        at.epochs = max(at.epoch + 1, round((at.step + left) / self.steps_per_epoch))

    def pace(self, now: float) -> float:
        """Seconds a step takes, everything between the steps included."""
        assert self._began is not None, "start() comes first"
        return max(now - self._began, 1e-6) / max(self._steps, 1)

    def steps_left(self, now: float) -> float:
        """Steps that still fit before the deadline."""
        assert self.deadline is not None
        return max(0.0, (self.deadline - now) / self.pace(now))

    def done(self, at: Position, now: float) -> bool:
        """Whether the last step is done; with a deadline there is one step at least."""
        if self.deadline is None:
            return at.step >= self.epochs * self.steps_per_epoch
        return self._steps > 0 and self.steps_left(now) < 0.5

    def seconds_left(self, at: Position, now: float) -> float:
        """Time until the last step."""
        if self.deadline is not None:
            return max(0.0, self.deadline - now)
        return self.pace(now) * max(0, self.epochs * self.steps_per_epoch - at.step)
