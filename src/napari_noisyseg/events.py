"""What a run says while it works: one frozen dataclass per kind of event, one JSON line each."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Union

LONGEST_LINE, LONGEST_TEXT = 2**20, 10_000
"""Bytes of an event, and letters of one text in it."""
LARGEST, MOST = 2**53, 1000
"""Of a whole number, and of figures in one event."""


@dataclass(frozen=True, slots=True)
class Started:
    """The run's plan: method, preset and device chosen, and why, in words.

    unit: what its epochs are, where they are none ("tile").
    """

    method: str
    epochs: int
    steps_per_epoch: int
    device: str
    note: str = ""
    unit: str = ""


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


def from_json(line: str | bytes) -> Event | None:
    """The event of one line; None for a half-written or damaged one, or a kind of a later version.

    Every field is of its type and within bounds: a run's folder may come from a stranger.
    """
    if len(line) > LONGEST_LINE:
        return None
    try:
        record = json.loads(line)
        kind = _KINDS[record["event"]]
        readers = _READERS[kind]
        values = {k: readers[k](v) for k, v in record.items() if k in readers}
        event: Event = kind(**values)
    # RecursionError: brackets without end; UnicodeDecodeError is a ValueError
    except (ValueError, KeyError, TypeError, OverflowError, AttributeError, RecursionError):
        return None
    return event


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.50} is no text")
    if value.isascii() and len(value) <= LONGEST_TEXT:
        return value
    # half of a pair, which JSON can say and no file or screen can take
    return value[:LONGEST_TEXT].encode("utf-8", "replace").decode("utf-8")


def _whole(value: Any) -> int:
    if type(value) is not int or abs(value) > LARGEST:
        raise TypeError(f"{value!r:.50} is no whole number")
    return int(value)


def _number(value: Any) -> float:
    if type(value) not in (int, float):
        raise TypeError(f"{value!r:.50} is no number")
    return float(value)


def _yes_or_no(value: Any) -> bool:
    if type(value) is not bool:
        raise TypeError(f"{value!r:.50} is neither true nor false")
    return bool(value)


def _figures(value: Any) -> dict[str, float]:
    if not isinstance(value, dict) or len(value) > MOST:
        raise TypeError("no figures")
    return {_text(k): _number(v) for k, v in value.items()}


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > LONGEST_TEXT:
        raise TypeError("no list of names")
    return tuple(_text(v) for v in value)


def _place(value: Any) -> tuple[float, float]:
    y, x = value
    return _number(y), _number(x)


_BY_TYPE: dict[str, Callable[[Any], Any]] = {
    "str": _text,
    "int": _whole,
    "float": _number,
    "float | None": lambda value: None if value is None else _number(value),
    "bool": _yes_or_no,
    "dict[str, float]": _figures,
    "tuple[str, ...]": _names,
    "tuple[float, float]": _place,
}
_READERS = {kind: {f.name: _BY_TYPE[str(f.type)] for f in fields(kind)} for kind in _KINDS.values()}
"""How each field of each kind is read."""
