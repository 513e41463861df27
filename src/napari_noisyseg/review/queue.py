"""What to look at next, and why: first the nuclei whose look is expected to correct most."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.review import audit
from napari_noisyseg.review.value import values
from napari_noisyseg.store.making import uncollected
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import NOTHING, Aspect, Candidate, Look, Outline, State, Way

LITTLE = "little speaks for a nucleus here"
"""what it means that nothing speaks against one of a low score"""
UNUSUAL_SIZE = 3.0
"""an area this many times larger or smaller than the image's median is a reason to look"""


# not frozen, as that takes four times as long to make: there may be half a million
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
        line = f"{self.reviewed} of {self.total} reviewed"
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
        self._usual: dict[str, float] = {}
        with uncollected():
            self._put(self._ordered(self._read_all()))

    @property
    def items(self) -> Sequence[ReviewItem]:
        """All nuclei in the order of review, decided ones included."""
        return self._items

    def __len__(self) -> int:
        return len(self._items)

    def row(self, nucleus: str) -> int | None:
        """Where in the order a nucleus stands, or None when it is not among them."""
        return self._index.get(nucleus)

    def next(self, n: int = 1) -> list[ReviewItem]:
        """The first n nuclei of the order without a decision."""
        open_items = (item for item in self._items if item.state == "unreviewed")
        return [item for _, item in zip(range(n), open_items, strict=False)]

    def open_after(self, row: int) -> int | None:
        """The row of the next nucleus without a decision, starting over at the end.

        Once all have one it is the next unsure one; None where none is open in either way.
        """
        count = len(self._items)
        for state in ("unreviewed", "unsure"):
            for at in chain(range(row + 1, count), range(min(row + 1, count))):
                if self._items[at].candidate.state == state:
                    return at
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
        if not any(item.state == "unreviewed" for item in self._items):
            return None
        if self._by_id is None:
            self._by_id = sorted(self._index)
        found = audit.draw(self._by_id, lambda id: id != decided and self._not_looked_at(id))
        return None if found is None else self._index[found]

    def _looks(self) -> int:
        """`Nuclei.looks`, counted once for each state of the project."""
        version = self._project.nuclei.version()
        if self._counted[0] != version:
            self._counted = version, self._project.nuclei.looks()
        return self._counted[1]

    def _not_looked_at(self, nucleus: str) -> bool:
        item = self._items[self._index[nucleus]]
        if item.state == "unreviewed" or not item.candidate.run:
            return bool(item.candidate.run)
        return item.state == "accepted" and not self._project.nuclei.looked_at(nucleus)

    def progress(self) -> ReviewProgress:
        """Counts of all decisions among these nuclei."""
        states = [item.state for item in self._items]
        return ReviewProgress(
            len(states), states.count("accepted"), states.count("rejected"), states.count("unsure")
        )

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
        for nucleus in ids:
            self._set(self._index[nucleus], state=state)

    def _write(
        self,
        ids: Sequence[str],
        state: State,
        reviewer: str,
        outlines: Mapping[str, Outline] | None,
        look: Look,
    ) -> None:
        self._project.nuclei.decide(ids, state, self._run_of(ids[0]), reviewer, outlines, look)

    def above(self, confidence: float) -> list[ReviewItem]:
        """Nuclei without a decision whose score is at least `confidence`."""
        return [
            item
            for item in self._items
            if item.state == "unreviewed" and item.candidate.score >= confidence
        ]

    def accept_above(self, confidence: float, reviewer: str | None = None) -> int:
        """Accept all of `above(confidence)` as one undoable action; how many they were."""
        by_image: dict[str, list[str]] = defaultdict(list)
        for item in self.above(_checked(confidence)):
            by_image[item.image].append(item.id)
        count = sum(map(len, by_image.values()))
        if count:
            words = f"accept {count} nuclei above {confidence:g}"
            with self._keeping_up(), self._project.nuclei.together(words):
                by = self.reviewer if reviewer is None else reviewer
                for ids in by_image.values():
                    self._decide(ids, "accepted", by, None, Look("bulk"))
        return count

    def redraw(self, nucleus: str, outline: Outline) -> None:
        """Write the outline that a person drew; the decision stays what it was."""
        row = self._index[nucleus]
        item, nuclei = self._items[row], self._project.nuclei
        # what only the run knows becomes a nucleus of the project together with its outline
        with self._keeping_up(), nuclei.together("outline a nucleus"):
            by = self.reviewer
            run = self._run_of(nucleus)
            nuclei.decide([nucleus], item.state, run, by, outlines={nucleus: outline})
        self._set(row, frozen=True, outline=outline)

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
            return self._merge(set(self._index), self._read_all())
        changed = []
        names = set(self._names())
        for image, ids in nuclei.touched(since).items():
            if image in names:
                changed += self._merge(ids, self._read(image, ids))
        return changed

    def outline(self, item: ReviewItem) -> Outline:
        """The nucleus's outline as it stands: a person's where there is one, else the run's."""
        return self._project.nuclei.outline(item.id) or item.candidate.outline

    def _set(self, row: int, **changes: Any) -> None:
        item = self._items[row]
        self._items[row] = replace(item, candidate=replace(item.candidate, **changes))

    def _run_of(self, nucleus: str) -> str | None:
        return self._items[self._index[nucleus]].candidate.run or self._run

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

    def _read_all(self) -> list[ReviewItem]:
        return [item for image in self._names() for item in self._read(image)]

    def _read(self, image: str, ids: Collection[str] | None = None) -> list[ReviewItem]:
        """The items of an image, or those of these nuclei that are still to be judged."""
        candidates = self._project.nuclei.judged(image, self._run, ids)
        if ids is None and candidates:
            self._usual[image] = float(np.median([c.area_um2 for c in candidates]))
        usual = self._usual.get(image, 0.0)
        return [ReviewItem(image, c, _reason(c, usual), _doubt(c)) for c in candidates]

    def _merge(self, ids: Collection[str], found: Sequence[ReviewItem]) -> list[str]:
        """Put what was found of these nuclei in place; those whose decision or class changed."""
        now, gone, changed = {item.id: item for item in found}, set(), []
        for row in sorted(self._index[id] for id in ids if id in self._index):
            before = self._items[row]
            item = now.pop(before.id, None)
            if item is None:
                gone.add(before.id)
                continue
            if _said(before) != _said(item):
                changed.append(item.id)
            self._items[row] = item
        if gone or now:
            kept = [item for item in self._items if item.id not in gone]
            self._put([*kept, *self._ordered(list(now.values()))])
        return changed

    def _ordered(self, items: Sequence[ReviewItem]) -> list[ReviewItem]:
        return _most_worth_first(items)

    def _put(self, items: list[ReviewItem]) -> None:
        self._items = items
        self._index = {item.candidate.id: row for row, item in enumerate(items)}
        self._by_id = self._back = None


