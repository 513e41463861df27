"""The way through a review, and the nuclei that are made ready before they are asked for."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import pytest
from sessionless import Session

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.gui.controllers.course import Course
from napari_noisyseg.gui.controllers.review import ReviewController
from napari_noisyseg.gui.controllers.shapes import Shapes
from napari_noisyseg.gui.work import at_once
from napari_noisyseg.review.filters import Filter
from napari_noisyseg.review.queue import ReviewQueue
from napari_noisyseg.slides import Box
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import Outline


@pytest.fixture
def course(many: Project) -> Course:
    made = Course()
    made.queue = ReviewQueue(many, reviewer="ada")
    return made


def test_what_comes_is_known_beforehand_also_what_is_drawn_at_random(course: Course) -> None:
    queue, drawn = course.queue, 0
    assert queue is not None
    row = course.open_after(-1)
    for n in range(60):
        assert row is not None
        coming = {item.id for item in course.coming(row)}
        queue.decide([queue.items[row].id], "unsure" if n % 5 == 0 else "accepted")
        row = course.after_decision(row)
        assert queue.items[row].id in coming
        drawn += row == queue.drawn()
    assert drawn >= 5


def test_certain_nuclei_are_gone_through_one_by_one_decided_or_not(course: Course) -> None:
    queue = course.queue
    assert queue is not None
    wanted = [queue.items[row].id for row in (3, 40, 90)]
    for nucleus in wanted:
        queue.decide([nucleus], "accepted")
    course.filter = Filter(ids=frozenset(wanted))
    row = course.open_after(-1)
    met = []
    for _ in range(4):
        assert row is not None
        met.append(queue.items[row].id)
        queue.decide([met[-1]], "rejected")
        row = course.after_decision(row)
    assert met == [*wanted, wanted[0]]


class Tracer:
    """Counts how often an outline was made into lines."""

    def __init__(self) -> None:
        self.traced: list[Outline] = []

    def __call__(self, outline: Outline) -> Any:
        self.traced.append(outline)
        return [outline.box.origin]


@pytest.fixture
def ahead(many: Project) -> tuple[ReviewController, Tracer]:
    trace = Tracer()
    session: Any = Session(many)
    review = ReviewController(session, at_once, Shapes(at_once, trace))
    review.enter()
    return review, trace


def test_the_next_nucleus_is_ready_before_the_key(ahead: tuple[ReviewController, Tracer]) -> None:
    review, trace = ahead
    for key in ("accepted", "rejected", "unsure", "accepted"):
        review.shape()
        review.look_ahead()
        trace.traced.clear()
        review.decide(key)  # type: ignore[arg-type]
        shape = review.shape()
        assert review.item is not None
        assert shape.new == review.item.candidate.outline
        assert shape.new_lines == [review.item.candidate.outline.box.origin]
        assert trace.traced == []


def test_nobody_decides_on_what_cannot_be_shown(
    ahead: tuple[ReviewController, Tracer], many: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    review, session = ahead[0], ahead[0].session
    away = NoisySegError("the slide is away: bring it back")
    monkeypatch.setattr(session, "show_image", Mock(side_effect=away))
    monkeypatch.setattr(session, "image", "other")
    review.decide("accepted")
    assert many.nuclei.counts().accepted == 0
    assert session.said == [str(away)]  # type: ignore[attr-defined]
    monkeypatch.setattr(session, "image", "i")
    review.decide("accepted")
    assert many.nuclei.counts().accepted == 1


def test_what_was_redrawn_meanwhile_is_read_anew(ahead: tuple[ReviewController, Tracer]) -> None:
    review, _ = ahead
    review.look_ahead()
    row, queue = review.row, review.queue
    assert queue is not None
    assert row is not None
    coming = review.course.coming(row)[0]
    box = coming.candidate.outline.box
    small = Outline(
        Box(box.y0, box.x0, box.y0 + 2, box.x0 + 2), coming.candidate.outline.mask[:2, :2]
    )
    queue.redraw(coming.id, small)
    review.move(1)
    assert review.nucleus == coming.id
    assert review.shape().new == small
