"""Outlines at clicks are reviewed before any training, and learn from what is decided."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from scipy.ndimage import binary_dilation, center_of_mass

from napari_noisyseg.coarse.starter import OUTLINE, model_weights, packed
from napari_noisyseg.errors import JobError
from napari_noisyseg.gui.controllers import learning as module
from napari_noisyseg.gui.controllers import offering
from napari_noisyseg.gui.controllers.learning import EVERY, FIRST, Learning
from napari_noisyseg.gui.controllers.review import ReviewController
from napari_noisyseg.gui.panel import Panel
from napari_noisyseg.gui.session import Session
from napari_noisyseg.gui.work import at_once
from napari_noisyseg.slides import Box
from napari_noisyseg.store.records import Outline
from napari_noisyseg.worker.adoption.clicked import offer
from napari_noisyseg.worker.lessons.adapting import Lesson

LEFT = Qt.MouseButton.LeftButton
WHOLE = Box(0, 0, 512, 512)
PATIENCE = 240_000
HALF = packed({k: 0.5 * v for k, v in model_weights(OUTLINE).items()}, {"network": OUTLINE})


@pytest.fixture
def session(bare: Session, tnbc: Any) -> Session:
    """Thirty clicks on real tissue, their outlines offered to be judged."""
    name = bare.require_image().name
    project = bare.require_project()
    serials = np.unique(tnbc[1])[1:31]
    project.nuclei.add_many(name, center_of_mass(tnbc[1] > 0, tnbc[1], serials))
    offer(project)
    bare.sync()
    return bare


@pytest.fixture
def lessons(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many nuclei were accepted at each lesson; the lesson itself takes no time."""
    held: list[int] = []

    def learn(path: Any, stopping: Any) -> tuple[Lesson, bytes]:
        held.append(0)
        return Lesson(True, FIRST, 0.1, 1.0, "learned from 8 nuclei"), HALF

    monkeypatch.setattr(module, "learn_beside", learn)
    return held


def accept(session: Session, number: int) -> None:
    """Accept so many of those without a decision, one after the other."""
    project, name = session.require_project(), session.require_image().name
    still = [c for c in project.nuclei.candidates(name) if c.state == "unreviewed"]
    for candidate in still[:number]:
        with session.acting():
            project.nuclei.decide([candidate.id], "accepted")


def test_a_lesson_comes_after_the_first_decisions_and_after_every_few(
    session: Session, lessons: list[int]
) -> None:
    learning = Learning(session, at_once)
    accept(session, FIRST - 1)
    assert lessons == []
    accept(session, 1)
    assert len(lessons) == 1
    accept(session, EVERY - 1)
    assert len(lessons) == 1
    accept(session, 1)
    assert len(lessons) == 2
    learning.close()


def test_rejected_nuclei_count_as_well(session: Session, lessons: list[int]) -> None:
    learning, project = Learning(session, at_once), session.require_project()
    name = session.require_image().name
    every = project.nuclei.candidates(name)
    for candidate in every[: FIRST - 1]:
        with session.acting():
            project.nuclei.decide([candidate.id], "rejected")
    assert lessons == []
    accept(session, 1)
    assert len(lessons) == 1
    learning.close()


def test_what_was_learned_is_used_said_and_passed_over_by_undo(
    session: Session, lessons: list[int]
) -> None:
    learning, project = Learning(session, at_once), session.require_project()
    accept(session, FIRST)
    assert learning.learned
    assert "learned from 8 nuclei" in session.said  # type: ignore[attr-defined]
    session.undo()
    assert project.nuclei.counts().accepted == FIRST - 1
    assert learning.learned
    learning.close()


def test_a_lesson_is_taken_back_and_none_follows(session: Session, lessons: list[int]) -> None:
    learning = Learning(session, at_once)
    accept(session, FIRST)
    learning.take_back()
    assert not learning.learned
    assert not learning.on
    accept(session, EVERY)
    assert len(lessons) == 1
    session.undo()  # the last decision
    again = Learning(session, at_once)  # as after a restart
    assert not again.on
    again.close()
    learning.switch(True)
    assert len(lessons) == 1
    accept(session, 1)
    assert len(lessons) == 2
    learning.close()


