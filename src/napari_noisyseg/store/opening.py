"""Before a project's database is opened: is it one, is it sound, is it of this version?"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.store import backup, pyramid, schema
from napari_noisyseg.store.database import NAME


def build(path: Path, facts: Mapping[str, Any]) -> None:
    """A new database with its first facts."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        schema.build(connection)
        for name, value in facts.items():
            connection.execute("INSERT INTO fact VALUES (?, ?)", (name, json.dumps(value)))


def version(path: Path) -> int:
    """The project's version, without touching anything; refuses what is none, or a later one."""
    file = path / NAME
    if not file.is_file():
        raise NoisySegError(f"{path} is no NoisySeg project: there is no {NAME} in it")
    with pyramid.told(f"cannot read {file}"):
        found = schema.version_on_disk(file)
    if found is None:
        raise NoisySegError(
            f"{file} is damaged, or is none of this program: move it aside together with its -wal "
            f"and -shm, and copy {path / backup.FOLDER / backup.GENERATIONS[0]} in its place"
        )
    if found > schema.SCHEMA:
        raise NoisySegError(
            f"{path} was written by a later version of NoisySeg (format {found}, this one knows "
            f"{schema.SCHEMA}): update napari-noisyseg; nothing was touched"
        )
    return found


def refuse_older(path: Path, version: int) -> None:
    """Only a writer can bring a project up to date."""
    if version < schema.SCHEMA:
        raise NoisySegError(
            f"{path} is of an earlier version (format {version}): open it once for writing, which "
            "brings it up to date and keeps a copy"
        )
