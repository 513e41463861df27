"""What to look at next, and why: the nuclei to be judged, the most doubtful first."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import NOTHING, Aspect, Candidate, Outline, State

LITTLE = "little speaks for a nucleus here"
"""what it means that nothing speaks against one of a low score"""
UNUSUAL_SIZE = 3.0
"""an area this many times larger or smaller than the image's median is a reason to look"""


@dataclass(frozen=True, slots=True)
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
    """The nuclei to be judged (`Nuclei.judged`) in a fixed order, the most doubtful first.

    The order is made once, so that nothing jumps while a person works; `refresh` reads again what
    others changed (after an undo, say) and keeps it. Decisions go to the store first and only then
    here.
    """

    def __init__(
        self, project: Project, images: Sequence[str] | None = None, run: str | None = None
    ) -> None:
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
        self._put(_doubtful_first(self._read_all()))

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
        """The n most doubtful nuclei without a decision."""
        open_items = (item for item in self._items if item.state == "unreviewed")
        return [item for _, item in zip(range(n), open_items, strict=False)]

    def open_after(self, row: int) -> int | None:
        """The row of the next nucleus without a decision, starting over at the end.

        Once all have one it is the next unsure one; None where none is open in either way.
        """
        count = len(self._items)
        order = [(row + step) % count for step in range(1, count + 1)]
        for state in ("unreviewed", "unsure"):
            for at in order:
                if self._items[at].state == state:
                    return at
        return None

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
        reviewer: str = "",
        outlines: Mapping[str, Outline] | None = None,
    ) -> None:
        """Write a decision on nuclei of one image to the store as one undoable action.

        One that the run did not find leaves the review when the decision on it is taken back.
        """
        if not ids:
            return
        image, run = self._items[self._index[ids[0]]].image, self._run_of(ids[0])
        with self._keeping_up():
            self._project.nuclei.decide(ids, state, run, reviewer=reviewer, outlines=outlines)
        if state == "unreviewed":
            self._merge(set(ids), self._read(image, ids))
            return
        for nucleus in ids:
            self._set(self._index[nucleus], state=state)

    def above(self, confidence: float) -> list[ReviewItem]:
        """Nuclei without a decision whose score is at least `confidence`."""
        return [
            item
            for item in self._items
            if item.state == "unreviewed" and item.candidate.score >= confidence
        ]

    def accept_above(self, confidence: float, reviewer: str = "") -> int:
        """Accept all of `above(confidence)` as one undoable action; how many they were."""
        by_image: dict[str, list[str]] = defaultdict(list)
        for item in self.above(_checked(confidence)):
            by_image[item.image].append(item.id)
        count = sum(map(len, by_image.values()))
        if count:
            words = f"accept {count} nuclei above {confidence:g}"
            with self._keeping_up(), self._project.nuclei.together(words):
                for ids in by_image.values():
                    self.decide(ids, "accepted", reviewer)
        return count

    def redraw(self, nucleus: str, outline: Outline) -> None:
        """Write the outline that a person drew; the decision stays what it was."""
        row = self._index[nucleus]
        item, nuclei = self._items[row], self._project.nuclei
        # what only the run knows becomes a nucleus of the project together with its outline
        with self._keeping_up(), nuclei.together("outline a nucleus"):
            nuclei.decide([nucleus], item.state, self._run_of(nucleus), outlines={nucleus: outline})
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
            self._put([*kept, *_doubtful_first(now.values())])
        return changed

    def _put(self, items: list[ReviewItem]) -> None:
        self._items = items
        self._index = {item.id: row for row, item in enumerate(items)}


def accept_above(
    project: Project, confidence: float, images: Sequence[str] | None = None, reviewer: str = ""
) -> int:
    """Accept every nucleus not yet reviewed whose score is at least `confidence` (0..1)."""
    return ReviewQueue(project, images).accept_above(confidence, reviewer)


def _doubtful_first(items: Iterable[ReviewItem]) -> list[ReviewItem]:
    return sorted(items, key=lambda i: (-i.doubt, i.image, i.candidate.serial))


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
