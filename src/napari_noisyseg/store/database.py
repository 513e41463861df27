"""The project's SQLite file: one connection, durable transactions, errors told in words."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import psutil

from napari_noisyseg.errors import NoisySegError

NAME = "project.sqlite"
BUSY_SECONDS = 10.0
CACHE_KIB = 128 * 1024
AT_ONCE = 4096
"""rows that become parts of columns together"""
NETWORK_FILE_SYSTEMS = (
    "nfs", "cifs", "smb", "afs", "9p", "virtiofs", "ceph", "lustre", "gpfs", "beegfs", "gluster",
    "davfs", "webdav", "vboxsf", "prl_fs", "vmhgfs", "fuse.",
)  # fmt: skip

# boxes and points come out of numpy: to SQLite its numbers are numbers like any
_NUMBERS: tuple[type[np.generic], ...] = (
    np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64, np.float32,
)  # fmt: skip
for _kind in _NUMBERS:
    sqlite3.register_adapter(_kind, lambda number: number.item())

_ARRAYS: Mapping[str, type[np.generic]] = {"i": np.int64, "f": np.float64}
Row = tuple[Any, ...]
Parameters = Sequence[Any] | Mapping[str, Any]


def journal_mode(folder: Path) -> str:
    """`WAL` on a local disk; `DELETE` (rollback journal) where its shared memory cannot work."""
    place = folder.resolve()
    if str(place).startswith(("\\\\", "//")):
        return "DELETE"
    best, kind = -1, ""
    for part in psutil.disk_partitions(all=True):
        if place.is_relative_to(part.mountpoint) and len(part.mountpoint) >= best:
            best, kind = len(part.mountpoint), f"{part.fstype} {part.opts}".lower()
    remote = kind.startswith(NETWORK_FILE_SYSTEMS) or (sys.platform == "win32" and "remote" in kind)
    return "DELETE" if remote else "WAL"


class Database:
    """Reads and transactions on project.sqlite; any thread may call, one at a time.

    Everything that SQLite refuses comes out as `NoisySegError` with a way to mend it, and a
    transaction that failed has changed nothing.
    """

    def __init__(
        self, folder: Path, write: bool, may_write: Callable[[], bool] = lambda: True
    ) -> None:
        self.path = folder / NAME
        self.writable = write
        self._may_write = may_write
        self._mutex = threading.RLock()
        self._depth = 0
        self._copy: tempfile.TemporaryDirectory[str] | None = None
        with self.told():
            self._connection = self._connect_writer() if write else self._connect_reader()

    def close(self) -> None:
        """Close the file; the last one to close merges the write-ahead log into it."""
        with self._mutex:
            self._connection.close()
            if self._copy is not None:
                self._copy.cleanup()

    @property
    def connection(self) -> sqlite3.Connection:
        """The bare connection, for migration and backup."""
        return self._connection

    def rows(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """All rows of a query."""
        with self._mutex, self.told():
            return self._connection.execute(sql, parameters).fetchall()

    def row(self, sql: str, parameters: Parameters = ()) -> Row | None:
        """The first row of a query, or None."""
        with self._mutex, self.told():
            found: Row | None = self._connection.execute(sql, parameters).fetchone()
            return found

    def value(self, sql: str, parameters: Parameters = ()) -> Any:
        """The first column of the first row, or None."""
        found = self.row(sql, parameters)
        return None if found is None else found[0]

    def columns(self, sql: str, parameters: Parameters, kinds: str) -> list[Any]:
        """The columns of a query's rows, as arrays or lists; of very many rows quicker than `rows`.

        kinds: a letter for each. i: int64, f: float64, o: as it is, s: texts of which many are
        alike, each kept once. `NoisySegError` where a value is of another kind.
        """
        parts: list[list[Any]] = [[] for _ in kinds]
        known: dict[Any, Any] = {}
        with self._mutex, self.told():
            cursor = self._connection.execute(sql, parameters)
            while rows := cursor.fetchmany(AT_ONCE):
                for part, kind, values in zip(parts, kinds, zip(*rows, strict=True), strict=True):
                    part.append(self._column(kind, values, known))
        return [
            np.concatenate([np.zeros(0, _ARRAYS[kind]), *part])
            if kind in _ARRAYS
            else list(chain.from_iterable(part))
            for part, kind in zip(parts, kinds, strict=True)
        ]

    def _column(self, kind: str, values: Row, known: dict[Any, Any]) -> Any:
        """A part of a column."""
        if kind in _ARRAYS:
            try:
                return np.array(values, _ARRAYS[kind])
            except (TypeError, ValueError, OverflowError) as error:
                raise NoisySegError(
                    explain(sqlite3.DatabaseError(f"malformed value: {error}"), self.path)
                ) from error
        if kind == "o":
            return values
        for value in set(values):
            known.setdefault(value, value)
        return list(map(known.__getitem__, values))

    def run(self, sql: str, parameters: Parameters = ()) -> int:
        """Execute one writing statement inside a transaction; the row id of an insert."""
        with self.told():
            return self._connection.execute(sql, parameters).lastrowid or 0

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Execute one writing statement for many rows inside a transaction."""
        with self.told():
            self._connection.executemany(sql, rows)

    def script(self, sql: str) -> None:
        """Execute several statements outside of any transaction."""
        with self._mutex, self.told():
            self._connection.executescript(sql)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, on the disk when it returns; an inner one joins the outer."""
        with self._mutex:
            if self._depth:
                yield from self._savepoint()
                return
            self.refuse_reader()
            with self.told():
                self._connection.execute("BEGIN IMMEDIATE")
            self._depth = 1
            try:
                yield
                with self.told():
                    self._connection.execute("COMMIT")
            except BaseException:
                self._roll_back("ROLLBACK")
                raise
            finally:
                self._depth = 0

    def _savepoint(self) -> Iterator[None]:
        name = f"inner{self._depth}"
        self._connection.execute(f"SAVEPOINT {name}")
        self._depth += 1
        try:
            yield
            self._connection.execute(f"RELEASE {name}")
        except BaseException:
            self._roll_back(f"ROLLBACK TO {name}")
            raise
        finally:
            self._depth -= 1

    def _roll_back(self, statement: str) -> None:
        # SQLite has rolled back by itself after some errors (a full disk)
        if self._connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute(statement)

    def refuse_reader(self) -> None:
        """Raise `NoisySegError` unless we still are the project's one writer."""
        if not self.writable:
            raise NoisySegError(
                f"{self.path.parent} is open read-only: close it where it is open for writing, "
                "then open it again"
            )
        if not self.path.exists():
            raise NoisySegError(
                f"{self.path.parent} was moved or deleted while it was open: nothing was written; "
                "open it where it is now"
            )
        if not self._may_write():
            raise NoisySegError(
                f"the lock of {self.path.parent} was taken by another program: nothing was "
                "written; open the project again"
            )

    @contextlib.contextmanager
    def told(self) -> Iterator[None]:
        """Turn SQLite's errors into words for a person."""
        try:
            yield
        except sqlite3.Error as error:
            raise NoisySegError(explain(error, self.path)) from error

    def _connect_writer(self) -> sqlite3.Connection:
        connection = _connect(self.path, "rw")
        try:
            mode = journal_mode(self.path.parent)
            connection.execute(f"PRAGMA journal_mode = {mode}")
            # FULL: an action that was confirmed has reached the disk, whatever happens next
            connection.execute("PRAGMA synchronous = FULL")
            # on macOS that alone stops at the drive's own memory; elsewhere these say nothing
            connection.execute("PRAGMA fullfsync = ON")
            connection.execute("PRAGMA checkpoint_fullfsync = ON")
        except BaseException:
            connection.close()
            raise
        return connection

    def _connect_reader(self) -> sqlite3.Connection:
        try:
            return _connect(self.path, "ro")
        except sqlite3.OperationalError:
            return self._connect_where_nothing_can_be_written()

    def _connect_where_nothing_can_be_written(self) -> sqlite3.Connection:
        logs = [p for p in _companions(self.path) if p.is_file() and p.stat().st_size]
        if not logs:
            return _connect(self.path, "ro&immutable=1")
        # the last actions still are in the log, and reading that needs a writable folder
        self._copy = tempfile.TemporaryDirectory(prefix="noisyseg-")
        for file in (self.path, *logs):
            shutil.copy(file, self._copy.name)
        return _connect(Path(self._copy.name) / self.path.name, "rw")


