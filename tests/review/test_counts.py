"""One meaning of what is to be judged: the project's counts and the review's are the same."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path
from time import thread_time

import numpy as np
import pytest

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.review import ReviewQueue
from napari_noisyseg.slides import Box
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import Candidate, Outline, State

SIDE = 64
IMAGES = ("i", "j")
DECISIONS: tuple[State, ...] = ("accepted", "rejected", "unsure", "unreviewed")


def square(y: int, x: int, side: int = 6) -> Outline:
    return Outline(Box(y, x, y + side, x + side), np.ones((side, side), bool))


def find(y: int, x: int, id: str = "", score: float = 0.5) -> Candidate:
    return Candidate(id, 0, y + 3, x + 3, square(y, x), score, "", "", 0.0)


def told(project: Project, image: str) -> tuple[int, int, int, int]:
    counts = project.nuclei.counts(image)
    return counts.candidates, counts.accepted, counts.rejected, counts.unsure


def check(project: Project, kept: ReviewQueue) -> None:
    """The counts, a review made now and one that was kept up all say the same."""
    kept.refresh()
    for image in [record.name for record in project.images()]:
        fresh = ReviewQueue(project, [image]).progress()
        expected = (fresh.total, fresh.accepted, fresh.rejected, fresh.unsure)
        assert told(project, image) == expected
        assert fresh.reviewed <= fresh.total
    fresh_all = ReviewQueue(project)
    assert kept.progress() == fresh_all.progress()
    assert shown(kept) == shown(fresh_all)
    assert len({item.id for item in fresh_all.items}) == len(fresh_all)


def shown(queue: ReviewQueue) -> list[tuple[object, ...]]:
    rows = [(i.image, i.id, i.state, i.candidate, queue.outline(i).box) for i in queue.items]
    return sorted((*row, c.run, c.class_name or "", box) for *row, c, box in rows)


class Walk:
    """Any of the things that people and runs do, at random."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.any = random.Random(seed)
        self.project = Project.create(folder / f"walk-{seed}.noisyseg")
        for name in IMAGES:
            self.project.add_array(np.full((SIDE, SIDE, 3), 200, np.uint8), name, 0.25)
        self.kept = ReviewQueue(self.project)
        self.runs = 0

    def image(self) -> str:
        # adding an image can be undone too: then there is none of this name
        return self.any.choice([record.name for record in self.project.images()] or ["i"])

    def spot(self) -> tuple[int, int]:
        return self.any.randrange(0, SIDE - 6, 4), self.any.randrange(0, SIDE - 6, 4)

    def some(self, image: str, of_runs: bool = True) -> list[str]:
        nuclei = self.project.nuclei
        ids = {n.id for n in nuclei.of(image, every=True)}
        if of_runs:
            ids |= {c.id for c in nuclei.candidates(image)}
        return self.any.sample(sorted(ids), min(len(ids), self.any.randint(1, 2)))

    def step(self) -> None:
        deeds = (
            self.add, self.drop, self.adopt, self.decide, self.decide, self.judge, self.redraw,
            self.bring, self.remove, self.undo, self.undo, self.redo, self.name, self.remove_image,
            self.together,
        )  # fmt: skip
        # what is refused changes nothing
        with contextlib.suppress(NoisySegError):
            self.any.choice(deeds)()

    def add(self) -> None:
        self.project.nuclei.add(self.image(), *self.spot())

    def drop(self) -> None:
        self.project.nuclei.drop(self.image(), [self.spot()])

    def adopt(self) -> None:
        image = self.image()
        self.runs += self.any.random() < 0.8
        points = self.project.nuclei.of(image)
        named = self.any.sample(points, min(len(points), self.any.randint(0, 2)))
        found = [find(*self.spot(), score=self.any.random()) for _ in range(self.any.randint(0, 4))]
        found += [find(*self.spot(), id=n.id) for n in named]
        self.project.nuclei.adopt(image, f"run-{self.runs}", found)

    def decide(self) -> None:
        self.project.nuclei.decide(self.some(self.image()), self.any.choice(DECISIONS))

    def judge(self) -> None:
        if len(self.kept):
            item = self.any.choice(self.kept.items)
            self.kept.decide([item.id], self.any.choice(DECISIONS))

    def redraw(self) -> None:
        if len(self.kept):
            self.kept.redraw(self.any.choice(self.kept.items).id, square(*self.spot(), side=5))

    def bring(self) -> None:
        ids = self.some(self.image(), of_runs=False)
        self.project.nuclei.set_outlines({id: square(*self.spot()) for id in ids}, "import")

    def together(self) -> None:
        with self.project.nuclei.together("several"):
            self.add()
            self.bring()
            self.project.nuclei.counts()
            self.decide()

    def remove(self) -> None:
        self.project.nuclei.remove(self.some(self.image(), of_runs=False))

    def undo(self) -> None:
        self.project.nuclei.undo()

    def redo(self) -> None:
        self.project.nuclei.redo()

    def name(self) -> None:
        self.project.nuclei.set_class(self.some(self.image(), of_runs=False), "tumour")

    def remove_image(self) -> None:
        if len(self.project.images()) == len(IMAGES) and self.any.random() < 0.2:
            self.project.remove_image(self.any.choice(IMAGES))

    def reopen(self) -> None:
        before = [told(self.project, record.name) for record in self.project.images()]
        path = self.project.path
        self.project.close()
        self.project = Project.open(path)
        assert before == [told(self.project, record.name) for record in self.project.images()]
        self.kept = ReviewQueue(self.project)


