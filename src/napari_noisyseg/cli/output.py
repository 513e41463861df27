"""What commands print: one JSON document, aligned lines, and progress on stderr."""

from __future__ import annotations

import contextlib
import json
import math
import re
import sys
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

if TYPE_CHECKING:
    from rich.progress import Progress as RichBar

_COMMANDS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be written, and write nothing.")
]


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


class Loudness:
    """How much is said on stderr: `-q` leaves errors alone, `-v` adds how it went.

    Results are on stdout, whatever the loudness: tables, JSON, the paths of what was written.
    """

    quiet = False
    verbose = False
    held: list[str] | None = None


def say(text: str) -> None:
    """A line for people, on stderr, so that stdout stays one document or one result."""
    if Loudness.held is not None:
        Loudness.held.append(text)
    else:
        _say_now(text)


def _say_now(text: str) -> None:
    if not Loudness.quiet:
        print(plain(text), file=sys.stderr, flush=True)


@contextlib.contextmanager
def notes_if_done() -> Iterator[None]:
    """What is said within is said when all is done: a refusal stands alone. Progress goes on."""
    held: list[str] = []
    Loudness.held = held
    try:
        yield
    finally:
        Loudness.held = None
    for text in held:
        _say_now(text)


def print_table(rows: list[dict[str, Any]]) -> None:
    """A table on a terminal, elsewhere aligned columns with a heading; nothing for no rows."""
    if not rows:
        return
    columns = list(rows[0])
    # an end of a line in a name would break the table
    cells = [[" ".join(_cell(row.get(c)).splitlines()) for c in columns] for row in rows]
    if sys.stdout.isatty():
        _print_rich(columns, cells)
        return
    widths = [max(len(c), *(len(r[i]) for r in cells)) for i, c in enumerate(columns)]
    for line in [columns, *cells]:
        show("  ".join(text.ljust(w) for text, w in zip(line, widths, strict=True)).rstrip())


def _print_rich(columns: list[str], cells: list[list[str]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for line in cells:
        # as text, so that a name in brackets is no colour
        table.add_row(*map(Text, line))
    Console().print(table)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else plain(value)


class Progress:
    """A bar on a terminal; elsewhere a plain line every few seconds. Nothing with `-q`."""

    def __init__(self, title: str, every: float = 3.0) -> None:
        self._title, self._every = title, every
        self._bar = _rich_bar(title) if sys.stderr.isatty() and not Loudness.quiet else None
        # quick work needs no line of its own
        self._last = time.monotonic() if self._bar is None else 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @contextlib.contextmanager
    def waiting(self, share: float, text: str) -> Iterator[None]:
        """Within, how long it has taken so far is told again and again: for work without steps."""
        began, over = time.monotonic(), threading.Event()

        def tell() -> None:
            while not over.wait(self._every):
                self.update(share, f"{text}, {time.monotonic() - began:.0f} s so far")

        teller = threading.Thread(target=tell, daemon=True)
        teller.start()
        try:
            yield
        finally:
            over.set()
            teller.join()

    def update(self, share: float, text: str = "") -> None:
        """Show that `share` (0..1) is done, with a few words."""
        now = time.monotonic()
        if now - self._last < (0.1 if self._bar else self._every) and share < 1:
            return
        self._last = now
        if self._bar is None:
            _say_now(f"{self._title} {share:4.0%} {text}")
            return
        self._bar.start()
        self._bar.update(self._bar.task_ids[0], completed=share, words=_unmarked(text))

    def close(self) -> None:
        """Leave the bar as it is and go to the next line."""
        if self._bar is not None:
            self._bar.stop()


def _rich_bar(title: str) -> RichBar:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as RichBar

    bar = RichBar(
        TextColumn("{task.description}"),
        BarColumn(24),
        TextColumn("{task.percentage:>3.0f} %  {task.fields[words]}"),
        console=Console(stderr=True),
    )
    bar.add_task(_unmarked(title), total=1.0, words="")
    return bar


def _unmarked(text: str) -> str:
    """Words in which brackets are no colours."""
    from rich.markup import escape

    return escape(plain(text))
