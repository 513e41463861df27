"""Rows that are done stay done: a long benchmark goes on where the last call ended."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path

SLICE_SECONDS = 600.0
"""how long one call of a long form works before it hands back what it has"""

Row = dict[str, object]


def rows_of(
    name: str, full: bool, jobs: Iterable[tuple[str, Callable[[], Row]]]
) -> tuple[list[Row], bool]:
    """Rows of the jobs (key, function) and whether all are done.

    The short form runs every job. The long form (`full`) keeps rows in ./benchmark-runs, works for
    ten minutes and starts no further job then; call it again until all are done.
    """
    if not full:
        return [{"key": key, **job()} for key, job in jobs], True
    kept = _Kept(Path("benchmark-runs") / f"{name}-full.json")
    end, complete = time.monotonic() + SLICE_SECONDS, True
    for key, job in jobs:
        if key in kept.rows:
            continue
        if time.monotonic() > end:
            complete = False
            break
        kept.keep(key, job())
    return [{"key": key, **row} for key, row in kept.rows.items()], complete


class _Kept:
    def __init__(self, path: Path) -> None:
        self._path = path
        self.rows: dict[str, Row] = json.loads(path.read_text()) if path.exists() else {}

    def keep(self, key: str, row: Row) -> None:
        self.rows[key] = row
        self._path.parent.mkdir(exist_ok=True)
        partial = self._path.with_suffix(".partial")
        partial.write_text(json.dumps(self.rows))
        partial.replace(self._path)


def mean(rows: Iterable[Row], key: str) -> float:
    """Mean of a column over the rows that have it; NaN for none."""
    values = [float(v) for row in rows if isinstance(v := row.get(key), int | float)]
    return sum(values) / len(values) if values else float("nan")
