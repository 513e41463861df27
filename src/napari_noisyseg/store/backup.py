"""Earlier copies of project.sqlite: two generations, and one before each migration."""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import time
from pathlib import Path

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.store import schema, soundness
from napari_noisyseg.store.arrays import is_plain, refuse_links
from napari_noisyseg.store.database import NAME, explain
from napari_noisyseg.store.durable import make_folder, sync

FOLDER = "backups"
ASIDE = "damaged-"
_RESTORED = ".restored-"
_STAMPED = re.compile(re.escape(NAME + _RESTORED) + r"\d{8}T\d{6}")
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
    if (table := soundness.mistyped(connection, most=None)) is not None:
        damage = sqlite3.DatabaseError(f"malformed: a value in {table} is of the wrong kind")
        raise NoisySegError(explain(damage, folder / NAME))
    refuse_links(folder, first)
    draft = first.with_suffix(".new")
    copy_to(connection, draft)
    if first.is_file():
        first.replace(second)
    draft.replace(first)


def before_migration(connection: sqlite3.Connection, folder: Path, version: int) -> Path:
    """A copy that stays, from before the tables are changed."""
    refuse_links(folder, folder / FOLDER)
    stamp = time.strftime("%Y%m%dT%H%M%S")
    target = folder / FOLDER / f"project-schema{version}-{stamp}.sqlite"
    copy_to(connection, target)
    return target


def copy_to(connection: sqlite3.Connection, target: Path) -> None:
    """A consistent copy by SQLite's own means, on the disk when this returns."""
    try:
        make_folder(target.parent)
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

    Only for a project that nobody has open. Returns where the damaged file went. Whoever is killed
    in the middle leaves the project as it was, or one whose restoring `finish` brings to its end.
    """
    source = folder / FOLDER / GENERATIONS[generation - 1]
    if not is_plain(source):
        raise NoisySegError(f"there is no backup {source}")
    stamp = time.strftime("%Y%m%dT%H%M%S")
    draft = folder / f".{NAME}.restoring"
    with contextlib.closing(sqlite3.connect(source)) as connection:
        check(connection, source)
        copy_to(connection, draft)
    # with this name the copy is the project's; what is left to do is to move things
    draft.replace(folder / f"{NAME}{_RESTORED}{stamp}")
    sync(folder)
    finish(folder)
    return folder / f"{ASIDE}{stamp}"


def restoring(folder: Path) -> Path | None:
    """The copy that takes the database's place, where a restoring has not come to its end."""
    found = [p for p in folder.glob(f"{NAME}{_RESTORED}*") if _STAMPED.fullmatch(p.name)]
    return max((p for p in found if is_plain(p)), default=None)


def finish(folder: Path) -> None:
    """Bring a restoring that was broken off to its end; nothing where there is none."""
    copy = restoring(folder)
    if copy is None:
        return
    aside = folder / copy.name.replace(f"{NAME}{_RESTORED}", ASIDE)
    refuse_links(folder, aside)
    aside.mkdir(exist_ok=True)
    # the log before the file that it belongs to: it must not meet the copy
    for ending in ("-wal", "-shm", "-journal", ""):
        file = folder / f"{NAME}{ending}"
        if os.path.lexists(file):
            file.rename(aside / file.name)
    sync(folder)
    copy.rename(folder / NAME)
    sync(folder)


def _same(connection: sqlite3.Connection, copy: Path) -> bool:
    """Whether a copy ends with the same step of the same history."""
    last = "SELECT version, time FROM journal ORDER BY version DESC LIMIT 1"
    if not is_plain(copy):
        return False
    try:
        with contextlib.closing(sqlite3.connect(copy)) as other:
            # a view in the place of the table would never end
            if soundness.foreign(other, schema.SCHEMA) is not None:
                return False
            return bool(connection.execute(last).fetchone() == other.execute(last).fetchone())
    except sqlite3.Error:
        # a damaged one of the two: the check that follows tells which
        return False
