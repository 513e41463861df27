"""Every human action as one transaction, undone and redone by plain copies of rows."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.store.database import Database
from napari_noisyseg.store.records import Aspect, HistoryEntry, JournalEntry
from napari_noisyseg.store.schema import LOGGED, columns


def as_keys(keys: Sequence[Any]) -> str:
    """Keys as one parameter for `IN (SELECT value FROM json_each(?))`."""
    return json.dumps(list(keys))


IN_KEYS = "IN (SELECT value FROM json_each(?))"


class Action:
    """What is being done now: remembers rows as they were and as they become."""

    def __init__(self, database: Database, id: int, image: int | None) -> None:
        self._database = database
        self.id = id
        self.images = set() if image is None else {image}

    @contextlib.contextmanager
    def changing(self, table: str, keys: Sequence[Any]) -> Iterator[None]:
        """Log the rows with these keys before and after what happens inside."""
        wanted = as_keys(keys)
        key, names = LOGGED[table][0], ", ".join(columns(table))
        run, log = self._database.run, f"{table}_log"
        # a row that this action has already changed keeps its first 'before'
        run(
            f"INSERT OR IGNORE INTO {log} SELECT ?, 0, {names} FROM {table} WHERE {key} {IN_KEYS} "
            f"AND NOT EXISTS (SELECT 1 FROM {log} l WHERE l.action = ? AND l.side = 1 "
            f"AND l.{key} = {table}.{key})",
            (self.id, wanted, self.id),
        )
        yield
        run(
            f"DELETE FROM {log} WHERE action = ? AND side = 1 AND {key} {IN_KEYS}",
            (self.id, wanted),
        )
        run(
            f"INSERT INTO {log} SELECT ?, 1, {names} FROM {table} WHERE {key} {IN_KEYS}",
            (self.id, wanted),
        )


class History:
    """The order of a project's actions; undo and redo survive a restart."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._open: Action | None = None

    @property
    def acting(self) -> bool:
        """Whether an action is open."""
        return self._open is not None

    @contextlib.contextmanager
    def action(
        self, words: str, image: int | None = None, aspects: Aspect = Aspect.NOTHING
    ) -> Iterator[Action]:
        """One action: all that happens inside is kept, and undone, together; inner ones join."""
        with self._database.transaction():
            if self._open is not None:
                self.touch(image, aspects)
                yield self._open
                return
            action = self._begin(words, image, aspects)
            self._open = action
            try:
                yield action
            finally:
                self._open = None

    def _begin(self, words: str, image: int | None, aspects: Aspect) -> Action:
        run = self._database.run
        run("UPDATE action SET state = 'dropped' WHERE state = 'undone'")
        id = run(
            "INSERT INTO action (time, words, image, aspects, state) VALUES (?, ?, ?, ?, 'done')",
            (time.time(), words, image, int(aspects)),
        )
        # noted at once, so that what is read inside the action sees its own strokes
        self._note(id, 1)
        return Action(self._database, id, image)

    def touch(self, image: int | None, aspects: Aspect) -> None:
        """Say what else the present action touches."""
        if self._open is None:
            raise RuntimeError("nothing is being done")
        if image is not None:
            self._open.images.add(image)
        # an action over several images belongs to none of them
        only = next(iter(self._open.images)) if len(self._open.images) == 1 else None
        for table, key in (("action", "id"), ("journal", "action")):
            self._database.run(
                f"UPDATE {table} SET aspects = aspects | ?, image = ? WHERE {key} = ?",
                (int(aspects), only, self._open.id),
            )

    def _note(self, action: int, direction: int) -> None:
        self._database.run(
            "INSERT INTO journal (action, direction, time, image, aspects, words) "
            "SELECT id, ?, ?, image, aspects, words FROM action WHERE id = ?",
            (direction, time.time(), action),
        )

    def note_machine(self, words: str, image: int | None, aspects: Aspect) -> None:
        """Let the version grow for what a run brought; that is no action and cannot be undone.

        image: its row's id, None where it concerns all.
        """
        self._database.run(
            "INSERT INTO journal (action, direction, time, image, aspects, words) "
            "VALUES (NULL, 0, ?, ?, ?, ?)",
            (time.time(), image, int(aspects), words),
        )

    def undo(self) -> str | None:
        """Undo the last action; its words, or None when there is nothing to undo."""
        return self._travel("done", "undone", "DESC", -1)

    def redo(self) -> str | None:
        """Redo the last undone action; its words, or None when there is nothing to redo."""
        return self._travel("undone", "done", "ASC", 1)

    def _travel(self, state: str, becomes: str, order: str, direction: int) -> str | None:
        with self._database.transaction():
            if self._open is not None:
                raise NoisySegError("undo and redo have to wait until the current action is over")
            found = self._database.row(
                f"SELECT id, words FROM action WHERE state = ? ORDER BY id {order} LIMIT 1",
                (state,),
            )
            if found is None:
                return None
            id, words = found
            for table in LOGGED:
                self._restore(table, id, side=0 if direction < 0 else 1)
            self._database.run("UPDATE action SET state = ? WHERE id = ?", (becomes, id))
            self._note(id, direction)
        return str(words)

    def _restore(self, table: str, action: int, side: int) -> None:
        key, names = LOGGED[table][0], ", ".join(columns(table))
        run, log = self._database.run, f"{table}_log"
        run(
            f"DELETE FROM {table} WHERE {key} IN (SELECT {key} FROM {log} WHERE action = ?)",
            (action,),
        )
        run(
            f"INSERT INTO {table} SELECT {names} FROM {log} WHERE action = ? AND side = ?",
            (action, side),
        )

    def entries(self, limit: int) -> list[HistoryEntry]:
        """The newest actions first."""
        rows = self._database.rows(
            "SELECT a.id, a.time, a.words, i.name, a.aspects, a.state FROM action a "
            "LEFT JOIN image i ON i.id = a.image ORDER BY a.id DESC LIMIT ?",
            (limit,),
        )
        return [HistoryEntry(r[0], r[1], r[2], r[3], Aspect(r[4]), r[5]) for r in rows]

    def coming(self, since: int = 0) -> tuple[str, str]:
        """The actions after this one that undo and redo would take up, in words; "" for none."""
        newest = "SELECT id, words FROM action WHERE id > ? AND state = 'done' ORDER BY id DESC"
        done = self._database.row(f"{newest} LIMIT 1", (since,)) or (since, "")
        # what can be done again is newer than all that is done
        oldest = "SELECT words FROM action WHERE id > ? AND state = 'undone' ORDER BY id"
        undone = self._database.row(f"{oldest} LIMIT 1", (done[0],)) or ("",)
        return str(done[1]), str(undone[0])

    def journal(self, since: int) -> list[JournalEntry]:
        """Every step after version `since`, oldest first."""
        rows = self._database.rows(
            "SELECT j.version, j.direction, i.name, j.aspects, j.words FROM journal j "
            "LEFT JOIN image i ON i.id = j.image WHERE j.version > ? ORDER BY j.version",
            (since,),
        )
        return [JournalEntry(r[0], r[1], r[2], Aspect(r[3]), r[4]) for r in rows]

    def touched(self, since: int) -> dict[str, set[str]]:
        """Per image the ids of nuclei that actions, undos and redos after `since` changed."""
        acted = "(SELECT DISTINCT action FROM journal WHERE version > :since)"
        rows = self._database.rows(
            " UNION ".join(
                f"SELECT i.name, l.id FROM {acted} j CROSS JOIN {table}_log l "
                "ON l.action = j.action JOIN image i ON i.id = l.image"
                for table in ("nucleus", "outline", "verdict", "replaced", "comment")
            ),
            {"since": since},
        )
        found: dict[str, set[str]] = {}
        for image, id in rows:
            found.setdefault(image, set()).add(id)
        return found

    def version(self, image: int | None, aspects: Aspect) -> int:
        """The newest step that touched these aspects (of one image), 0 before the first."""
        sql, parameters = "SELECT max(version) FROM journal WHERE aspects & ?", [int(aspects)]
        if not aspects:
            sql, parameters = "SELECT max(version) FROM journal WHERE 1", []
        if image is not None:
            # a step without an image (classes) may concern any
            sql, parameters = f"{sql} AND (image = ? OR image IS NULL)", [*parameters, image]
        return int(self._database.value(sql, parameters) or 0)
