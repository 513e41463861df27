"""Whether a database holds what this program writes, and nothing else that SQLite would act on.

A project may come from a stranger: a view in a table's place never ends, a trigger writes what
nobody asked for, and a text where a number belongs breaks whoever reads it.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Mapping
from functools import cache

from napari_noisyseg.store import schema
from napari_noisyseg.store.records import STATES

MOST = 100_000
"""Rows of a table that are looked at on every opening: a tenth of a second."""
_OWN = ("sqlite_autoindex_", "sqlite_stat")
"""How SQLite names what it makes itself, beside `sqlite_sequence`."""
_NULL: Mapping[str, tuple[str, ...]] = {
    "nucleus": ("class", "run", "reviewer"),
    "action": ("image",),
    "journal": ("action", "image"),
    "link": ("relative",),
    "verdict": ("ms", "agreed"),
}
_KINDS = {
    "INTEGER": "typeof({0}) = 'integer' AND abs({0}) < 9000000000000000",
    "REAL": "typeof({0}) IN ('real', 'integer') AND abs({0}) < 1e15",
    "TEXT": "typeof({0}) = 'text'",
    "BLOB": "typeof({0}) = 'blob'",
}
_SMALL = ("serial", "height", "width", "y0", "x0", "y1", "x1")
_JSON = {
    ("image", "downsamples"): "array", ("fit", "value"): "object", ("learned", "about"): "object",
}  # fmt: skip

Things = dict[tuple[str, str], str]


def foreign(connection: sqlite3.Connection, version: int) -> str | None:
    """What the database has that ours does not, or lacks, in words; None where it is ours.

    Reads SQLite's own list alone, and so runs nothing of what is in it.
    """
    found, ours = _things(connection), _ours()
    former = set(schema.FORMER)
    if version < schema.AREAS:
        former |= {schema.before_areas(ours["table", name]) for name in schema.WITH_AREA}
    for key, sql in found.items():
        if ours.get(key) != sql and sql not in former:
            return f"the {key[0]} {key[1]!r} is not as this program makes it"
    if version != schema.SCHEMA:
        return None
    missing = sorted(key for key in set(ours) - set(found) if key[1] not in schema.QUICKER)
    return f"the {missing[0][0]} {missing[0][1]!r} is missing" if missing else None


def mistyped(connection: sqlite3.Connection, most: int | None = MOST) -> str | None:
    """The table in which a value is of another kind than its column, or impossible; None if none.

    most: how many rows of each table to look at; None for all.
    """
    tables = [name for kind, name in _things(connection) if kind == "table"]
    for table in tables:
        rows = table if most is None else f"(SELECT * FROM {table} LIMIT {most})"
        sql = f"SELECT 1 FROM {rows} WHERE NOT coalesce({_rule(connection, table)}, 0) LIMIT 1"
        if connection.execute(sql).fetchone() is not None:
            return table
    return None


def _things(connection: sqlite3.Connection) -> Things:
    rows = connection.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
    found = {(str(t), str(n)): " ".join(str(s).split()) for t, n, s in rows}
    mine = {
        key for key in found
        if key[0] in ("table", "index")
        and (key[1] == "sqlite_sequence" or key[1].startswith(_OWN))
    }  # fmt: skip
    return {key: sql for key, sql in found.items() if key not in mine}


@cache
def _ours() -> Things:
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        schema.build(connection)
        return _things(connection)


def _rule(connection: sqlite3.Connection, table: str) -> str:
    """What holds of every row of a table of ours, as SQL."""
    base = table.removesuffix("_log")
    conditions = []
    for _, column, kind, *_ in connection.execute(f"PRAGMA table_info({table})").fetchall():
        name = f'"{column}"'
        sound = _KINDS[kind].format(name)
        if column in _SMALL:
            sound += f" AND {name} BETWEEN -2147483648 AND 2147483647"
        if (base, column) in _JSON:
            sound += f" AND json_valid({name}) AND json_type({name}) = '{_JSON[base, column]}'"
        if base == "fact" and column == "value":
            sound += f" AND json_valid({name})"
        if base == "nucleus" and column == "state":
            sound += f" AND {name} IN {STATES}"
        empty = f"{name} IS NULL OR " if column in _NULL.get(base, ()) else ""
        conditions.append(f"({empty}({sound}))")
    return " AND ".join(conditions)
