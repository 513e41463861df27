"""Very many nuclei as columns, their masks as they lie in the database, read piece by piece."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.slides import Box
from napari_noisyseg.store.candidates import newest_run
from napari_noisyseg.store.context import Context
from napari_noisyseg.store.decisions import GONE
from napari_noisyseg.store.history import IN_KEYS, as_keys
from napari_noisyseg.store.packing import unpack_stacks
from napari_noisyseg.store.records import Outline, State

PIECE = 10_000
"""nuclei that are in memory at a time"""


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """Nuclei as columns of one length n. Points `y`, `x` and `boxes` (n, 4) of y0, x0, y1, x1 are
    in level-0 pixels; `masks` are packed. `scores` (confidence in 0..1) and `runs` are None for
    nuclei that the newest run did not find.
    """

    ids: Sequence[str]
    serials: Sequence[int]
    y: Sequence[float]
    x: Sequence[float]
    boxes: NDArray[np.int64]
    masks: Sequence[bytes]
    scores: Sequence[float | None]
    runs: Sequence[str | None]
    states: Sequence[State]
    classes: Sequence[str | None]

    def __len__(self) -> int:
        return len(self.ids)

    def stacks(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
        """The masks, many at once: see `packing.unpack_stacks`."""
        return unpack_stacks(self.masks, self.boxes[:, 2:] - self.boxes[:, :2])

    def outline(self, row: int) -> Outline:
        """The outline of one of them."""
        return Outline.packed(Box(*self.boxes[row].tolist()), self.masks[row])

    @classmethod
    def of_rows(cls, rows: Sequence[tuple[Any, ...]]) -> Packed:
        """Rows of id, serial, y, x, y0, x0, y1, x1, mask, score, run, state, class."""
        ids, serials, y, x, y0, x0, y1, x1, masks, *rest = zip(*rows, strict=True)
        boxes = np.array([y0, x0, y1, x1], np.int64).T
        return cls(ids, serials, y, x, boxes, masks, *rest)


# what stands in a project of each nucleus: the outline that a person settled, else the run's
_COLUMNS = "n.id, n.serial, n.y, n.x, o.y0, o.x0, o.y1, o.x1, o.mask"
_RUN_KEYS = f"""
SELECT c.rowid, c.serial, coalesce(o.y0, c.y0), coalesce(o.x0, c.x0)
FROM candidate c LEFT JOIN nucleus n ON n.id = c.id LEFT JOIN outline o ON o.id = c.id AND o.frozen
WHERE c.image = :image AND c.run = :run AND coalesce(n.state, 'unreviewed') {{states}}
    AND c.id NOT IN ({GONE})
"""
_RUN_ROWS = f"""
SELECT c.id, c.serial, c.y, c.x, coalesce(o.y0, c.y0), coalesce(o.x0, c.x0), coalesce(o.y1, c.y1),
    coalesce(o.x1, c.x1), coalesce(o.mask, c.mask), c.score, c.run,
    coalesce(n.state, 'unreviewed'), n.class
FROM candidate c LEFT JOIN nucleus n ON n.id = c.id LEFT JOIN outline o ON o.id = c.id AND o.frozen
WHERE c.rowid {IN_KEYS}
"""
# rows that are written again meanwhile have other numbers: what they were then finds them
_RUN_ANEW = _RUN_ROWS.replace(
    f"c.rowid {IN_KEYS}", f"c.image = ? AND c.run = ? AND c.serial {IN_KEYS}"
)
_OUTLINE_KEYS = """
SELECT o.rowid, n.serial, o.y0, o.x0 FROM outline o JOIN nucleus n ON n.id = o.id
WHERE o.image = :image AND n.state {states}
"""
_BESIDE = """ AND o.frozen AND NOT EXISTS
    (SELECT 1 FROM candidate c WHERE c.image = :image AND c.run = :run AND c.id = o.id)
"""
_OUTLINE_ROWS = f"""
SELECT {_COLUMNS}, c.score, c.run, n.state, n.class FROM outline o JOIN nucleus n ON n.id = o.id
    LEFT JOIN candidate c ON c.image = o.image AND c.run = ? AND c.id = o.id WHERE o.rowid {IN_KEYS}
"""
_OUTLINE_ANEW = _OUTLINE_ROWS.replace(f"o.rowid {IN_KEYS}", f"n.serial {IN_KEYS}")


class Selection:
    """Nuclei of an image, chosen now and read later, as often as wanted.

    of_run: those of `Nuclei.candidates`, else those of `Nuclei.outlines`; in these states.
    """

    def __init__(self, context: Context, image: str, states: Sequence[State], of_run: bool) -> None:
        self._context = context
        row = context.images.row(image)
        self._run, self._row, self._of_run = newest_run(context, row), row.id, of_run
        wanted = f"IN ({', '.join(repr(s) for s in states)})"
        keys = {"image": row.id, "run": self._run or ""}
        found = self._keys(_RUN_KEYS.format(states=wanted), keys) if of_run else self._keys("", {})
        beside = _OUTLINE_KEYS.format(states=wanted) + (_BESIDE if of_run else "")
        others = self._keys(beside, keys)
        self._found = np.repeat([True, False], [len(found), len(others)])
        self._table = np.concatenate([found, others])

    def _keys(self, sql: str, parameters: dict[str, Any]) -> NDArray[np.int64]:
        if not sql:
            return np.zeros((0, 4), np.int64)
        return np.stack(self._context.database.columns(sql, parameters, "iiii"), axis=1)

    def __len__(self) -> int:
        return len(self._table)

    @property
    def serials(self) -> NDArray[np.int64]:
        """Their serials, in no order."""
        return self._table[:, 1]

    def in_order(self) -> Iterator[Packed]:
        """All of them by serial, `PIECE` at a time."""
        order = np.argsort(self._table[:, 1], kind="stable")
        for begin in range(0, len(order), PIECE):
            yield from self._read(order[begin : begin + PIECE])

    def by_tile(self, side: int) -> Iterator[Packed]:
        """Those whose outline begins in the same square of `side` pixels together."""
        tiles = self._table[:, 2:] // side
        order = np.lexsort((self._table[:, 1], tiles[:, 1], tiles[:, 0]))
        turns = np.flatnonzero((np.diff(tiles[order], axis=0) != 0).any(axis=1)) + 1
        for tile in np.split(order, turns) if len(order) else ():
            for begin in range(0, len(tile), PIECE):
                yield from self._read(tile[begin : begin + PIECE])

    def _read(self, chosen: NDArray[np.int64]) -> Iterator[Packed]:
        found, rows = self._found[chosen], list[tuple[Any, ...]]()
        keys = self._table[chosen, 0]
        read = self._context.database.rows
        if found.any():
            rows += read(_RUN_ROWS, (as_keys(keys[found].tolist()),))
        if not found.all():
            rows += read(_OUTLINE_ROWS, (self._run or "", as_keys(keys[~found].tolist())))
        wanted = set(self._table[chosen, 1].tolist())
        rows = [row for row in rows if row[1] in wanted]
        if gone := wanted.difference(row[1] for row in rows):
            rows += self._anew(gone)
        # none is left where all of them were removed meanwhile
        if rows:
            yield Packed.of_rows(sorted(rows, key=itemgetter(1)))

    def _anew(self, serials: set[int]) -> list[tuple[Any, ...]]:
        """Nuclei whose rows were written again since they were chosen, by their serials."""
        read, run, rows = self._context.database.rows, self._run or "", list[tuple[Any, ...]]()
        if self._of_run:
            rows += read(_RUN_ANEW, (self._row, run, as_keys(sorted(serials))))
        left = serials.difference(row[1] for row in rows)
        return rows + read(_OUTLINE_ANEW, (run, as_keys(sorted(left)))) if left else rows