def test_an_undo_brings_back_what_was_taken_back_and_its_words(
    session: Session, lessons: list[int]
) -> None:
    learning = Learning(session, at_once)
    accept(session, FIRST)
    learning.take_back()
    assert learning.words == "outlines are those of the package again"
    told: list[bool] = []
    learning.changed.connect(lambda: told.append(learning.learned))
    session.undo()
    assert told
    assert told[-1]
    assert learning.words == "learned from 8 nuclei"
    assert learning.on
    session.redo()
    assert not learning.on
    assert not learning.learned
    learning.switch(True)  # no action: the next undo is of what was taken back
    session.undo()
    assert learning.on
    assert learning.learned
    learning.close()


def test_the_first_lesson_is_no_earlier_than_one_can_be() -> None:
    pytest.importorskip("torch")
    from napari_noisyseg.learning.starter.adapt import FEWEST

    assert FIRST == FEWEST


def test_it_goes_on_counting_where_the_project_stood(session: Session, lessons: list[int]) -> None:
    Learning(session, at_once).close()
    first = Learning(session, at_once)
    assert not first.enough
    accept(session, FIRST)
    first.close()
    again = Learning(session, at_once)
    assert again.words == "learned from 8 nuclei"
    assert again.enough
    accept(session, EVERY - 1)
    assert len(lessons) == 1
    again.close()


def test_what_another_project_s_decisions_taught_is_dropped(
    session: Session, lessons: list[int]
) -> None:
    late: list[Callable[[], Any]] = []

    def slowly(work: Any, done: Any, failed: Any = None) -> None:
        late.append(lambda: done(work()))

    learning, path = Learning(session, slowly), session.require_project().path
    accept(session, FIRST)
    assert learning.busy
    session.close()
    session.open(path)
    late[0]()
    assert not learning.learned
    assert not learning.busy
    learning.close()