def explain(error: sqlite3.Error, path: Path) -> str:
    """What a SQLite error means and how to mend it."""
    text = str(error)
    if "full" in text:
        return f"the disk of {path} is full: nothing of this action was kept; free space, repeat it"
    if "readonly" in text or "unable to open" in text:
        return f"{path} cannot be written ({text}): make the folder writable, or open for reading"
    if "locked" in text:
        return f"{path} is busy in another program: try again in a moment"
    if "malformed" in text or "not a database" in text:
        return (
            f"{path} is damaged ({text}): move it aside together with its -wal and -shm, and copy "
            f"{path.parent / 'backups' / 'project-1.sqlite'} in its place"
        )
    if "disk I/O" in text:
        return f"{path} could not be read or written ({text}): check the disk or network, try again"
    return f"{path}: {text}"


def _companions(path: Path) -> list[Path]:
    return [path.with_name(path.name + ending) for ending in ("-wal", "-journal")]


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    place = path.absolute().as_posix()
    uri = f"file://{'' if place.startswith('/') else '/'}{quote(place)}?mode={mode}"
    connection = sqlite3.connect(
        uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        # a project may come from a stranger: its schema runs no functions of ours
        connection.execute("PRAGMA trusted_schema = OFF")
        # half a million nuclei by random ids: the default of 2 MB would read pages over and over
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection
