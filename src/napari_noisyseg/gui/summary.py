"""A step in one line: what the panel's rows show."""

from __future__ import annotations

from typing import Literal, NamedTuple

Mark = Literal["todo", "done", "busy", "stale", "warn"]


class Summary(NamedTuple):
    """A step's one line of truth, its mark, and for "busy" how far it is (0..1, None unknown)."""

    text: str
    mark: Mark = "todo"
    fraction: float | None = None
