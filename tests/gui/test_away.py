"""An image that cannot be opened: the review goes on past it, and nothing is done to its nuclei."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.gui.canvas import layers
from napari_noisyseg.gui.controllers.course import Course
from napari_noisyseg.gui.controllers.review import ReviewController
from napari_noisyseg.gui.docks.review.dock import NOT_SHOWN, ReviewDock
from napari_noisyseg.gui.session import Session
from napari_noisyseg.gui.tools.kit import kit_of
from napari_noisyseg.gui.work import at_once
from napari_noisyseg.review.filters import Filter
from napari_noisyseg.review.queue import ReviewQueue
from napari_noisyseg.slides import Box
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import Candidate, Outline

GONE = "the slide other cannot be found: bring it back"
EACH = 6
"""nuclei of each image"""
SIDE = 20
RING = np.array([(4.0, 4.0), (4.0, 44.0), (44.0, 44.0), (44.0, 4.0)])
LINE = np.array([(10.0, -5.0), (10.0, 200.0)])


def squares(number: int, score: Callable[[int], float]) -> list[Candidate]:
    found = []
    for n in range(number):
        y, x = 40 * (n // 12) + 4, 40 * (n % 12) + 4
        outline = Outline(Box(y, x, y + SIDE, x + SIDE), np.ones((SIDE, SIDE), bool))
        middle = (y + SIDE / 2, x + SIDE / 2)
        found.append(Candidate("", 0, *middle, outline, score(n), "", "r", 25.0))
    return found


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Names of images that cannot be opened, to be put in and taken out."""
    gone: set[str] = set()
    make = layers.make_image

    def refuse(viewer: Any, project: Any, record: Any) -> Any:
        if record.name in gone:
            raise NoisySegError(GONE)
        return make(viewer, project, record)

    monkeypatch.setattr(layers, "make_image", refuse)
    return gone


@pytest.fixture
def session(bare: Session, away: set[str]) -> Session:
    """Two images, whose nuclei are asked for in turn; “other” is away and has the first one."""
    record, project = bare.require_image(), bare.require_project()
    project.add_array(np.full((512, 512, 3), 220, np.uint8), "other", record.mpp)
    # the least sure come first
    project.nuclei.adopt("other", "r", squares(EACH, lambda n: 0.5 + 0.04 * n))
    project.nuclei.adopt(record.name, "r", squares(EACH, lambda n: 0.52 + 0.04 * n))
    bare.sync()
    bare.look(step="review")
    away.add("other")
    return bare


@pytest.fixture
def review(session: Session) -> Iterator[ReviewController]:
    made = ReviewController(session, at_once)
    yield made
    made.close()


def decisions(session: Session, image: str) -> int:
    return session.require_project().nuclei.counts(image).reviewed


def warnings(session: Session) -> int:
    said: list[str] = session.said  # type: ignore[attr-defined]
    return said.count(GONE)


def of(review: ReviewController, image: str) -> str:
    """The first nucleus of an image."""
    return review.course.of(image)[0].id


def test_the_images_of_the_queue_take_turns(review: ReviewController, away: set[str]) -> None:
    """Else the tests below would say little."""
    away.clear()
    review.enter()
    assert review.queue is not None
    assert [x.image for x in review.queue.items][:4] == ["other", "tissue"] * 2
    assert review.item is not None
    assert review.item.image == "other"


def test_every_key_decides_where_one_image_is_away_and_one_warning_says_so(
    review: ReviewController, session: Session
) -> None:
    review.enter()
    for n in range(EACH):
        assert review.shown is not None
        assert review.shown.image == "tissue"
        assert decisions(session, "tissue") == n
        review.decide("accepted")
    assert decisions(session, "tissue") == EACH
    assert decisions(session, "other") == 0
    assert warnings(session) == 1


def test_one_that_goes_away_on_the_way_is_warned_of_once(
    review: ReviewController, session: Session, away: set[str]
) -> None:
    away.clear()
    review.enter()
    review.decide("accepted")
    assert decisions(session, "other") == 1
    assert session.image == "tissue"
    away.add("other")
    for layer in reversed(layers.of_image(session.viewer, "other")):
        session.viewer.layers.remove(layer)
    for _ in range(EACH):
        review.decide("rejected")
        assert session.image == "tissue"
    assert decisions(session, "tissue") == EACH
    assert decisions(session, "other") == 1
    assert warnings(session) == 1


