"""What is written of one nucleus: where it is, whose find it was, and what was done to it."""

from __future__ import annotations

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.store.context import Context

_FIND = """
SELECT i.name, n.id FROM nucleus n JOIN image i ON i.id = n.image
WHERE n.id = :id OR n.serial = :serial
UNION SELECT i.name, c.id FROM candidate c JOIN image i ON i.id = c.image
WHERE c.id = :id OR c.serial = :serial LIMIT 1
"""
_RUN = """
SELECT coalesce(
    (SELECT run FROM nucleus WHERE id = :id),
    (SELECT c.run FROM candidate c JOIN adoption a ON a.image = c.image AND a.run = c.run
     WHERE c.id = :id ORDER BY a.seq DESC LIMIT 1))
"""
_HISTORY = """
SELECT a.time, a.words FROM action a WHERE a.state = 'done' AND a.id IN
    (SELECT action FROM nucleus_log WHERE id = :id
     UNION SELECT action FROM outline_log WHERE id = :id
     UNION SELECT action FROM verdict_log WHERE id = :id) ORDER BY a.id
"""


def find(context: Context, which: str) -> tuple[str, str]:
    """Image and id of a nucleus, or of a run's find, by its serial or its id."""
    # SQLite knows no larger numbers
    serial = int(which) if which.isdecimal() and len(which) < 19 else None
    found = context.database.row(_FIND, {"id": which, "serial": serial})
    if found is None:
        raise NoisySegError(
            f"there is no nucleus {which} in {context.images.root.name}: give its serial (its "
            "value in label images) or its id"
        )
    return str(found[0]), str(found[1])


def run_of(context: Context, id: str) -> str | None:
    """The run that outlined a nucleus as it was decided on, else the newest; None: no run."""
    found = context.database.value(_RUN, {"id": id})
    return None if found is None else str(found)


def history_of(context: Context, id: str) -> list[tuple[float, str]]:
    """(Unix seconds, words) of every action on a nucleus that was not undone, oldest first."""
    return [(float(at), str(words)) for at, words in context.database.rows(_HISTORY, {"id": id})]
