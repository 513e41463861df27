"""Before a project's database is opened: is it one, is it sound, is it of this version?"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.store import backup, pyramid, schema, soundness
from napari_noisyseg.store.arrays import is_plain
from napari_noisyseg.store.database import NAME, Database


def build(path: Path, facts: Mapping[str, Any]) -> None:
    """A new database with its first facts."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        schema.build(connection)
        for name, value in facts.items():
            connection.execute("INSERT INTO fact VALUES (?, ?)", (name, json.dumps(value)))


def check_file(path: Path) -> None:
    """Refuse, without touching anything, what is no project or of a later version of this program.

    Nothing in it is opened that is a link, a pipe or a device: what is written there would lie
    elsewhere, and reading might never end.
    """
    file = path / NAME
    if not file.exists():
        raise NoisySegError(f"{path} is no NoisySeg project: there is no {NAME} in it")
    for ending in ("", "-wal", "-shm", "-journal"):
        beside = path / f"{NAME}{ending}"
        if os.path.lexists(beside) and not is_plain(beside):
            raise NoisySegError(
                f"{beside} is a link or no plain file: put the file itself there, or delete it"
            )
    with pyramid.told(f"cannot read {file}"):
        found = schema.version_on_disk(file)
    if found is None:
        raise _damaged(path, "it is not from this program")
    _refuse_later(path, found)


def version(database: Database, path: Path) -> int:
    """The version of an open database that is sound; `NoisySegError` where it is not."""
    with database.told():
        # not of the file's header: the log beside it may know better
        found = int(database.connection.execute("PRAGMA user_version").fetchone()[0])
        _refuse_later(path, found)
        if found < 1:
            raise _damaged(path, f"its format is {found}")
        wrong = soundness.foreign(database.connection, found)
        if wrong is None:
            table = soundness.mistyped(database.connection)
            wrong = table and f"a value in {table} is of the wrong kind"
    if wrong is not None:
        raise _damaged(path, wrong)
    return found


def _damaged(path: Path, why: str) -> NoisySegError:
    return NoisySegError(
        f"{path / NAME} is damaged, or is not from this program ({why}): move it aside together "
        f"with its -wal and -shm, and copy {path / backup.FOLDER / backup.GENERATIONS[0]} in its "
        "place"
    )


def _refuse_later(path: Path, found: int) -> None:
    if found > schema.SCHEMA:
        raise NoisySegError(
            f"{path} was written by a later version of NoisySeg (format {found}, this one knows "
            f"{schema.SCHEMA}): update napari-noisyseg; nothing was touched"
        )


def refuse_older(path: Path, version: int) -> None:
    """Only a writer can bring a project up to date."""
    if version < schema.SCHEMA:
        raise NoisySegError(
            f"{path} is from an earlier version (format {version}): open it once for writing; "
            "this updates it and keeps a copy"
        )
