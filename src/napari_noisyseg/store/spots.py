"""Where very many nuclei lie, without their outlines: read piece by piece, then what is new."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.store import classes
from napari_noisyseg.store.candidates import newest_run
from napari_noisyseg.store.context import Context
from napari_noisyseg.store.decisions import GONE
from napari_noisyseg.store.images import ImageRow
from napari_noisyseg.store.records import STATES, State

PIECE = 20_000
"""rows that are read at a time: whoever else asks the project waits no longer than that takes"""

# an index would be followed from row to row: in the order of the rows they come several times as
# fast, and the plus keeps SQLite from it
_PIECE = """
SELECT rowid, y, x FROM candidate
WHERE rowid > :after AND rowid <= :upto AND +image = :image AND +run = :run ORDER BY rowid
"""
# rows that are removed leave their numbers to others: the last one's name tells them apart
_STAMP = """
SELECT n, (SELECT id FROM candidate WHERE rowid = last) FROM
    (SELECT count(*) AS n, max(rowid) AS last FROM candidate
        WHERE image = :image AND run = :run AND rowid <= :upto)
"""
_SAID = """
SELECT c.rowid, n.state, n.class FROM nucleus n
    JOIN candidate c ON c.image = n.image AND c.run = :run AND c.id = n.id
WHERE n.image = :image
"""
_GONE = f"""
SELECT c.rowid FROM candidate c WHERE c.id IN ({GONE}) AND +c.image = :image AND +c.run = :run
"""
_BESIDE = """
SELECT n.y, n.x, n.state, n.class FROM outline o JOIN nucleus n ON n.id = o.id
WHERE o.image = :image AND o.frozen AND NOT EXISTS
    (SELECT 1 FROM candidate c WHERE c.image = :image AND c.run = :run AND c.id = o.id)
"""


@dataclass(frozen=True, slots=True, eq=False)
class Spots:
    """The nuclei of `Nuclei.candidates` as columns of one length n.

    places (n, 2): (y, x) in level-0 pixels, float32. states (n,): indices into `STATES`, uint8.
    classes (n,): numbers in the order of `Nuclei.classes` from 1, 0 for none, uint16.
    """

    places: NDArray[np.float32]
    states: NDArray[np.uint8]
    classes: NDArray[np.uint16]

    def __len__(self) -> int:
        return len(self.places)


class SpotReader:
    """Reads the newest run's nuclei of one image; asked again, it reads what came since.

    One thread at a time may call it.
    """

    def __init__(self, context: Context, image: str) -> None:
        self._context, self._image = context, image
        self._begun = False
        self._forget("")

    def _forget(self, run: str) -> None:
        self._run, self._upto, self._last = run, 0, ""
        self._keys, self._places = np.empty(0, np.int64), np.empty((0, 2), np.float32)
        self._read: list[NDArray[np.float64]] = []

    def step(self) -> Spots | None:
        """Read on: None while there is more, at the end all nuclei; the next call begins again.

        Raises NoisySegError where the project cannot be read, or the image is gone.
        """
        row = self._context.images.row(self._image)
        run, database = newest_run(self._context, row) or "", self._context.database
        named = {"image": row.id, "run": run, "upto": self._upto}
        if run != self._run or (
            not self._begun and self._stamp(named) != (len(self._keys), self._last)
        ):
            self._forget(run)
        self._begun, last = True, int(database.value("SELECT max(rowid) FROM candidate") or 0)
        self._read_piece(named | {"after": self._upto, "upto": self._upto + PIECE})
        self._upto = min(self._upto + PIECE, last)
        if self._upto < last:
            return None
        self._begun = False
        found = self._judged(row)
        _, self._last = self._stamp(named | {"upto": self._upto})
        return found

    def _stamp(self, named: dict[str, Any]) -> tuple[int, str]:
        """How many nuclei there are up to a row, and the last one's id."""
        ((count, last),) = self._context.database.rows(_STAMP, named)
        return int(count), str(last or "")

    def _read_piece(self, named: dict[str, Any]) -> None:
        rows = self._context.database.rows(_PIECE, named)
        if rows:
            self._read.append(np.array(rows, np.float64))

    def _judged(self, row: ImageRow) -> Spots:
        """What was read, with what people said of it, and without what they removed."""
        table = np.concatenate([np.empty((0, 3)), *self._read])
        self._read = []
        self._keys = np.concatenate([self._keys, table[:, 0].astype(np.int64)])
        self._places = np.concatenate([self._places, table[:, 1:].astype(np.float32)])
        numbers = {c.name: at for at, c in enumerate(classes.listed(self._context), 1)}
        rows, named = self._context.database.rows, {"image": row.id, "run": self._run}
        states, groups = np.zeros(len(self._keys), np.uint8), np.zeros(len(self._keys), np.uint16)
        said = [(key, *_said(state, name, numbers)) for key, state, name in rows(_SAID, named)]
        at, values = self._rows_of(np.array(said, np.int64).reshape(-1, 3))
        states[at], groups[at] = values.T
        kept = np.ones(len(self._keys), bool)
        kept[self._rows_of(np.array(rows(_GONE, named), np.int64).reshape(-1, 1))[0]] = False
        more = [(y, x, *_said(s, name, numbers)) for y, x, s, name in rows(_BESIDE, named)]
        beside = np.array(more, np.float64).reshape(-1, 4)
        return Spots(
            np.concatenate([self._places[kept], beside[:, :2].astype(np.float32)]),
            np.concatenate([states[kept], beside[:, 2].astype(np.uint8)]),
            np.concatenate([groups[kept], beside[:, 3].astype(np.uint16)]),
        )

    def _rows_of(self, table: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
        """Where the keys in a table's first column stand, those that are known; the rest of it."""
        at = np.searchsorted(self._keys, table[:, 0])
        known = at < len(self._keys)
        known[known] = self._keys[at[known]] == table[known, 0]
        return at[known], table[known, 1:]


def _said(state: State, name: str | None, numbers: dict[str, int]) -> tuple[int, int]:
    """A state and a class as numbers."""
    return STATES.index(state), numbers.get(name or "", 0)
