"""Two people, one slide: a second one judges blind what the first decided, and how far they agree.

What is compared is what both say of the nucleus as the run found it. Where the first redrew it so
that little of the run's outline was left, the run's outline was refused.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.review.audit import wrong_before
from napari_noisyseg.review.items import ReviewItem, Rows, Table
from napari_noisyseg.review.queue import ReviewQueue
from napari_noisyseg.store.columns import CODES, Columns
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import Look, Outline, State, Verdict


class BlindQueue(ReviewQueue):
    """What others decided on, as the run found it, in a random order that is always the same.

    The second person sees neither decision nor redrawn outline. What is decided is kept beside the
    decision that stands, and changes nothing.
    """

    def __init__(
        self, project: Project, reviewer: str, images: Sequence[str] | None = None
    ) -> None:
        if not reviewer.strip():
            raise NoisySegError("a blind second review needs the reviewer's name")
        super().__init__(project, images, reviewer=reviewer)

    def _found(self, image: str, ids: Collection[str] | None) -> Columns:
        nuclei, own = self._project.nuclei, self.reviewer
        said = nuclei.verdicts(image)
        mine = {v.id: v.state for v in said if v.way == "blind" and v.reviewer == own}
        others = {v.id for v in said if v.way != "blind" and v.reviewer != own}
        wanted = others if ids is None else others & set(ids)
        shown = nuclei.machine(image, sorted(wanted))
        found = super()._found(image, wanted)
        found = found.take(np.flatnonzero([id in shown for id in found.ids]))
        for row, id in enumerate(found.ids):
            # also what it was thought to be worth: a newer run, or a hand, tells the decision
            outline, found.scores[row], found.reasons[row], found.runs[row] = shown[id]
            found.settle(row, outline)
            found.states[row] = CODES[mine.get(id, "unreviewed")]
        found.frozen[:] = False
        return found

    def _usual_area(self, found: Columns) -> float:
        # what others decided on is no fair sample of an image
        return 0.0

    def _order(self, table: Table) -> Rows:
        # a part of the queue is then a fair sample of the first one's decisions
        ids = table.columns.ids
        return np.array(sorted(range(len(ids)), key=ids.__getitem__), np.intp)

    def drawn(self) -> int | None:
        """None: all of the order is random."""
        return None

    def outline(self, item: ReviewItem) -> Outline:
        """The run's."""
        return item.candidate.outline

    def redraw(self, nucleus: str, outline: Outline) -> None:
        """Refused: a second opinion changes nothing."""
        raise NoisySegError("in a blind review you cannot redraw: reject a wrong outline")

    def _write(
        self, ids: Sequence[str], state: State, reviewer: str, outlines: Any, look: Look
    ) -> None:
        self._project.nuclei.judge_blind(ids, state, reviewer, look.ms)


def second_queue(project: Project, reviewer: str) -> BlindQueue:
    """What a second person judges blind; NoisySegError where there is nothing, saying why."""
    queue = BlindQueue(project, reviewer)
    if not len(queue):
        said = {v.reviewer for v in project.nuclei.verdicts(ways=("queue", "audit"))}
        whose = f"only {reviewer} has" if said & {reviewer} else "nobody has"
        raise NoisySegError(
            f"{whose} decided on nuclei so far: another person must judge them blind, with their "
            "own name",
        )
    return queue


@dataclass(frozen=True, slots=True)
class Pair:
    """What two people said of one nucleus."""

    id: str
    image: str
    first: Verdict
    second: Verdict

    @property
    def same(self) -> bool:
        """Whether they said the same."""
        return _said(self.first) == _said(self.second)


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of `judged` nuclei `same` were judged alike; `kappa` is Cohen's, None where it has no value.

    It has none where both gave one and the same answer throughout.
    """

    first: str
    second: str
    judged: int
    same: int
    kappa: float | None

    def words(self) -> str:
        """A line of it."""
        value = "–" if self.kappa is None else f"{self.kappa:.2f}"
        return (
            f"{self.first or 'unnamed'} and {self.second}: {self.same} of {self.judged} alike, "
            f"Cohen's kappa {value}"
        )

    def sentence(self) -> str:
        """What it means, for somebody who never heard of kappa."""
        people = f"{self.first or 'Somebody unnamed'} and {self.second}"
        if self.kappa is None:
            return f"{people} gave the same answer {self.same} times of {self.judged}, always one."
        return (
            f"{people} agree on {self.same} of {self.judged} nuclei: {_grade(self.kappa)} "
            f"(Cohen's kappa {self.kappa:.2f}; 1 is always, 0 is chance)."
        )


def _grade(value: float) -> str:
    """Kappa in the words of Landis and Koch (1977)."""
    if value <= 0:
        return "no more than by chance"
    steps = ((0.2, "slight"), (0.4, "fair"), (0.6, "moderate"), (0.8, "substantial"))
    return next((word for most, word in steps if value <= most), "almost perfect") + " agreement"


def pairs(project: Project) -> list[Pair]:
    """Every nucleus that a second person judged blind, beside the decision that stands."""
    said = project.nuclei.verdicts()
    standing = {v.id: v for v in said if v.way != "blind"}
    return [
        Pair(v.id, v.image, standing[v.id], v)
        for v in said
        if v.way == "blind" and v.id in standing and v.reviewer != standing[v.id].reviewer
    ]


def agreements(project: Project) -> list[Agreement]:
    """How far each two people agree who judged the same nuclei; nuclei either is unsure of count
    as an answer of their own.
    """
    by_people: dict[tuple[str, str], list[Pair]] = {}
    for pair in pairs(project):
        by_people.setdefault((pair.first.reviewer, pair.second.reviewer), []).append(pair)
    return [
        Agreement(one, other, len(some), sum(p.same for p in some), kappa(some))
        for (one, other), some in sorted(by_people.items())
    ]


def kappa(some: Sequence[Pair]) -> float | None:
    """Cohen's kappa (1960): agreement beyond that by chance; None where chance explains all."""
    first, second = [_said(p.first) for p in some], [_said(p.second) for p in some]
    count = max(len(some), 1)
    chance = sum(first.count(a) * second.count(a) for a in set(first)) / count**2
    if chance >= 1 or not some:
        return None
    return (sum(p.same for p in some) / count - chance) / (1 - chance)


def disagreements(project: Project) -> list[str]:
    """Ids of the nuclei that two people judged differently: `Filter(ids=...)` shows them."""
    return sorted({pair.id for pair in pairs(project) if not pair.same})


def views(project: Project) -> dict[str, str]:
    """Of each nucleus of `disagreements`, who said what."""
    return {
        pair.id: ", ".join(
            f"{v.reviewer or 'unnamed'}: {_said(v)}" for v in (pair.first, pair.second)
        )
        for pair in pairs(project)
        if not pair.same
    }


def _said(verdict: Verdict) -> State:
    return "rejected" if verdict.state == "accepted" and wrong_before(verdict) else verdict.state
