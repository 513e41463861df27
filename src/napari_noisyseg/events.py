"""What a run says while it works: one frozen dataclass per kind of event, one JSON line each."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any, Union

from pydantic import TypeAdapter

from napari_noisyseg import bounded_json
from napari_noisyseg.errors import NoisySegError


@dataclass(frozen=True, slots=True)
class Started:
    """The run's plan: method, preset and device chosen, and why, in words."""

    method: str
    epochs: int
    steps_per_epoch: int
    device: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Doing:
    """What the run is at while it makes no steps, in words: "loading PyTorch", ..."""

    work: str


@dataclass(frozen=True, slots=True)
class Stepped:
    """One update is done; `losses`, named as in the method's paper, and its other figures."""

    epoch: int
    step: int
    epochs: int
    losses: dict[str, float]
    seconds_left: float | None = None


@dataclass(frozen=True, slots=True)
class Validated:
    """The loss on held-out tiles, and whether it is the best so far."""

    epoch: int
    losses: dict[str, float]
    best: bool


@dataclass(frozen=True, slots=True)
class Previewed:
    """A picture of the present state of one image: maps (name to .npz key) stored at `path`.

    `path` is relative to the run's folder. `origin` is (y, x) in level-0 pixels and `scale` the
    level-0 pixels per map pixel.
    """

    image: str
    path: str
    epoch: int
    origin: tuple[float, float] = (0.0, 0.0)
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Relabelled:
    """The method changed its own training labels: which plane, and the share of pixels."""

    epoch: int
    plane: str
    share: float


@dataclass(frozen=True, slots=True)
class Checkpointed:
    """A checkpoint that resumes to the same losses lies at `path` (relative to the run)."""

    epoch: int
    step: int
    path: str


@dataclass(frozen=True, slots=True)
class Warned:
    """Something was changed or skipped and a person should know (a smaller batch, say)."""

    message: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The run came to its end, or was stopped by request; figures are its last ones."""

    stopped: bool
    seconds: float
    figures: dict[str, float] = field(default_factory=dict)
    results: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """The run broke: what happened, and what a person can do about it.

    window, remedy: message and hint in the window's words, where they differ from these.
    """

    message: str
    hint: str = ""
    window: str = ""
    remedy: str = ""


Event = Union[  # noqa: UP007  (a plain tuple of classes is needed at run time as well)
    Started,
    Doing,
    Stepped,
    Validated,
    Previewed,
    Relabelled,
    Checkpointed,
    Warned,
    Finished,
    Failed,
]
_KINDS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        Started, Doing, Stepped, Validated, Previewed, Relabelled, Checkpointed, Warned, Finished,
        Failed,
    )
}  # fmt: skip


def to_json(event: Event, time: float) -> str:
    """One line of JSON: the event's fields with `event` (its kind) and `time` (Unix seconds)."""
    return json.dumps({"event": type(event).__name__, "time": time, **asdict(event)})


def from_json(line: str) -> Event | None:
    """The event of one line, or None for a half-written line or a kind of a later version."""
    try:
        record = bounded_json.parse(line, "an event")
        event: Event = _typed(record["event"]).validate_python(record)
    # of pydantic, what is wrong with a value is a ValueError
    except (NoisySegError, *bounded_json.WRONG):
        return None
    return event


@lru_cache(maxsize=len(_KINDS))
def _typed(kind: str) -> TypeAdapter[Any]:
    """What checks that an event's fields are of their types: a run may come from a stranger."""
    return TypeAdapter(_KINDS[kind])