def test_where_all_that_is_left_is_away_the_nucleus_stays_and_it_is_said(
    review: ReviewController, session: Session, away: set[str]
) -> None:
    review.enter()
    for _ in range(EACH):
        review.decide("accepted")
    last = review.shown
    assert last is not None
    assert last.state == "accepted"
    said: list[str] = session.said  # type: ignore[attr-defined]
    assert "images that could not be opened: other" in said[-1]
    told = len(said)
    for _ in range(3):
        review.decide("rejected")
    assert review.nucleus == last.id
    assert len(said) == told  # once
    assert decisions(session, "other") == 0
    away.clear()  # it is back: the review goes on there
    review.leave()
    review.enter()
    review.decide("accepted")
    assert review.shown is not None
    assert review.shown.image == "other"


def test_a_project_of_which_all_is_away_does_no_harm(
    review: ReviewController, session: Session, away: set[str]
) -> None:
    layer = session.image_layer()
    away.add("tissue")
    session.viewer.layers.remove(layer)
    assert session.image is None
    review.enter()
    assert review.shown is None
    for _ in range(3):
        review.decide("accepted")
    assert warnings(session) == 2  # one for each
    assert decisions(session, "tissue") == decisions(session, "other") == 0
    review.move(1)
    assert warnings(session) == 3


def test_an_image_that_is_back_is_tried_when_it_is_asked_for(
    review: ReviewController, session: Session, away: set[str]
) -> None:
    review.enter()
    wanted = of(review, "other")
    asks: list[Callable[[], object]] = [
        lambda: review.go_to(wanted),
        lambda: review.sight.look_at("other"),
        lambda: session.show_image("other"),
        lambda: review.narrow(Filter(image="other")),
        lambda: (review.leave(), review.enter()),
        lambda: review.move(-1),
    ]
    for ask in asks:
        away.add("other")
        for layer in reversed(layers.of_image(session.viewer, "other")):
            session.viewer.layers.remove(layer)
        review.narrow(Filter())
        review.go_to(of(review, "tissue"))
        review.sight.look_at("other")  # and so it is known to be away
        assert review.shown is not None
        assert review.shown.image == "tissue"
        if ask is asks[4]:
            review.nucleus = wanted
        elif ask is asks[5]:
            assert review.row == 1
        away.clear()
        ask()
        assert session.image == "other"
        assert review.shown is not None
        assert review.shown.image == "other"
        assert "other" not in review.course.away


def test_nothing_is_done_to_a_nucleus_whose_image_is_not_in_front(
    review: ReviewController, session: Session
) -> None:
    review.enter()
    nucleus = of(review, "other")
    review.go_to(nucleus)
    assert review.nucleus == nucleus
    assert review.shown is None
    assert session.image == "tissue"
    nuclei, repairs = session.require_project().nuclei, review.repairs
    before, classes = nuclei.version(), nuclei.classes()
    for mode in ("brush", "polygon", "click", "split", "merge"):
        repairs.use(mode)
        assert repairs.mode == ""
    repairs.draw(RING)
    repairs.split(LINE)
    repairs.merge((14.0, 54.0))
    repairs.outline_at((14.0, 14.0))
    repairs.name(1)
    review.redraw(Outline(Box(3, 3, 6, 6), np.ones((3, 3), bool)))
    assert repairs.comment() == ""
    assert nuclei.version() == before
    assert nuclei.classes() == classes
    assert nuclei.outline(nucleus) is None
    assert not repairs.working


def test_a_key_goes_on_from_a_nucleus_that_cannot_be_shown(
    review: ReviewController, session: Session
) -> None:
    review.enter()
    review.go_to(of(review, "other"))
    warned = warnings(session)
    review.decide("accepted")
    assert decisions(session, "other") == decisions(session, "tissue") == 0
    assert review.shown is not None
    assert warnings(session) == warned


def test_chosen_nuclei_are_judged_and_named_whatever_is_under_review(
    review: ReviewController, session: Session
) -> None:
    review.enter()
    here = tuple(review.here().ids[:2])
    review.go_to(of(review, "other"))
    review.repairs.chosen = here
    review.repairs.name(1)
    review.decide("rejected")
    assert decisions(session, "tissue") == 2
    assert decisions(session, "other") == 0


def test_another_project_knows_nothing_of_what_was_away(
    review: ReviewController, session: Session
) -> None:
    review.enter()
    assert review.course.away == {"other"}
    session.close()
    assert review.course.away == set()


