"""What commands print: one JSON document, aligned lines, and progress on stderr."""

from __future__ import annotations

import json
import math
import re
import sys
import time
from typing import Annotated, Any

import typer

_COMMANDS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


def print_json(document: Any) -> None:
    """One JSON document on stdout; what JSON cannot say becomes its words, and NaN null."""
    print(json.dumps(_sayable(document), indent=2, default=str, allow_nan=False))


def _sayable(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _sayable(inner) for key, inner in value.items()}
    return [_sayable(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def plain(text: object) -> str:
    """Text in which nothing commands a terminal: names and paths may be a stranger's.

    Control characters, marks that turn the direction of text, and bytes that are no text become
    visible escapes; ends of lines and tabs stay.
    """
    return _COMMANDS.sub(lambda found: ascii(found[0])[1:-1], str(text))


def show(text: object = "") -> None:
    """A line of a result, on stdout."""
    print(plain(text))


def say(text: str) -> None:
    """A line for people, on stderr, so that stdout stays one document or one result."""
    print(plain(text), file=sys.stderr, flush=True)


def print_table(rows: list[dict[str, Any]]) -> None:
    """Aligned columns with a heading; nothing for no rows."""
    if not rows:
        return
    columns = list(rows[0])
    # an end of a line in a name would break the table
    cells = [[" ".join(_cell(row.get(c)).splitlines()) for c in columns] for row in rows]
    widths = [max(len(c), *(len(r[i]) for r in cells)) for i, c in enumerate(columns)]
    for line in [columns, *cells]:
        show("  ".join(text.ljust(w) for text, w in zip(line, widths, strict=True)).rstrip())


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else plain(value)


class Progress:
    """A bar on a terminal; elsewhere a plain line every few seconds."""

    def __init__(self, title: str, every: float = 3.0) -> None:
        self._title, self._every = title, every
        self._terminal = sys.stderr.isatty()
        self._last = 0.0

    def update(self, share: float, text: str = "") -> None:
        """Show that `share` (0..1) is done, with a few words."""
        now = time.monotonic()
        if now - self._last < (0.1 if self._terminal else self._every) and share < 1:
            return
        self._last = now
        if self._terminal:
            filled = round(24 * share)
            bar = "█" * filled + "·" * (24 - filled)
            line = f"\r\x1b[K{self._title} {bar} {plain(text)}"
            print(line, end="", file=sys.stderr, flush=True)
        else:
            say(f"{self._title} {share:4.0%} {text}")

    def close(self) -> None:
        """End the line of the bar."""
        if self._terminal:
            print(file=sys.stderr, flush=True)