def test_a_lesson_that_breaks_off_is_said(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(path: Any, stopping: Any) -> None:
        raise JobError("learning from your decisions did not work: killed")

    monkeypatch.setattr(module, "learn_beside", broken)
    learning = Learning(session, at_once)
    accept(session, FIRST)
    assert not learning.busy
    assert any("did not work: killed" in text for text in session.said)  # type: ignore[attr-defined]
    learning.close()


def test_without_torch_it_says_what_is_missing(
    session: Session, lessons: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    learning = Learning(session, at_once)
    accept(session, FIRST)
    assert lessons == []
    assert "pip install" in learning.words
    learning.close()


# --- the review follows ------------------------------------------------------------------------


def test_a_further_click_is_offered_when_the_review_is_opened(session: Session) -> None:
    review = ReviewController(session, at_once)
    with session.acting():
        new = session.require_project().nuclei.add(session.require_image().name, 5.0, 5.0)
    review.enter()
    assert review.queue is not None
    assert review.queue.row(new.id) is not None
    review.close()


def test_one_image_that_is_away_keeps_no_other_from_the_review(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    session.noticed.connect(said.append)

    def some(project: Any, tell: Any) -> list[str]:
        tell("the outlines at the clicks in away cannot be reviewed: it was moved")
        return []

    monkeypatch.setattr(offering, "offer", some)
    review = ReviewController(session, at_once)
    for _ in range(2):
        review.enter()
        review.leave()
    assert said == ["the outlines at the clicks in away cannot be reviewed: it was moved"]
    review.close()


def test_the_rest_is_outlined_anew_in_its_order_after_a_lesson(
    session: Session, lessons: list[int]
) -> None:
    review, learning = ReviewController(session, at_once), Learning(session, at_once)
    review.enter()
    assert review.queue is not None
    order = [item.id for item in review.queue.items]
    before = {item.id: item.candidate.outline.area for item in review.queue.items}
    accept(session, FIRST)
    assert learning.learned
    assert [item.id for item in review.queue.items] == order
    after = {item.id: item.candidate.outline.area for item in review.queue.items}
    settled = {item.id for item in review.queue.items if item.state == "accepted"}
    assert all(before[id] == after[id] for id in settled)
    assert any(before[id] != after[id] for id in set(order) - settled)
    learning.close()
    review.close()


def test_nothing_changes_under_the_brush(session: Session, lessons: list[int]) -> None:
    review, learning = ReviewController(session, at_once), Learning(session, at_once)
    review.enter()
    assert review.queue is not None
    review.edit()
    before = {item.id: item.candidate.outline.area for item in review.queue.items}
    accept(session, FIRST)
    assert {i.id: i.candidate.outline.area for i in review.queue.items} == before
    review.end_edit()
    assert {i.id: i.candidate.outline.area for i in review.queue.items} != before
    learning.close()
    review.close()


@pytest.mark.slow
def test_the_rest_follows_twenty_corrections_in_the_window(
    panel: Panel, tnbc: Any, qtbot: QtBot
) -> None:
    """Somebody who draws the rim with each nucleus: the others grow, and go back when asked."""
    pytest.importorskip("torch")
    session, dock = panel.session, panel.docks["review"]
    with session.acting():
        name = session.require_image().name
        serials = np.unique(tnbc[1])[1:]
        places = center_of_mass(tnbc[1] > 0, tnbc[1], serials)
        session.require_project().nuclei.add_many(name, places)
    panel.open_step("review")
    qtbot.waitUntil(lambda: dock.review.item is not None, timeout=PATIENCE)
    before = open_areas(dock)
    for _ in range(20):
        item = dock.review.item
        true = tnbc[1] == tnbc[1][int(item.candidate.y), int(item.candidate.x)]
        outline = Outline.of(binary_dilation(true, iterations=3), WHOLE)
        assert outline is not None
        dock.review.redraw(outline)
        qtbot.mouseClick(dock.accept_button, LEFT)
    qtbot.waitUntil(lambda: dock.learning.learned, timeout=PATIENCE)
    qtbot.waitUntil(lambda: not dock.review.offering, timeout=PATIENCE)
    after = open_areas(dock)
    assert np.median([after[id] / before[id] for id in after]) > 1.05
    qtbot.waitUntil(lambda: not dock.learning.busy, timeout=PATIENCE)
    assert "outwards" in dock.lesson.words.text()
    qtbot.mouseClick(dock.lesson.back, LEFT)
    qtbot.waitUntil(lambda: not dock.review.offering, timeout=PATIENCE)
    assert open_areas(dock) == {id: before[id] for id in after}


def open_areas(dock: Any) -> dict[str, int]:
    """Pixels of each nucleus without a decision."""
    items = dock.review.queue.items
    return {i.id: i.candidate.outline.area for i in items if i.state == "unreviewed"}


def test_a_click_on_a_nucleus_puts_it_under_review(hand: Any, panel: Panel, qtbot: QtBot) -> None:
    for place in ((100, 120), (200, 220), (300, 300)):
        hand.click(place)
    panel.open_step("review")
    review = panel.docks["review"].review
    qtbot.waitUntil(lambda: review.item is not None, timeout=PATIENCE)
    qtbot.wait(50)
    panel.session.front.fit()
    qtbot.wait(50)
    for item in review.queue.items:
        hand.click((item.candidate.y, item.candidate.x))
        assert review.nucleus == item.id
        panel.session.front.fit()
        qtbot.wait(50)
    assert panel.session.require_project().nuclei.counts().points == 3  # and marks nothing


def test_unsure_nuclei_come_again_once_all_others_are_decided(session: Session) -> None:
    review = ReviewController(session, at_once)
    review.enter()
    review.decide("unsure")
    first = review.queue.items[0].id if review.queue is not None else ""
    assert review.nucleus != first
    accept(session, 30)
    assert review.nucleus is not None
    assert review.queue is not None
    assert review.queue.open_after(5) == review.queue.row(first)
    review.go_to(first)
    review.decide("rejected")
    assert review.item is not None  # all is decided, and can still be looked at
    review.close()
    again = ReviewController(session, at_once)
    again.enter()
    assert again.item is not None
    again.close()
