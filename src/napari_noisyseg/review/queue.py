"""What to look at next, and why: first the nuclei whose look is expected to correct most."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.review import audit
from napari_noisyseg.review.items import Images, Items, ReviewItem, Rows, Table
from napari_noisyseg.review.value import worth
from napari_noisyseg.store.columns import CODES, Columns
from napari_noisyseg.store.making import uncollected
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import STATES, Aspect, Look, Outline, State, Way

__all__ = ["Items", "ReviewItem", "ReviewProgress", "ReviewQueue", "accept_above"]

OPEN = CODES["unreviewed"]
DECIDED: tuple[State, ...] = ("accepted", "rejected", "unsure")


@dataclass(frozen=True, slots=True)
class ReviewProgress:
    """How far the review is, in nuclei."""

    total: int
    accepted: int
    rejected: int
    unsure: int

    @property
    def reviewed(self) -> int:
        """Nuclei with any decision, unsure ones included."""
        return self.accepted + self.rejected + self.unsure

    def words(self) -> str:
        """One line of truth, as the panel shows it."""
        if not self.total:
            return "nothing to review yet"
        line = f"{self.reviewed:,} of {self.total:,} reviewed"
        if not self.reviewed:
            return line
        return f"{line} · {round(100 * self.accepted / self.reviewed)} % accepted"


class ReviewQueue:
    """The nuclei to be judged (`Nuclei.judged`) in a fixed order, by what a look is worth.

    The order is made once, so that nothing jumps while a person works; `refresh` reads again what
    others changed (after an undo, say) and keeps it. Decisions go to the store first and only then
    here.
    """

    def __init__(
        self,
        project: Project,
        images: Sequence[str] | None = None,
        run: str | None = None,
        reviewer: str = "",
    ) -> None:
        self.reviewer = reviewer
        self._by_id: list[str] | None = None
        self._back: tuple[int, int] | None = None
        self._counted = (-1, 0)
        self._project = project
        self._images = images
        self._run = run
        names = [record.name for record in project.images()]
        if unknown := sorted(set(images or ()) - set(names)):
            raise NoisySegError(
                f"no image named {unknown[0]!r} in {project.path}: it has {', '.join(names)}"
            )
        self._version = project.nuclei.version()
        self._known = Images()
        with uncollected():
            self._put(self._sorted(self._read_all()))

    @property
    def items(self) -> Items:
        """All nuclei in the order of review, decided ones included."""
        return self._items

    def __len__(self) -> int:
        return len(self._items)

    def row(self, nucleus: str) -> int | None:
        """Where in the order a nucleus stands, or None when it is not among them."""
        return self._index.get(nucleus)

    def next(self, n: int = 1) -> list[ReviewItem]:
        """The first n nuclei of the order without a decision."""
        rows = np.flatnonzero(self._states == OPEN)[:n]
        return [self._items[row] for row in rows.tolist()]

    def open_after(self, row: int) -> int | None:
        """The row of the next nucleus without a decision, starting over at the end.

        Once all have one it is the next unsure one; None where none is open in either way.
        """
        for state in ("unreviewed", "unsure"):
            wanted = self._states == CODES[state]
            for begin, end in ((row + 1, None), (0, row + 1)):
                part = wanted[max(begin, 0) : end]
                if part.any():
                    return max(begin, 0) + int(part.argmax())
        return None

    def following(self, row: int) -> int | None:
        """The row to look at after `row`: that of `open_after`, or now and then one at random.

        After the one at random the order goes on where it was left. What was drawn, and when one is
        drawn, is the same after a restart; see `audit`.
        """
        came_from, self._back = self._back, None
        row = came_from[1] if came_from is not None and came_from[0] == row else row
        drawn = self.drawn()
        if drawn is None:
            return self.open_after(row)
        self._back = drawn, row
        return drawn

    def drawn(self) -> int | None:
        """The row of the nucleus drawn at random, where the next look is one of these."""
        return self._draw(0)

    def draw_after(self, row: int) -> int | None:
        """The row that `drawn` will give once the nucleus at `row` was decided on."""
        return self._draw(1, self._items[row].id)

    def _draw(self, more: int, decided: str = "") -> int | None:
        if len(self._items) < audit.FROM or not audit.due(self._looks() + more):
            return None
        if not (self._states == OPEN).any():
            return None
        if self._by_id is None:
            # new ids rise with their serials, so that they are all but sorted then
            ids = self._table.columns.ids
            born = np.argsort(self._table.columns.serials, kind="stable")
            self._by_id = sorted(ids[row] for row in born.tolist())
        found = audit.draw(self._by_id, lambda id: id != decided and self._not_looked_at(id))
        return None if found is None else self._index[found]

    def _looks(self) -> int:
        """`Nuclei.looks`, counted once for each state of the project."""
        version = self._project.nuclei.version()
        if self._counted[0] != version:
            self._counted = version, self._project.nuclei.looks()
        return self._counted[1]

    def _not_looked_at(self, nucleus: str) -> bool:
        row = self._index[nucleus]
        if not self._table.columns.found[row]:
            return False
        state = self._table.columns.state(row)
        if state == "accepted":
            return not self._project.nuclei.looked_at(nucleus)
        return state == "unreviewed"

    def progress(self) -> ReviewProgress:
        """Counts of all decisions among these nuclei."""
        counts = np.bincount(self._states, minlength=len(STATES)).tolist()
        accepted, rejected, unsure = (counts[CODES[s]] for s in DECIDED)
        return ReviewProgress(len(self), accepted, rejected, unsure)

    def decide(
        self,
        ids: Sequence[str],
        state: State,
        reviewer: str | None = None,
        outlines: Mapping[str, Outline] | None = None,
        ms: int | None = None,
    ) -> None:
        """Write a decision on nuclei of one image to the store as one undoable action.

        reviewer: who decided, else that of the queue; ms: how long it was looked at.
        One that the run did not find leaves the review when the decision on it is taken back.
        """
        if not ids:
            return
        drawn = self.drawn() if len(ids) == 1 else None
        way: Way = "audit" if drawn is not None and drawn == self._index[ids[0]] else "queue"
        look = Look("bulk" if len(ids) > 1 else way, ms)
        self._decide(ids, state, self.reviewer if reviewer is None else reviewer, outlines, look)

    def _decide(
        self,
        ids: Sequence[str],
        state: State,
        reviewer: str,
        outlines: Mapping[str, Outline] | None,
        look: Look,
    ) -> None:
        with self._keeping_up():
            self._write(ids, state, reviewer, outlines, look)
        if state == "unreviewed":
            self._merge(set(ids), self._read(self._items[self._index[ids[0]]].image, ids))
            return
        self._states[[self._index[nucleus] for nucleus in ids]] = CODES[state]

    def _write(
        self,
        ids: Sequence[str],
        state: State,
        reviewer: str,
        outlines: Mapping[str, Outline] | None,
        look: Look,
    ) -> None:
        self._project.nuclei.decide(ids, state, self._run_of(ids[0]), reviewer, outlines, look)

    def above(self, confidence: float) -> Items:
        """Nuclei without a decision whose score is at least `confidence`."""
        return self._items.only((self._states == OPEN) & (self._items.scores >= confidence))

    def accept_above(self, confidence: float, reviewer: str | None = None) -> int:
        """Accept all of `above(confidence)` as one undoable action; how many they were."""
        sure = self.above(_checked(confidence))
        if sure:
            words = f"accept {len(sure)} nuclei above {confidence:g}"
            # read before any of it is decided on
            each = [sure.only(sure.are_of(image)).ids for image in sure.images()]
            with self._keeping_up(), self._project.nuclei.together(words):
                by = self.reviewer if reviewer is None else reviewer
                for ids in each:
                    self._decide(ids, "accepted", by, None, Look("bulk"))
        return len(sure)

    def redraw(self, nucleus: str, outline: Outline) -> None:
        """Write the outline that a person drew; the decision stays what it was."""
        row = self._index[nucleus]
        item, nuclei = self._items[row], self._project.nuclei
        # what only the run knows becomes a nucleus of the project together with its outline
        with self._keeping_up(), nuclei.together("outline a nucleus"):
            by = self.reviewer
            run = self._run_of(nucleus)
            nuclei.decide([nucleus], item.state, run, by, outlines={nucleus: outline})
        self._table.columns.settle(row, outline)

    def refresh(self) -> list[str]:
        """Take over what happened since; the ids whose decision or class had changed.

        What is still to be judged keeps its order; nuclei that have become part of the review come
        at the end, and those that are gone are dropped. Costs next to nothing where nothing
        happened.
        """
        nuclei, since = self._project.nuclei, self._version
        self._version = nuclei.version()
        if self._version == since:
            return []
        steps = nuclei.journal(since)
        if any(not s.direction or s.aspects & Aspect.IMAGES for s in steps):
            return self._replace(self._read_all())
        changed = []
        names = set(self._names())
        for image, ids in nuclei.touched(since).items():
            if image in names:
                changed += self._merge(ids, self._read(image, ids))
        return changed

    def outline(self, item: ReviewItem) -> Outline:
        """The nucleus's outline as it stands: a person's where there is one, else the run's."""
        return self._project.nuclei.outline(item.id) or item.candidate.outline

    def _run_of(self, nucleus: str) -> str | None:
        return self._table.columns.runs[self._index[nucleus]] or self._run

    @contextlib.contextmanager
    def _keeping_up(self) -> Iterator[None]:
        """What is done inside is also noted here: `refresh` need not read it again."""
        nuclei = self._project.nuclei
        current = nuclei.version() == self._version
        yield
        if current:
            self._version = nuclei.version()

    def _names(self) -> list[str]:
        """The images of this review that there are."""
        names = [record.name for record in self._project.images()]
        return names if self._images is None else [n for n in self._images if n in names]

    def _read_all(self) -> Table:
        return self._known.none().joined(*map(self._read, self._names()))

    def _read(self, image: str, ids: Collection[str] | None = None) -> Table:
        """The nuclei of an image, or those of these that are still to be judged."""
        found = self._found(image, ids)
        place = self._known.place(image)
        if ids is None and len(found):
            self._known.usual[place] = self._usual_area(found)
        return Table(found, np.full(len(found), place, np.int32), self._known)

    def _usual_area(self, found: Columns) -> float:
        """That of an image's nuclei in µm²; 0: none is unusually large or small."""
        return float(np.median(found.areas))

    def _found(self, image: str, ids: Collection[str] | None) -> Columns:
        return self._project.nuclei.judged_columns(image, self._run, ids)

    def _merge(self, ids: Collection[str], found: Table) -> list[str]:
        """Put what was found of these nuclei in place; those whose decision or class changed."""
        now = {id: at for at, id in enumerate(found.columns.ids)}
        gone, changed = [], []
        for row in sorted(self._index[id] for id in ids if id in self._index):
            id = self._table.columns.ids[row]
            at = now.pop(id, None)
            if at is None:
                gone.append(row)
                continue
            if self._table.columns.said(row) != found.columns.said(at):
                changed.append(id)
            self._table.columns.put(row, found.columns, at)
        if gone or now:
            kept = self._table.take(np.delete(np.arange(len(self)), gone))
            self._put(kept.joined(self._sorted(found.take(_rows(now.values())))))
        return changed

    def _replace(self, found: Table) -> list[str]:
        """The same where all was read again."""
        before, now = self._table.columns, {id: at for at, id in enumerate(found.columns.ids)}
        pairs = [(row, now.pop(id)) for row, id in enumerate(before.ids) if id in now]
        changed = [
            before.ids[row] for row, at in pairs if before.said(row) != found.columns.said(at)
        ]
        kept = found.take(_rows(at for _, at in pairs))
        back = self._back if len(pairs) == len(self) and not now else None
        self._put(kept.joined(self._sorted(found.take(_rows(now.values())))))
        self._back = back
        return changed

    def _sorted(self, table: Table) -> Table:
        return table.take(self._order(table))

    def _order(self, table: Table) -> Rows:
        return _most_worth_first(table)

    def _put(self, table: Table) -> None:
        self._table, self._items = table, Items(table)
        self._index = {id: row for row, id in enumerate(table.columns.ids)}
        self._by_id = self._back = None

    @property
    def _states(self) -> NDArray[np.uint8]:
        return self._table.columns.states


def accept_above(
    project: Project, confidence: float, images: Sequence[str] | None = None, reviewer: str = ""
) -> int:
    """Accept every nucleus not yet reviewed whose score is at least `confidence` (0..1)."""
    return ReviewQueue(project, images).accept_above(confidence, reviewer)


def _most_worth_first(table: Table) -> Rows:
    """By what a look is expected to correct; ties by image and serial."""
    value, rank = np.zeros(len(table.image)), np.zeros(len(table.image), np.intp)
    names = table.images.names
    for number, name in enumerate(sorted(names)):
        rows = np.flatnonzero(table.image == names.index(name))
        value[rows] = worth(table.columns.scores[rows], table.columns.areas[rows])
        rank[rows] = number
    return np.lexsort((table.columns.serials, rank, -value))


def _rows(places: Iterable[int]) -> Rows:
    return np.fromiter(places, np.intp)


def _checked(confidence: float) -> float:
    if not 0 <= confidence <= 1:
        raise NoisySegError(
            f"cannot accept above a confidence of {confidence:g}: give a number between 0 and 1"
        )
    return confidence