@pytest.mark.parametrize("drawn_is_away", [False, True])
def test_the_course_passes_by_what_is_away_also_what_is_drawn_at_random(
    many: Project, drawn_is_away: bool
) -> None:
    many.add_array(np.full((512, 512, 3), 220, np.uint8), "other", 0.5)
    many.nuclei.adopt("other", "r", squares(150, lambda n: (n + 1) / 200))
    course = Course()
    queue = course.queue = ReviewQueue(many, reviewer="ada")
    first = min(queue.items, key=lambda item: item.id).image  # its nuclei are drawn first
    here, gone = ("i", "other") if (first == "i") != drawn_is_away else ("other", "i")
    course.away = {gone}
    row, drawn = course.open_after(-1), set()
    for _ in range(150):
        assert row is not None
        item = queue.items[row]
        assert (item.image, item.state) == (here, "unreviewed")
        coming = {one.id for one in course.coming(row)}
        queue.decide([item.id], "accepted")
        if (at_random := queue.drawn()) is not None:
            drawn.add(queue.items[at_random].image)
        row = course.after_decision(row)
        assert course.id(row) in coming or course.id(row) == item.id
    assert many.nuclei.counts(here).accepted == 150
    assert (gone in drawn) or not drawn_is_away
    assert course.left_away() == [gone]


@pytest.mark.gui
class TestDock:
    @pytest.fixture
    def dock(self, qtbot: Any, session: Session) -> Iterator[ReviewDock]:
        kit_of(session)
        session.keys.scope = "review"
        made = ReviewDock(session)
        qtbot.addWidget(made)
        made.show()
        made.enter()
        qtbot.waitUntil(lambda: made.review.item is not None, timeout=60_000)
        qtbot.wait(20)
        yield made
        made.closing()

    def test_nothing_is_offered_for_a_nucleus_that_is_not_shown(
        self, qtbot: Any, dock: ReviewDock
    ) -> None:
        parts = dock.repairing
        acts = [dock.accept_button, dock.reject_button, dock.unsure_button, parts.comment,
                parts.tools.buttons["brush"], parts.tools.buttons["merge"],
                *parts.classes.buttons]  # fmt: skip
        assert all(made.isEnabled() for made in acts)
        dock.review.go_to(of(dock.review, "other"))
        qtbot.waitUntil(lambda: not dock._drawing.isActive(), timeout=5000)
        assert not any(made.isEnabled() for made in acts)
        assert dock.card.reason.text() == NOT_SHOWN
        dock.session.keys.find("A").press()
        assert dock.review.shown is not None
        assert all(made.isEnabled() for made in acts)

    def test_what_was_being_typed_is_kept_with_its_nucleus(
        self, qtbot: Any, dock: ReviewDock
    ) -> None:
        nuclei, first = dock.session.require_project().nuclei, dock.review.shown
        assert first is not None
        qtbot.keyClicks(dock.repairing.comment, "mitosis?")
        dock.review.go_to(of(dock.review, "other"))
        qtbot.waitUntil(lambda: not dock._drawing.isActive(), timeout=5000)
        assert nuclei.comments("tissue") == {first.id: "mitosis?"}
        assert nuclei.comments("other") == {}
        assert dock.repairing.comment.text() == ""

    def test_going_on_by_a_button_from_what_is_being_typed_goes_on(
        self, qtbot: Any, dock: ReviewDock
    ) -> None:
        first = dock.review.shown
        assert first is not None
        qtbot.keyClicks(dock.repairing.comment, "mitosis?")
        qtbot.mouseClick(dock.accept_button, Qt.MouseButton.LeftButton)
        qtbot.waitUntil(lambda: not dock._drawing.isActive(), timeout=5000)
        assert dock.session.require_project().nuclei.comments("tissue") == {first.id: "mitosis?"}
        assert dock.review.nucleus != first.id
        assert dock.repairing.comment.text() == ""

    def test_choosing_it_in_the_list_tells_that_it_is_still_away(
        self, qtbot: Any, dock: ReviewDock, away: set[str]
    ) -> None:
        dock.images_more.toggle.click()
        qtbot.waitUntil(lambda: not dock._drawing.isActive(), timeout=5000)
        under, warned = dock.review.nucleus, warnings(dock.session)
        rows = [row[0] for row in dock.images._rows]
        at = dock.images.table.visualRect(
            dock.images.table.model().index(rows.index("other"), 0)
        ).center()
        click = lambda: qtbot.mouseClick(  # noqa: E731
            dock.images.table.viewport(), Qt.MouseButton.LeftButton, pos=at
        )
        click()
        assert warnings(dock.session) == warned + 1
        assert dock.review.nucleus == under
        assert dock.session.image == "tissue"
        away.clear()
        qtbot.waitUntil(lambda: not dock._drawing.isActive(), timeout=5000)
        dock.images.chosen.emit("other")
        assert dock.session.image == "other"
        assert dock.review.shown is not None
