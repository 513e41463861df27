"""The tables of project.sqlite, and how a project of an earlier version becomes one of today."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box
from napari_noisyseg.store.packing import count_mask

SCHEMA = 5
"""Version of the tables; kept in the file's header (`user_version`)."""
APPLICATION_ID = 0x4E53_4547
"""Marks the file as ours ("NSEG")."""

# A person's tables come in pairs: T holds what is, T_log the rows as they were before (side 0)
# and after (side 1) each action. Undo and redo are then plain copies, for one row or for 10^5.
LOGGED: Mapping[str, tuple[str, str]] = {
    "image": (
        "id",
        "id INTEGER, name TEXT, key TEXT, height INTEGER, width INTEGER, mpp REAL, "
        "mpp_assumed INTEGER, linked INTEGER, sha TEXT, downsamples TEXT",
    ),
    "field": (
        "id",
        "id TEXT, image INTEGER, y0 INTEGER, x0 INTEGER, y1 INTEGER, x1 INTEGER, complete INTEGER",
    ),
    "class": ("name", "name TEXT, color TEXT, position INTEGER"),
    "nucleus": (
        "id",
        "id TEXT, serial INTEGER, image INTEGER, y REAL, x REAL, class TEXT, origin TEXT, "
        "state TEXT, run TEXT, reviewer TEXT",
    ),
    "outline": (
        "id",
        "id TEXT, image INTEGER, y0 INTEGER, x0 INTEGER, y1 INTEGER, x1 INTEGER, mask BLOB, "
        "origin TEXT, frozen INTEGER, area INTEGER",
    ),
    "learned": ("network", "network TEXT, file TEXT, about TEXT"),
    "verdict": (
        "key",
        "key TEXT, id TEXT, image INTEGER, reviewer TEXT, state TEXT, way TEXT, run TEXT, "
        "time REAL, ms INTEGER, agreed REAL",
    ),
    # nuclei that went into another one
    "replaced": ("id", "id TEXT, image INTEGER, serial INTEGER, by TEXT"),
    "comment": ("id", "id TEXT, image INTEGER, words TEXT"),
}

_REST = """
CREATE TABLE action (id INTEGER PRIMARY KEY AUTOINCREMENT, time REAL, words TEXT, image INTEGER,
    aspects INTEGER, state TEXT);
CREATE INDEX action_state ON action (state, id);
CREATE TABLE journal (version INTEGER PRIMARY KEY AUTOINCREMENT, action INTEGER,
    direction INTEGER, time REAL, image INTEGER, aspects INTEGER, words TEXT);
CREATE INDEX journal_image ON journal (image, version);
CREATE TABLE stroke (id INTEGER PRIMARY KEY, action INTEGER, image INTEGER, plane TEXT,
    y0 INTEGER, x0 INTEGER, y1 INTEGER, x1 INTEGER, before BLOB, after BLOB);
CREATE INDEX stroke_action ON stroke (action);
CREATE INDEX stroke_plane ON stroke (image, plane, action);
CREATE TABLE plane (image INTEGER, plane TEXT, upto INTEGER, PRIMARY KEY (image, plane));
CREATE TABLE candidate (image INTEGER, run TEXT, id TEXT, serial INTEGER, y REAL, x REAL,
    y0 INTEGER, x0 INTEGER, y1 INTEGER, x1 INTEGER, mask BLOB, score REAL, reason TEXT,
    area INTEGER, PRIMARY KEY (image, run, id));
CREATE INDEX candidate_id ON candidate (id);
CREATE TABLE adoption (seq INTEGER PRIMARY KEY AUTOINCREMENT, image INTEGER, run TEXT, time REAL,
    found INTEGER);
CREATE INDEX adoption_image ON adoption (image, seq);
CREATE TABLE adopted_run (run TEXT PRIMARY KEY, time REAL);
CREATE TABLE link (image INTEGER PRIMARY KEY, path TEXT, relative TEXT, size INTEGER, mtime REAL);
CREATE TABLE fit (image INTEGER PRIMARY KEY, value TEXT);
CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT);
CREATE UNIQUE INDEX nucleus_serial ON nucleus (serial);
CREATE INDEX nucleus_place ON nucleus (image, y, x);
CREATE INDEX nucleus_state ON nucleus (image, origin, state);
CREATE UNIQUE INDEX image_name ON image (name);
CREATE INDEX field_image ON field (image);
CREATE INDEX verdict_id ON verdict (id);
CREATE INDEX verdict_way ON verdict (way, time);
INSERT INTO fact VALUES ('serial', '0'), ('image', '0');
"""

