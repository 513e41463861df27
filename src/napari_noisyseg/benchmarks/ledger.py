"""Rows that are done stay done: a long benchmark goes on where the last call ended.

Rows of different versions of the code never stand in one table: the file that keeps them names the
version, and another version is refused.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path

from ..errors import NoisySegError

SLICE_SECONDS = 600.0
"""how long one call of a long form works before it hands back what it has"""
FOLDER = Path("benchmark-runs")
_NO_FIGURES = ("gui", "cli")
"""parts of the package that no figure of a table depends on"""

Row = dict[str, object]
_end: ContextVar[float | None] = ContextVar("end", default=None)


def rows_of(
    name: str, full: bool, jobs: Iterable[tuple[str, Callable[[], Row]]]
) -> tuple[list[Row], bool]:
    """Rows of the jobs (key, function) and whether all are done.

    The short form runs every job. The long form (`full`), and every form within `sliced`, keeps
    rows in ./benchmark-runs, works for ten minutes and starts no further job then; call it again
    until all are done. Raises NoisySegError where the rows kept are of another version of the code.
    """
    if not full and _end.get() is None:
        return [{"key": key, **job()} for key, job in jobs], True
    kept = _Kept(FOLDER / f"{name}{'-full' if full else ''}.json")
    end, complete = _end.get() or time.monotonic() + SLICE_SECONDS, True
    for key, job in jobs:
        if key in kept.rows:
            continue
        if time.monotonic() > end:
            complete = False
            break
        kept.keep(key, job())
    return [{"key": key, **row} for key, row in kept.rows.items()], complete


@contextmanager
def sliced() -> Iterator[None]:
    """Within, all benchmarks together work for one slice, and their short forms keep rows too."""
    token = _end.set(time.monotonic() + SLICE_SECONDS)
    try:
        yield
    finally:
        _end.reset(token)


@cache
def version() -> str:
    """Of the code that figures depend on, 12 hex digits: the same for the same sources."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        part = path.relative_to(root)
        if part.parts[0] not in _NO_FIGURES:
            digest.update(f"{part.as_posix()}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


class _Kept:
    def __init__(self, path: Path) -> None:
        self._path = path
        self.rows: dict[str, Row] = {}
        if not path.exists():
            return
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored.get("version") != version():
            raise NoisySegError(
                f"{path}: its rows are of another version of the code "
                f"({stored.get('version', 'unknown')}, this is {version()}), and no table may mix "
                "two; move the file away to measure anew, or go back to that version"
            )
        self.rows = stored["rows"]

    def keep(self, key: str, row: Row) -> None:
        self.rows[key] = row
        self._path.parent.mkdir(exist_ok=True)
        partial = self._path.with_suffix(".partial")
        partial.write_text(json.dumps({"version": version(), "rows": self.rows}), encoding="utf-8")
        partial.replace(self._path)


def mean(rows: Iterable[Row], key: str) -> float:
    """Mean of a column over the rows that have it; NaN for none."""
    values = [float(v) for row in rows if isinstance(v := row.get(key), int | float)]
    return sum(values) / len(values) if values else float("nan")
