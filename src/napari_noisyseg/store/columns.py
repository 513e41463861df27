"""Very many nuclei to be judged, as columns; an object is made only for a nucleus asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import chain
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.slides import Box
from napari_noisyseg.store.records import STATES, Candidate, Outline, State

F64 = NDArray[np.float64]
KINDS = "oiffiiiiofsisisi"
"""Of the columns of a query (`Database.columns`) that `Columns.read` takes: id, serial, y, x, y0,
x0, y1, x1, mask, score, reason, whether the run found it, state, frozen, class, area in pixels."""
CODES = {state: code for code, state in enumerate(STATES)}


@dataclass(slots=True, eq=False)
class Columns:
    """What `Candidate` has, as columns of one length n.

    `boxes` (n, 4) are y0, x0, y1, x1; `masks` lie packed; `areas` are in µm²; `states` are places
    in `STATES`; `found` says whether a run found it (`runs` is "" where none did).
    """

    ids: list[str]
    serials: NDArray[np.int64]
    y: F64
    x: F64
    boxes: NDArray[np.int64]
    masks: list[bytes]
    scores: F64
    areas: F64
    reasons: list[str]
    found: NDArray[np.bool_]
    runs: list[str]
    states: NDArray[np.uint8]
    frozen: NDArray[np.bool_]
    classes: list[str | None]

    @classmethod
    def read(cls, columns: Sequence[Any], run: str, mpp: float) -> Self:
        """What a query found, in its order; `mpp` is µm per pixel."""
        (ids, serials, y, x, *sides, masks, scores, reasons, of_run, states, frozen, classes,
         areas) = columns  # fmt: skip
        found, codes = of_run == 1, {state: CODES.get(state, 0) for state in set(states)}
        return cls(
            ids, serials, y, x, np.stack(sides, axis=1), masks, scores, areas * mpp**2, reasons,
            found, [run if one else "" for one in found.tolist()],
            np.array([*map(codes.__getitem__, states)], np.uint8), frozen == 1, classes,
        )  # fmt: skip

    @classmethod
    def found_by(
        cls,
        run: str,
        ids: list[str],
        serials: NDArray[np.int64],
        places: F64,
        boxes: NDArray[np.int64],
        masks: list[bytes],
        scores: F64,
        areas: F64,
        reasons: list[str],
    ) -> Self:
        """What a run found, not judged yet; `places` are (2, n) of y and x."""
        count, (y, x) = len(ids), places
        return cls(
            ids, serials, y, x, boxes, masks, scores, areas, reasons, np.ones(count, bool),
            [run] * count, np.zeros(count, np.uint8), np.zeros(count, bool), [None] * count,
        )  # fmt: skip

    @classmethod
    def of(cls, candidates: Sequence[Candidate], run: str) -> Self:
        """The same from candidates."""
        return cls.found_by(
            run,
            [c.id for c in candidates],
            np.array([c.serial for c in candidates], np.int64),
            np.array([(c.y, c.x) for c in candidates], float).reshape(-1, 2).T,
            np.array([c.outline.box for c in candidates], np.int64).reshape(-1, 4),
            [c.outline.packed_mask for c in candidates],
            np.array([c.score for c in candidates], float),
            np.array([c.area_um2 for c in candidates], float),
            [c.reason for c in candidates],
        )

    @classmethod
    def none(cls) -> Self:
        """No nuclei."""
        kinds: dict[str, type[np.generic]] = {"i": np.int64, "f": np.float64}
        return cls.read(
            [np.zeros(0, kinds[kind]) if kind in kinds else [] for kind in KINDS], "", 1.0
        )

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: NDArray[np.intp]) -> Self:
        """Some of them, in the order given."""
        chosen = rows.tolist()
        columns: list[Any] = [
            list(map(c.__getitem__, chosen)) if isinstance(c, list) else c[rows]
            for c in self._all()
        ]
        return type(self)(*columns)

    def by_serial(self) -> Self:
        """The same in order of serial."""
        return self.take(np.argsort(self.serials, kind="stable"))

    def put(self, row: int, other: Self, at: int) -> None:
        """Replace a row by that of another table."""
        for column, given in zip(self._all(), other._all(), strict=True):
            column[row] = given[at]

    @classmethod
    def together(cls, parts: Sequence[Self]) -> Self:
        """All of several tables, one after the other."""
        each = zip(*(part._all() for part in parts or [cls.none()]), strict=True)
        columns: list[Any] = [
            list(chain.from_iterable(some)) if isinstance(some[0], list) else np.concatenate(some)
            for some in each
        ]
        return cls(*columns)

    def settle(self, row: int, outline: Outline) -> None:
        """Put a person's outline into a row."""
        self.areas[row] *= outline.area / max(self.outline(row).area, 1)
        self.boxes[row], self.masks[row], self.frozen[row] = outline.box, outline.packed_mask, True

    def state(self, row: int) -> State:
        """The decision on one of them."""
        return STATES[int(self.states[row])]

    def said(self, row: int) -> tuple[State, str | None]:
        """The decision on one of them, and its class."""
        return self.state(row), self.classes[row]

    def outline(self, row: int) -> Outline:
        """The outline of one of them."""
        return Outline.packed(Box(*self.boxes[row].tolist()), self.masks[row])

    def candidate(self, row: int) -> Candidate:
        """One of them."""
        return Candidate(
            self.ids[row], self.serials.item(row), self.y.item(row), self.x.item(row),
            self.outline(row), self.scores.item(row), self.reasons[row], self.runs[row],
            self.areas.item(row), self.state(row), self.frozen.item(row), self.classes[row],
        )  # fmt: skip

    def candidates(self) -> list[Candidate]:
        """All of them."""
        return [
            Candidate(id, serial, y, x, Outline.packed(Box(*box), mask), score, reason, run, area,
                      STATES[state], frozen, name)
            for id, serial, y, x, box, mask, score, reason, run, area, state, frozen, name in zip(
                self.ids, self.serials.tolist(), self.y.tolist(), self.x.tolist(),
                self.boxes.tolist(), self.masks, self.scores.tolist(), self.reasons, self.runs,
                self.areas.tolist(), self.states.tolist(), self.frozen.tolist(), self.classes,
                strict=True,
            )
        ]  # fmt: skip

    def _all(self) -> list[Any]:
        return [getattr(self, one.name) for one in fields(self)]
