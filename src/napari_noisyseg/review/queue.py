"""What to look at next, and why: the adopted run's nuclei, the most doubtful first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import Candidate, Outline, State

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
    """The nuclei of the adopted run in a fixed order, the most doubtful first.

    The order is made once, so that nothing jumps while a person works; `refresh` reads decisions
    again (after an undo, say) and keeps it. Decisions go to the store first and only then here.
    """

    def __init__(
        self, project: Project, images: Sequence[str] | None = None, run: str | None = None
    ) -> None:
        self._project = project
        self._run = run
        names = [record.name for record in project.images()]
        if unknown := sorted(set(images or ()) - set(names)):
            raise NoisySegError(
                f"no image named {unknown[0]!r} in {project.path}: it has {', '.join(names)}"
            )
        found = [item for name in images or names for item in _items(project, name, run)]
        self._items = sorted(found, key=lambda i: (-i.doubt, i.image, i.candidate.serial))
        self._index = {item.id: row for row, item in enumerate(self._items)}

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
        """The row of the next nucleus without a decision, starting over at the end."""
        count = len(self._items)
        for step in range(1, count + 1):
            candidate = (row + step) % count
            if self._items[candidate].state == "unreviewed":
                return candidate
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
        """Write a decision on nuclei of one image to the store as one undoable action."""
        if not ids:
            return
        self._project.nuclei.decide(
            ids, state, self._run_of(ids[0]), reviewer=reviewer, outlines=outlines
        )
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
            with self._project.nuclei.together(f"accept {count} nuclei above {confidence:g}"):
                for ids in by_image.values():
                    self.decide(ids, "accepted", reviewer)
        return count

    def redraw(self, nucleus: str, outline: Outline) -> None:
        """Write the outline that a person drew; the decision stays what it was."""
        row = self._index[nucleus]
        item, nuclei = self._items[row], self._project.nuclei
        # what only the run knows becomes a nucleus of the project together with its outline
        with nuclei.together("outline a nucleus"):
            nuclei.decide([nucleus], item.state, item.candidate.run, outlines={nucleus: outline})
        self._set(row, frozen=True)

    def refresh(self) -> list[str]:
        """Read all decisions again and keep the order; the ids whose decision had changed."""
        now = {
            nucleus.id: nucleus
            for image in sorted({item.image for item in self._items})
            for nucleus in self._project.nuclei.of(image, every=True)
        }
        changed = []
        for row, item in enumerate(self._items):
            # a nucleus that only the run knows has no row of its own until it is decided on
            nucleus = now.get(item.id)
            state = nucleus.state if nucleus else "unreviewed"
            class_name = nucleus.class_name if nucleus else None
            if (item.state, item.candidate.class_name) != (state, class_name):
                self._set(row, state=state, class_name=class_name)
                changed.append(item.id)
        return changed

    def outline(self, item: ReviewItem) -> Outline:
        """The nucleus's outline as it stands: a person's where there is one, else the run's."""
        return self._project.nuclei.outline(item.id) or item.candidate.outline

    def _set(self, row: int, **changes: Any) -> None:
        item = self._items[row]
        self._items[row] = replace(item, candidate=replace(item.candidate, **changes))

    def _run_of(self, nucleus: str) -> str:
        return self._items[self._index[nucleus]].candidate.run


def accept_above(
    project: Project, confidence: float, images: Sequence[str] | None = None, reviewer: str = ""
) -> int:
    """Accept every nucleus not yet reviewed whose score is at least `confidence` (0..1)."""
    return ReviewQueue(project, images).accept_above(confidence, reviewer)


def _items(project: Project, image: str, run: str | None) -> Iterable[ReviewItem]:
    candidates = project.nuclei.candidates(image, run)
    if not candidates:
        return
    median = float(np.median([candidate.area_um2 for candidate in candidates]))
    for candidate in candidates:
        doubt = 1 - min(max(candidate.score, 0.0), 1.0)
        yield ReviewItem(image, candidate, _reason(candidate, median), doubt)


def _reason(candidate: Candidate, median_area: float) -> str:
    size = _unusual_size(candidate.area_um2, median_area)
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
