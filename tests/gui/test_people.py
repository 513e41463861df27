"""Two people and rounds, as the review's controllers have them; no window."""

from __future__ import annotations

import time
from typing import Any

import pytest
from sessionless import Session

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.gui.controllers.nextround import NextRound, next_spec
from napari_noisyseg.gui.controllers.people import NOBODY_YET, People
from napari_noisyseg.gui.controllers.review import ReviewController
from napari_noisyseg.gui.view import View
from napari_noisyseg.gui.work import at_once
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import State
from napari_noisyseg.worker.adoption.gains import Round

ADA: tuple[State, ...] = ("accepted", "rejected", "accepted", "accepted", "rejected", "accepted")


@pytest.fixture
def review(many: Project) -> ReviewController:
    """Ada decided on six nuclei, without those drawn at random."""
    session: Any = Session(many)
    found = ReviewController(session, at_once, reviewer="ada")
    found.enter()
    for state in ADA:
        found.decide(state)
    return found


def second(review: ReviewController) -> None:
    """Ben sits down and judges blind."""
    review.who.be("ben")
    review.who.be_second(True)


def test_a_second_person_sees_and_changes_nothing_of_what_was_decided(
    review: ReviewController, many: Project
) -> None:
    before = {n.id: n.state for n in many.nuclei.of("i", every=True)}
    second(review)
    assert review.session.looks == {"blind": True}  # type: ignore[attr-defined]
    assert review.queue is not None
    assert len(review.queue) == len(ADA)
    assert {item.state for item in review.queue.items} == {"unreviewed"}
    assert review.progress().words() == "0 of 6 reviewed"
    review.decide("accepted")
    review.accept_above(0.0)
    review.repairs.use("split")
    review.repairs.name(1)
    assert review.repairs.mode == ""
    assert review.progress().reviewed == 1
    assert {n.id: n.state for n in many.nuclei.of("i", every=True)} == before
    review.undo()
    assert review.progress().reviewed == 0
    for way in (review.undo, review.session.undo, review.session.redo):  # by any key
        way()
    assert {n.id: n.state for n in many.nuclei.of("i", every=True)} == before
    review.who.be_second(False)
    assert review.session.looks == {"blind": False}  # type: ignore[attr-defined]
    assert review.progress().reviewed == len(ADA)


def test_what_the_first_took_back_is_not_done_again_by_the_second(
    review: ReviewController, many: Project
) -> None:
    review.undo()
    before = {n.id: n.state for n in many.nuclei.of("i", every=True)}
    second(review)
    review.session.redo()
    assert {n.id: n.state for n in many.nuclei.of("i", every=True)} == before
    assert review.session.said[-1] == "there is nothing left to redo in this blind review"  # type: ignore[attr-defined]


def test_however_much_the_second_did_the_first_stays(
    review: ReviewController, many: Project
) -> None:
    before = {n.id: n.state for n in many.nuclei.of("i", every=True)}
    second(review)
    for _ in range(5):
        review.decide("rejected")
    for left in (4, 3, 2, 1, 0, 0, 0):
        review.undo()
        assert review.progress().reviewed == left
        assert bool(review.session.undoing.next().undo) == (left > 0)
    assert {n.id: n.state for n in many.nuclei.of("i", every=True)} == before


def test_nobody_is_second_to_himself(review: ReviewController) -> None:
    review.who.be_second(True)
    assert not review.who.blind
    assert review.queue is not None
    assert len(review.queue) == 150
    assert "only ada has decided" in review.session.said[-1]  # type: ignore[attr-defined]


def test_what_two_people_see_differently_is_gone_through(
    review: ReviewController, many: Project
) -> None:
    people = People(review, at_once)
    people.look(True)
    assert people.words == NOBODY_YET
    second(review)
    for _ in ADA:
        review.decide("accepted")
    review.who.be_second(False)
    assert "ada and ben agree on 4 of 6 nuclei" in people.words
    assert "kappa 0.00" in people.words
    assert len(people.different) == 2
    people.go_through()
    met = set()
    for _ in range(2):
        assert review.nucleus is not None
        met.add(review.nucleus)
        assert people.said(review.nucleus) == "ada: rejected, ben: accepted"
        review.move(1)
    assert met == set(people.different)
    review.who.be("ada")
    review.decide("accepted")
    assert len(people.different) == 1
    assert "5 of 6" in people.words


def test_a_name_is_that_of_the_decisions_from_then_on(
    review: ReviewController, many: Project
) -> None:
    review.who.be("  eve ")
    review.decide("accepted")
    assert many.nuclei.verdicts()[-1].reviewer == "eve"


def test_blind_nothing_is_seen_but_the_tissue_and_the_nucleus() -> None:
    view = View(image="i", step="review", found=True, blind=True).toggled("points", True)
    assert [
        k for k in ("image", "judged", "refined", "points", "probability") if view.shows(k)
    ] == [
        "image",
        "judged",
    ]


# --- rounds --------------------------------------------------------------------------------------


def test_the_next_round_is_as_the_last_one(review: ReviewController, many: Project) -> None:
    many.runs.new().write_spec({"method": "mmc", "config": {"width": 16}, "time_budget": 60.0})
    first = many.runs.list()[-1]
    time.sleep(1.1)  # runs are told apart by the second
    many.runs.new().write_spec(
        {"method": "mmc", "resume": first.id, "time_budget": 60.0, "seed": 3}
    )
    assert review.item is not None
    review.decide("accepted")
    spec = next_spec(many)
    assert (spec.method, spec.config, spec.seed) == ("mmc", {"width": 16}, 3)
    assert spec.resume is None
    assert spec.deadline is not None
    assert 50 < spec.deadline - time.time() <= 60
    assert spec.yielding


def test_why_there_is_no_next_round_is_said(review: ReviewController, many: Project) -> None:
    with pytest.raises(NoisySegError, match="no training yet"):
        next_spec(many)
    time.sleep(1.1)  # a run begins with a whole second
    many.runs.new().write_spec({"method": "scnet"})
    with pytest.raises(NoisySegError, match="nothing was decided since"):
        next_spec(many)
    session: Any = review.session
    rounds = NextRound(session, at_once)
    rounds.begin()
    assert "nothing was decided since" in session.said[-1]
    assert not rounds.starting


def test_what_the_newest_round_bought_is_a_sentence(review: ReviewController) -> None:
    session: Any = review.session
    rounds = NextRound(session, at_once)
    assert "review some of its nuclei" in rounds.words
    rounds.rounds = [
        Round(1, "clicks", "outline", 0, 0.0, 40, None, 0.6, None, None),
        Round(2, "a", "scnet", 40, 2.0, 30, 0.6, 0.8, 0.2, 0.1),
        Round(3, "b", "scnet", 30, 1.0, 0, None, None, None, None),
    ]
    assert rounds.words == (
        "Of the 30 nuclei judged since it began, round 2 has 80 in 100 right; the previous round "
        "had 60. That is +10.0 for each minute of review before it."
    )