INDICES = """
CREATE INDEX IF NOT EXISTS candidate_spot ON candidate (image, run, y0, x0);
CREATE INDEX IF NOT EXISTS outline_spot ON outline (image, frozen, y0, x0);
DROP INDEX IF EXISTS candidate_place;
DROP INDEX IF EXISTS outline_image;
"""
"""What makes looking up quicker than it was in an earlier version; what is in the tables is the
same, so that this is no version of its own."""
QUICKER = ("candidate_spot", "outline_spot")
FORMER = (
    "CREATE INDEX candidate_place ON candidate (image, run, y0)",
    "CREATE INDEX outline_image ON outline (image, frozen, y0)",
)
"""Names of these, missing before the first opening for writing; and what they replace."""


AREAS = 5
"""The version from which on outlines have their area."""
WITH_AREA = ("candidate", "outline", "outline_log")
"""Tables of outlines."""


def before_areas(sql: str) -> str:
    """How the table of outlines that such a statement makes was made before `AREAS`."""
    return sql.replace(", area INTEGER", "")


def columns(table: str) -> tuple[str, ...]:
    """Names of a logged table's columns, in order."""
    return tuple(part.split()[0] for part in LOGGED[table][1].split(", "))


def build(connection: sqlite3.Connection) -> None:
    """All tables of a new project, in one transaction."""
    parts = [f"PRAGMA application_id = {APPLICATION_ID};", "BEGIN;"]
    for table in LOGGED:
        parts += _logged(table)
    connection.executescript(
        "\n".join([*parts, _REST, INDICES, f"PRAGMA user_version = {SCHEMA};", "COMMIT;"])
    )


def _logged(table: str) -> list[str]:
    """The statements that make a table and its log."""
    key, spec = LOGGED[table]
    return [
        f"CREATE TABLE {table} ({spec}, PRIMARY KEY ({key}));",
        f"CREATE TABLE {table}_log (action INTEGER, side INTEGER, {spec}, "
        f"PRIMARY KEY (action, side, {key})) WITHOUT ROWID;",
    ]


def _add_learned(connection: sqlite3.Connection) -> None:
    """Version 2: networks that learned from a person's decisions."""
    for statement in _logged("learned"):
        connection.execute(statement)


def _add_verdicts(connection: sqlite3.Connection) -> None:
    """Version 3: who looked at a nucleus, when, how long, and how it came up."""
    indices = (
        "CREATE INDEX verdict_id ON verdict (id);",
        "CREATE INDEX verdict_way ON verdict (way, time);",
    )
    for statement in (*_logged("verdict"), *indices):
        connection.execute(statement)


def _add_repairs(connection: sqlite3.Connection) -> None:
    """Version 4: merged nuclei, and comments."""
    for table in ("replaced", "comment"):
        for statement in _logged(table):
            connection.execute(statement)


def _add_areas(connection: sqlite3.Connection) -> None:
    """Version 5: how many pixels an outline has, which a review need not count any more."""
    connection.create_function("pixels", 5, _pixels, deterministic=True)
    for table in WITH_AREA:
        if not any(c[1] == "area" for c in connection.execute(f"PRAGMA table_info({table})")):
            connection.execute(f"ALTER TABLE {table} ADD COLUMN area INTEGER")
        connection.execute(f"UPDATE {table} SET area = pixels(mask, y0, x0, y1, x1)")


def _pixels(mask: bytes, y0: int, x0: int, y1: int, x1: int) -> int:
    """The area of a packed mask, 0 of a damaged one: whoever looks at it is told."""
    try:
        return count_mask(mask, Box(y0, x0, y1, x1))
    except (NoisySegError, TypeError, ValueError, OverflowError):
        return 0


MIGRATIONS: dict[int, Callable[[sqlite3.Connection], None]] = {
    1: _add_learned,
    2: _add_verdicts,
    3: _add_repairs,
    4: _add_areas,
}
"""From a version to the next; each runs inside one transaction together with its version mark."""


def migrate(connection: sqlite3.Connection, version: int) -> None:
    """Bring the tables from an earlier `version` to today's, step by step."""
    for step in range(version, SCHEMA):
        connection.execute("BEGIN IMMEDIATE")
        try:
            MIGRATIONS[step](connection)
            connection.execute(f"PRAGMA user_version = {step + 1}")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")


def version_on_disk(path: Path) -> int | None:
    """The version in a database's header, read without opening it; None when it is not ours."""
    with path.open("rb") as file:
        header = file.read(100)
    if len(header) < 100 or not header.startswith(b"SQLite format 3\0"):
        return None
    if int.from_bytes(header[68:72], "big") != APPLICATION_ID:
        return None
    return int.from_bytes(header[60:64], "big", signed=True)
