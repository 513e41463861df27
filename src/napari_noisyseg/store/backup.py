"""Earlier copies of project.sqlite: two generations, and one before each migration."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from pathlib import Path

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.store.database import NAME, explain
from napari_noisyseg.store.durable import sync

FOLDER = "backups"
GENERATIONS = ("project-1.sqlite", "project-2.sqlite")


def check(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a damaged file, before a backup of it could take a good one's place."""
    try:
        answer = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        raise NoisySegError(explain(error, path)) from error
    if answer != "ok":
        damage = sqlite3.DatabaseError(f"malformed: {str(answer).splitlines()[-1]}")
        raise NoisySegError(explain(damage, path))


def rotate(connection: sqlite3.Connection, folder: Path) -> None:
    """Keep a copy of what is there now and the copy before it; nothing when nothing changed."""
    first, second = (folder / FOLDER / name for name in GENERATIONS)
    if first.is_file() and _same(connection, first):
        return
    check(connection, folder / NAME)
    draft = first.with_suffix(".new")
    copy_to(connection, draft)
    if first.is_file():
        first.replace(second)
    draft.replace(first)


def before_migration(connection: sqlite3.Connection, folder: Path, version: int) -> Path:
    """A copy that stays, from before the tables are changed."""
    stamp = time.strftime("%Y%m%dT%H%M%S")
    target = folder / FOLDER / f"project-schema{version}-{stamp}.sqlite"
    copy_to(connection, target)
    return target


def copy_to(connection: sqlite3.Connection, target: Path) -> None:
    """A consistent copy by SQLite's own means, on the disk when this returns."""
    try:
        target.parent.mkdir(exist_ok=True)
        target.unlink(missing_ok=True)
        with contextlib.closing(sqlite3.connect(target)) as copy:
            connection.backup(copy)
            # as one file, that may be carried anywhere
            copy.execute("PRAGMA journal_mode = DELETE")
        sync(target)
        sync(target.parent)
    except (OSError, sqlite3.Error) as error:
        with contextlib.suppress(OSError):
            target.unlink(missing_ok=True)
        raise NoisySegError(
            f"no backup could be written to {target.parent} ({error}): free space or make the "
            "folder writable; the project itself is untouched"
        ) from error


def restore(folder: Path, generation: int = 1) -> Path:
    """Put a backup (1 the newest, 2 the one before) in place; the damaged file is kept aside.

    Only for a project that nobody has open. Returns where the damaged file went.
    """
    source = folder / FOLDER / GENERATIONS[generation - 1]
    if not source.is_file():
        raise NoisySegError(f"there is no backup {source}")
    aside = folder / f"damaged-{time.strftime('%Y%m%dT%H%M%S')}"
    aside.mkdir()
    for ending in ("", "-wal", "-shm", "-journal"):
        file = folder / f"{NAME}{ending}"
        if file.exists():
            file.rename(aside / file.name)
    with contextlib.closing(sqlite3.connect(source)) as connection:
        copy_to(connection, folder / NAME)
    return aside


def _same(connection: sqlite3.Connection, copy: Path) -> bool:
    """Whether a copy ends with the same step of the same history."""
    last = "SELECT version, time FROM journal ORDER BY version DESC LIMIT 1"
    try:
        with contextlib.closing(sqlite3.connect(copy)) as other:
            return bool(connection.execute(last).fetchone() == other.execute(last).fetchone())
    except sqlite3.Error:
        # a damaged one of the two: the check that follows tells which
        return False