def accept_above(
    project: Project, confidence: float, images: Sequence[str] | None = None, reviewer: str = ""
) -> int:
    """Accept every nucleus not yet reviewed whose score is at least `confidence` (0..1)."""
    return ReviewQueue(project, images).accept_above(confidence, reviewer)


def _most_worth_first(items: Sequence[ReviewItem]) -> list[ReviewItem]:
    """By what a look is expected to correct; ties by image and serial."""
    rows_of: dict[str, list[int]] = {}
    for row, item in enumerate(items):
        rows_of.setdefault(item.image, []).append(row)
    worth, image = np.zeros(len(items)), np.zeros(len(items), np.intp)
    for number, name in enumerate(sorted(rows_of)):
        rows = rows_of[name]
        worth[rows] = values([items[row].candidate for row in rows])
        image[rows] = number
    serials = np.array([item.candidate.serial for item in items], np.int64)
    return [items[row] for row in np.lexsort((serials, image, -worth)).tolist()]


def _said(item: ReviewItem) -> tuple[State, str | None]:
    return item.state, item.candidate.class_name


def _doubt(candidate: Candidate) -> float:
    return 1 - min(max(candidate.score, 0.0), 1.0)


def _reason(candidate: Candidate, median_area: float) -> str:
    size = _unusual_size(candidate.area_um2, median_area)
    if candidate.reason == NOTHING and candidate.score < 0.5:
        return size or LITTLE
    return candidate.reason or size or f"confidence {round(100 * candidate.score)} %"


def _unusual_size(area: float, median: float) -> str:
    if not (area > 0 and median > 0):
        return ""
    if area >= UNUSUAL_SIZE * median:
        return f"large: {area / median:.1f} × the usual area"
    if area * UNUSUAL_SIZE <= median:
        return f"small: {area / median:.2f} × the usual area"
    return ""


def _checked(confidence: float) -> float:
    if not 0 <= confidence <= 1:
        raise NoisySegError(
            f"cannot accept above a confidence of {confidence:g}: give a number between 0 and 1"
        )
    return confidence
