"""Rows that are done stay done: a long benchmark goes on where the last call ended.

Rows of different versions of the code never stand in one table: the file that keeps them names the
version, and another version is refused. The version is of the code that the table can reach and of
nothing else (`reach`).
"""

from __future__ import annotations

import ast
import hashlib
import io
import json
import time
import tokenize
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path

from ..errors import NoisySegError
from . import module_of
from .reach import METHODS, PRESETS, ROOT, reached
from .report import Row

SLICE_SECONDS = 600.0
"""how long one call of a long form works before it hands back what it has"""
FOLDER = Path("benchmark-runs")

_end: ContextVar[float | None] = ContextVar("end", default=None)


def rows_of(
    name: str, full: bool, jobs: Iterable[tuple[str, Callable[[], Row]]]
) -> tuple[list[Row], bool]:
    """Rows of the jobs (key, function) and whether all are done.

    The short form runs every job. The long form (`full`), and every form within `sliced`, keeps
    rows in ./benchmark-runs, works for ten minutes and starts no further job then; call it again
    until all are done. name: of a benchmark, or begins with it (NAME-untrained). Raises
    NoisySegError where the rows kept are of another version of the code.
    """
    if not full and _end.get() is None:
        return [{"key": key, **job()} for key, job in jobs], True
    kept = _Kept(name, _path(name, full))
    end, complete = _end.get() or time.monotonic() + SLICE_SECONDS, True
    for key, job in jobs:
        if key in kept.rows:
            continue
        if time.monotonic() > end:
            complete = False
            break
        kept.keep(key, job())
    return [{"key": key, **row} for key, row in kept.rows.items()], complete


def row_of(name: str, full: bool, key: str) -> Row | None:
    """A row that another table keeps, of this version of the code; None where there is none.

    For a training that is a cell of two tables. Outside `sliced`, short forms keep none.
    """
    path = _path(name, full)
    if (not full and _end.get() is None) or not path.exists():
        return None
    stored = json.loads(path.read_text(encoding="utf-8"))
    row: Row | None = stored["rows"].get(key) if stored.get("version") == version(name) else None
    return row


def stale(tables: Iterable[str], full: bool) -> list[Path]:
    """Files that keep rows of these tables and are of another version than the code is now."""
    found = []
    for path in sorted(FOLDER.glob("*.json")):
        name = path.stem.removesuffix("-full")
        ours = any(name == table or name.startswith(f"{table}-") for table in tables)
        if ours and path == _path(name, full):
            stored = json.loads(path.read_text(encoding="utf-8"))
            found += [path] if stored.get("version") != version(name) else []
    return found


def _path(name: str, full: bool) -> Path:
    return FOLDER / f"{name}{'-full' if full else ''}.json"


@contextmanager
def sliced() -> Iterator[None]:
    """Within, all benchmarks together work for one slice, and their short forms keep rows too."""
    token = _end.set(time.monotonic() + SLICE_SECONDS)
    try:
        yield
    finally:
        _end.reset(token)


@cache
def version(table: str, root: Path = ROOT) -> str:
    """Of the code that a table's rows depend on, 12 hex digits: the same for the same sources.

    Comments and docstrings do not count: they can be mended without training anything again.
    table: the name of its rows (`module_of` tells the module); root: the package's folder.
    """
    digest, code = hashlib.sha256(), code_of(table, root)
    for path in code:
        content = _of_methods(path, code) if path.name == PRESETS else code_in(path)
        digest.update(f"{path.relative_to(root).as_posix()}\0".encode() + content)
    return digest.hexdigest()[:12]


def code_in(path: Path) -> bytes:
    """A file; a source without its comments, its docstrings and its empty lines.

    By lines of the text, as tokens and trees differ between versions of Python.
    """
    if path.suffix != ".py":
        return path.read_bytes()
    text = path.read_text(encoding="utf-8")
    lines = text.split("\n")
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and _is_text(node.value):
            for row in range(node.lineno - 1, node.end_lineno or node.lineno):
                lines[row] = ""
    return "\n".join(line.rstrip() for line in lines if line.strip()).encode()


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _of_methods(presets: Path, code: Iterable[Path]) -> bytes:
    """What the presets' file says of the methods among these files, but for its words."""
    described = json.loads(presets.read_text(encoding="utf-8"))
    names = {path.stem.replace("_", "-") for path in code if path.parent.name == METHODS}
    of_each = {
        name: {key: described[name][key] for key in ("needs", "shows", "presets")}
        for name in sorted(names & described.keys())
    }
    return json.dumps(of_each, sort_keys=True).encode()


def code_of(table: str, root: Path = ROOT) -> list[Path]:
    """The files that a table's rows depend on."""
    return reached(f"benchmarks.{module_of(table)}", root)


class _Kept:
    def __init__(self, name: str, path: Path) -> None:
        self._path, self._version = path, version(name)
        self.rows: dict[str, Row] = {}
        if not path.exists():
            return
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored.get("version") != self._version:
            raise NoisySegError(
                f"{path}: its rows were measured with another version of the code "
                f"({stored.get('version', 'unknown')}, this is {self._version}), and a table must "
                "not mix versions; move the file away to measure again, or go back to that version"
            )
        self.rows = stored["rows"]

    def keep(self, key: str, row: Row) -> None:
        self.rows[key] = row
        self._path.parent.mkdir(exist_ok=True)
        partial = self._path.with_suffix(".partial")
        kept = {"version": self._version, "rows": self.rows}
        partial.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
        partial.replace(self._path)
