from __future__ import annotations

from dataclasses import replace

import pytest

from napari_noisyseg.review import ReviewQueue
from napari_noisyseg.slides import Box
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import Outline
from napari_noisyseg.worker.adoption.clicked import offer
from napari_noisyseg.worker.adoption.found import CLICKS
from napari_noisyseg.worker.adoption.gains import LONGEST, rounds


def corner(outline: Outline) -> Outline:
    """So little of an outline that it is another."""
    y0, x0 = outline.box.origin
    part = outline.mask[:3, :3] | True
    return Outline(Box(y0, x0, y0 + 3, x0 + 3), part)


@pytest.fixture
def reviewed(project: Project) -> Project:
    """Clicks reviewed for four minutes; then a second round, whose nuclei are judged."""
    offer(project)
    (record,) = project.images()
    queue = ReviewQueue(project, reviewer="ada")
    for item in queue.items[:4]:
        queue.decide([item.id], "accepted", ms=60_000)
    found = project.nuclei.candidates(record.name)
    open_ = [c for c in found if c.state == "unreviewed"]
    # the second round lacks two, and draws the others as the first
    second = [replace(c, run="") for c in found if c.id not in {o.id for o in open_[:2]}]
    project.nuclei.adopt(record.name, "later", second)
    queue = ReviewQueue(project, reviewer="ada")
    one, two, three = (c.id for c in open_[2:5])
    queue.decide([one], "accepted", ms=3_600_000)
    queue.redraw(two, corner(open_[3].outline))
    queue.decide([two], "accepted")
    queue.decide([three], "rejected")
    return project


def test_a_round_is_judged_by_decisions_made_after_it_began(reviewed: Project):
    first, second = rounds(reviewed)
    assert (first.run, second.run) == (CLICKS, "later")
    assert (first.looks, first.right_before, first.gain) == (0, None, None)
    assert first.decisions == 7
    assert first.right == pytest.approx(5 / 7, abs=1e-3)
    assert (second.looks, second.minutes) == (4, 4.0)
    assert second.decisions == 3
    assert second.right == second.right_before == pytest.approx(1 / 3, abs=1e-3)
    assert (second.gain, second.per_minute) == (0.0, 0.0)


def test_what_the_later_round_does_better_is_its_gain(reviewed: Project):
    (record,) = reviewed.images()
    said = {v.id: v for v in reviewed.nuclei.verdicts()}
    rejected = next(v.id for v in said.values() if v.state == "rejected")
    kept = [c for c in reviewed.nuclei.candidates(record.name) if c.run and c.id != rejected]
    reviewed.nuclei.adopt(record.name, "later", [replace(c, run="") for c in kept])
    second = rounds(reviewed)[1]
    assert second.gain == pytest.approx(second.right - second.right_before, abs=1e-3)
    assert second.gain > 0.3
    assert second.per_minute == pytest.approx(second.gain / 4, abs=1e-3)


def test_a_long_break_is_no_review(reviewed: Project):
    (record,) = reviewed.images()
    found = [c for c in reviewed.nuclei.candidates(record.name) if c.run]
    reviewed.nuclei.adopt(record.name, "third", [replace(c, run="") for c in found])
    third = rounds(reviewed)[2]
    assert third.looks == 3
    assert third.minutes == LONGEST / 60_000


def test_without_a_round_there_is_nothing(project: Project):
    assert rounds(project) == []
