"""What the window says of the nuclei that nobody looked at."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from napari_noisyseg.gui.controllers.review import ReviewController
from napari_noisyseg.gui.controllers.trust import AT_RANDOM, Trust
from napari_noisyseg.gui.work import at_once
from napari_noisyseg.review import audit
from napari_noisyseg.store.project import Project


class Session:
    """What the two need of a session: no window."""

    def __init__(self, project: Project) -> None:
        self.project, self.image = project, project.images()[0].name

    def on(self, *_: Any) -> Any:
        return lambda: None

    def acting(self) -> Any:
        return contextlib.nullcontext()

    def show_image(self, name: str) -> None:
        self.image = name

    def say(self, words: str) -> None: ...


@pytest.fixture
def review(many: Project) -> ReviewController:
    session: Any = Session(many)
    found = ReviewController(session, at_once)
    found.enter()
    return found


def test_some_looks_are_drawn_at_random_and_the_rest_is_told(review: ReviewController) -> None:
    trust = Trust(review, at_once)
    assert review.queue is not None
    drawn = 0
    for _ in range(40):
        if review.at_random:
            trust.ask()
            drawn += 1
            assert trust.words.startswith(AT_RANDOM)
        review.decide("accepted")
    trust.ask()
    assert 3 <= drawn <= 8
    assert trust.found is not None
    assert review.session.project is not None
    assert len(review.session.project.nuclei.verdicts(ways=("audit",))) == drawn
    # those drawn where the queue is done say nothing of the rest
    assert f"{trust.found.draws} of {audit.ENOUGH} nuclei drawn at random" in trust.words


def test_nothing_is_told_of_the_rest_of_another_queue(review: ReviewController) -> None:
    trust = Trust(review, at_once)
    trust.ask()
    assert trust.words
    review.begin_anew()  # another run's nuclei, or a second person
    assert trust.words == ""
    trust.ask()
    assert trust.words
    review.reading.stale = True  # others come
    assert trust.words == ""


def test_who_and_how_long_stand_beside_a_decision(review: ReviewController) -> None:
    nucleus = review.nucleus
    review.decide("accepted")
    assert review.session.project is not None
    (verdict,) = review.session.project.nuclei.verdicts()
    assert verdict.id == nucleus
    assert verdict.reviewer
    assert verdict.ms is not None


def test_who_redrew_an_outline_stands_beside_it(review: ReviewController) -> None:
    review.decide("accepted")
    assert review.session.project is not None
    review.go_to(review.session.project.nuclei.verdicts()[0].id)
    assert review.item is not None
    review.redraw(review.item.candidate.outline)
    (verdict,) = review.session.project.nuclei.verdicts()
    sql = "SELECT reviewer FROM nucleus WHERE id = ?"
    found = review.session.project._database.value(sql, (verdict.id,))
    assert found == verdict.reviewer != ""