@pytest.mark.parametrize("seed", range(12))
def test_counts_and_review_agree_whatever_happens(tmp_path, seed):
    walk = Walk(tmp_path, seed)
    for k in range(60):
        walk.step()
        check(walk.project, walk.kept)
        if k % 20 == 19:
            walk.reopen()
    walk.project.close()


@pytest.fixture
def bare(tmp_path):
    with Project.create(tmp_path / "p.noisyseg") as made:
        made.add_array(np.full((SIDE, SIDE, 3), 200, np.uint8), "i", 0.25)
        yield made


def test_brought_outlines_without_a_run_are_all_there_is_to_judge(bare):
    ids = [n.id for n in bare.nuclei.add_many("i", [(5, 5), (25, 25)])]
    outlines = {id: square(y, y) for id, y in zip(ids, (2, 22), strict=True)}
    bare.nuclei.decide(ids, "accepted", outlines=outlines)
    assert told(bare, "i") == (2, 2, 0, 0)
    queue = ReviewQueue(bare)
    assert queue.progress().words() == "2 of 2 reviewed · 100 % accepted"
    queue.decide([ids[0]], "rejected")
    assert told(bare, "i") == (2, 1, 1, 0)
    assert bare.nuclei.candidates("i") == []


def test_what_the_new_run_does_not_find_stays_where_it_was_decided_on(bare):
    one, _, _ = bare.nuclei.adopt("i", "r1", [find(0, 0), find(20, 20), find(40, 40)])
    bare.nuclei.decide([one.id], "rejected")
    bare.nuclei.adopt("i", "r2", [find(20, 20)])
    assert told(bare, "i") == (2, 0, 1, 0)
    queue = ReviewQueue(bare)
    item = queue.items[queue.row(one.id)]
    assert (item.state, item.candidate.run) == ("rejected", "")
    assert item.reason == "not found by the newest run"
    # neither training nor export takes it for something that the run found
    assert len(bare.nuclei.candidates("i")) == 1
    queue.decide([one.id], "unreviewed")
    assert queue.row(one.id) is None
    assert told(bare, "i") == (1, 0, 0, 0)


def test_a_point_rejected_before_it_has_an_outline_is_not_there_to_be_judged(bare):
    point = bare.nuclei.add("i", 5, 5)
    bare.nuclei.decide([point.id], "rejected")
    assert told(bare, "i") == (0, 0, 0, 0)
    bare.nuclei.adopt("i", "r1", [find(2, 2, id=point.id)])
    assert told(bare, "i") == (1, 0, 1, 0)
    assert ReviewQueue(bare).items[0].state == "rejected"


def test_a_removed_nucleus_leaves_the_review_and_comes_back_with_undo(bare):
    point = bare.nuclei.add("i", 5, 5)
    bare.nuclei.adopt("i", "r1", [find(2, 2, id=point.id), find(30, 30)])
    queue = ReviewQueue(bare)
    bare.nuclei.remove([point.id])
    assert queue.refresh() == []
    assert queue.row(point.id) is None
    assert told(bare, "i") == (len(queue), 0, 0, 0) == (1, 0, 0, 0)
    # what a later run finds in its place is another nucleus, to be judged anew
    (again,) = bare.nuclei.adopt("i", "r2", [find(2, 2)])
    assert again.id != point.id
    bare.nuclei.adopt("i", "r1", [find(2, 2, id=point.id), find(30, 30)])
    bare.nuclei.undo()
    queue.refresh()
    assert told(bare, "i") == (len(queue), 0, 0, 0) == (2, 0, 0, 0)


def test_refresh_keeps_the_order_and_puts_new_ones_at_the_end(bare):
    found = [find(y, 0, score=0.1 + y / 100) for y in (0, 12, 24, 36)]
    named = bare.nuclei.adopt("i", "r1", found)
    queue = ReviewQueue(bare)
    order = [c.id for c in named]
    assert [item.id for item in queue.items] == order
    point = bare.nuclei.add("i", 50, 50)
    bare.nuclei.set_outlines({point.id: square(47, 47)}, "edit")
    bare.nuclei.decide([order[1]], "accepted")
    bare.nuclei.remove([order[1]])
    assert queue.refresh() == []
    assert [item.id for item in queue.items] == [order[0], *order[2:], point.id]
    bare.nuclei.undo()
    queue.refresh()
    assert [item.id for item in queue.items] == [order[0], *order[2:], point.id, order[1]]
    assert queue.items[-1].state == "accepted"


def test_nothing_new_costs_nothing(bare, monkeypatch):
    bare.nuclei.adopt("i", "r1", [find(2, 2)])
    queue = ReviewQueue(bare)
    queue.decide([queue.items[0].id], "accepted")
    queue.accept_above(0.0)
    monkeypatch.setattr(bare.nuclei, "judged", None)
    assert queue.refresh() == []


def test_many_are_counted_quickly(tmp_path, pace):
    n = 20_000
    corners = np.stack([np.arange(n) // 200 * 8, np.arange(n) % 200 * 8], 1)
    with Project.create(tmp_path / "many.noisyseg") as project:
        project.add_array(np.full((1700, 1700, 3), 200, np.uint8), "i", 0.25)
        found = project.nuclei.adopt("i", "r", [find(y, x) for y, x in corners.tolist()])
        project.nuclei.decide([c.id for c in found[:500]], "accepted")
        start = thread_time()
        assert told(project, "i") == (n, 500, 0, 0)
        assert thread_time() - start < 20 * pace
        project.nuclei.decide([c.id for c in found], "rejected")
        assert told(project, "i") == (n, 0, n, 0)
