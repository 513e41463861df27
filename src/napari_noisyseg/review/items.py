"""The nuclei of a review as columns, each made into an item only when somebody looks at it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.store.columns import CODES, Columns
from napari_noisyseg.store.records import NOTHING, STATES, Candidate, State

LITTLE = "little speaks for a nucleus here"
"""what it means that nothing speaks against one of a low score"""
UNUSUAL_SIZE = 3.0
"""an area this many times larger or smaller than the image's median is a reason to look"""
AT_ONCE = 1000
"""items that are made together where all are gone through"""
Rows = NDArray[np.intp]
N = TypeVar("N", bound=np.generic)
T = TypeVar("T")


@dataclass(slots=True)
class ReviewItem:
    """One nucleus to be judged. `doubt` = 1 - score, in 0..1; `reason` is a person's sentence."""

    image: str
    candidate: Candidate
    reason: str
    doubt: float

    @property
    def id(self) -> str:
        """The nucleus's id for life."""
        return self.candidate.id

    @property
    def state(self) -> State:
        """The decision on it, if any."""
        return self.candidate.state


@dataclass(slots=True)
class Images:
    """Images of a review in the order in which they were met, and their usual area in µm²."""

    names: list[str] = field(default_factory=list)
    usual: list[float] = field(default_factory=list)

    def place(self, name: str) -> int:
        """The number of an image."""
        if name not in self.names:
            self.names.append(name)
            self.usual.append(0.0)
        return self.names.index(name)

    def none(self) -> Table:
        """No nuclei yet."""
        return Table(Columns.none(), np.zeros(0, np.int32), self)


@dataclass(slots=True, eq=False)
class Table:
    """Nuclei of several images: columns, and the number of each one's image, (n,)."""

    columns: Columns
    image: NDArray[np.int32]
    images: Images

    def take(self, rows: Rows) -> Table:
        """Some of them, in the order given."""
        return Table(self.columns.take(rows), self.image[rows], self.images)

    def joined(self, *others: Table) -> Table:
        """These and then those."""
        parts = [self, *others]
        image = np.concatenate([part.image for part in parts])
        return Table(Columns.together([part.columns for part in parts]), image, self.images)


class Items(Sequence[ReviewItem]):
    """Nuclei in an order. Who only counts or chooses asks for columns, (n,): half a million items
    take seconds to make.
    """

    def __init__(self, table: Table, rows: Rows | None = None) -> None:
        self._table = table
        self._rows = rows

    def __len__(self) -> int:
        return len(self._table.image if self._rows is None else self._rows)

    @overload
    def __getitem__(self, index: int) -> ReviewItem: ...
    @overload
    def __getitem__(self, index: slice) -> Items: ...
    def __getitem__(self, index: int | slice) -> ReviewItem | Items:
        if isinstance(index, slice):
            return Items(self._table, self._all()[index])
        at = range(len(self))[index]
        return self._item(at if self._rows is None else int(self._rows[at]))

    def __iter__(self) -> Iterator[ReviewItem]:
        rows = self._all()
        for begin in range(0, len(rows), AT_ONCE):
            some = rows[begin : begin + AT_ONCE]
            found = self._table.columns.take(some).candidates()
            for candidate, image in zip(found, self._table.image[some].tolist(), strict=True):
                yield self._made(candidate, image)

    @property
    def ids(self) -> list[str]:
        """Ids for life."""
        return self._listed(self._table.columns.ids)

    @property
    def classes(self) -> list[str | None]:
        """Names of their classes."""
        return self._listed(self._table.columns.classes)

    @property
    def runs(self) -> list[str]:
        """The runs that found them, "" where none did."""
        return self._listed(self._table.columns.runs)

    @property
    def found(self) -> NDArray[np.bool_]:
        """Whether a run found them."""
        return self._chosen(self._table.columns.found)

    @property
    def scores(self) -> NDArray[np.float64]:
        """Confidence in 0..1."""
        return self._chosen(self._table.columns.scores)

    @property
    def areas(self) -> NDArray[np.float64]:
        """Areas in µm²."""
        return self._chosen(self._table.columns.areas)

    @property
    def places(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Points y and x in level-0 pixels."""
        columns = self._table.columns
        return self._chosen(columns.y), self._chosen(columns.x)

    @property
    def states(self) -> list[State]:
        """What a person decided on each."""
        return [STATES[code] for code in self._chosen(self._table.columns.states).tolist()]

    def are(self, state: State) -> NDArray[np.bool_]:
        """Which of them are in a state."""
        return np.equal(self._chosen(self._table.columns.states), CODES[state])

    def are_of(self, image: str) -> NDArray[np.bool_]:
        """Which of them are of an image."""
        names = self._table.images.names
        wanted = names.index(image) if image in names else -1
        return np.equal(self._chosen(self._table.image), wanted)

    def images(self) -> list[str]:
        """Names of their images, each once."""
        return [self._table.images.names[n] for n in np.unique(self._chosen(self._table.image))]

    def numbered(self, serials: Sequence[int]) -> Items:
        """Those of these serial numbers."""
        return self.only(np.isin(self._chosen(self._table.columns.serials), serials))

    def around(self, y: float, x: float) -> Items:
        """Those whose outline's box holds the pixel of a place."""
        y0, x0, y1, x1 = self._chosen(self._table.columns.boxes).T
        return self.only((y0 <= y + 0.5) & (y + 0.5 < y1) & (x0 <= x + 0.5) & (x + 0.5 < x1))

    def at(self, places: Rows) -> Items:
        """Those at some places, in the order given."""
        return Items(self._table, self._all()[places])

    def only(self, wanted: NDArray[np.bool_]) -> Items:
        """Those of them, in their order."""
        return Items(self._table, self._all()[wanted])

    def _all(self) -> Rows:
        return np.arange(len(self)) if self._rows is None else self._rows

    def _chosen(self, column: NDArray[N]) -> NDArray[N]:
        return column if self._rows is None else column[self._rows]

    def _listed(self, column: list[T]) -> list[T]:
        return column if self._rows is None else [column[row] for row in self._rows.tolist()]

    def _item(self, row: int) -> ReviewItem:
        return self._made(self._table.columns.candidate(row), int(self._table.image[row]))

    def _made(self, candidate: Candidate, image: int) -> ReviewItem:
        images = self._table.images
        reason = _reason(candidate, images.usual[image])
        doubt = 1 - min(max(candidate.score, 0.0), 1.0)
        return ReviewItem(images.names[image], candidate, reason, doubt)


def _reason(candidate: Candidate, usual_area: float) -> str:
    size = _unusual_size(candidate.area_um2, usual_area)
    if candidate.reason == NOTHING and candidate.score < 0.5:
        return size or LITTLE
    return candidate.reason or size or f"confidence {round(100 * candidate.score)} %"


def _unusual_size(area: float, usual: float) -> str:
    if not (area > 0 and usual > 0):
        return ""
    if area >= UNUSUAL_SIZE * usual:
        return f"large: {area / usual:.1f} × the usual area"
    if area * UNUSUAL_SIZE <= usual:
        return f"small: {area / usual:.2f} × the usual area"
    return ""
