"""Nuclei mended in the review by a person's hand: split, merged, added, drawn, named, many at once.

With `NOISYSEG_PICTURES` set to a folder the window is pictured on the way.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from pathlib import Path

import numpy as np
import pytest
from hand import LEFT, Hand
from qtpy.QtCore import Qt
from skimage.measure import regionprops

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.gui.canvas import layers
from napari_noisyseg.gui.canvas.closeup import CHOSEN, SKETCH
from napari_noisyseg.gui.canvas.outlines import outline_paths, outlines_of
from napari_noisyseg.review.repair import join
from napari_noisyseg.slides import Box
from napari_noisyseg.store.records import Candidate, Outline

pytestmark = pytest.mark.gui


def candidates(labels: np.ndarray) -> list[Candidate]:
    objects = regionprops(labels)
    scores = np.linspace(0.02, 0.98, len(objects))
    return [
        Candidate("", 0, *one.centroid, Outline(Box(*one.bbox), one.image), float(score),
                  "the edge is faint", "run-1", 0.0)
        for one, score in zip(objects, scores, strict=True)
    ]  # fmt: skip


@pytest.fixture
def review(panel, hand: Hand, qtbot, tnbc):
    """The review open in a real window, on the nuclei of real tissue as if a run had found them."""
    session = panel.session
    record = session.require_image()
    project = session.require_project()
    # one of them is missed
    labels = np.where(tnbc[1] == np.unique(tnbc[1])[-3], 0, tnbc[1])
    named = project.nuclei.adopt(record.name, "run-1", candidates(labels))
    refined = np.zeros(labels.shape, np.int32)
    for one in named:
        one.outline.paste(refined, Box(0, 0, *labels.shape), one.serial)
    project.labels.write(record.name, "refined", refined, {})
    session.sync()
    hand.open_step("review")
    dock = panel.docks["review"]
    qtbot.waitUntil(lambda: dock.review.item is not None, timeout=60_000)
    qtbot.waitUntil(lambda: layers.find(session.viewer, record.name, "refined") is not None)
    qtbot.wait(100)
    return dock


def picture(panel, name: str) -> None:
    """The window as a file, where somebody wants to look at it."""
    folder = os.environ.get("NOISYSEG_PICTURES")
    if folder:
        panel.session.viewer.window.screenshot(
            flash=False, path=str(Path(folder) / f"repair-{name}.png")
        )


def path(hand: Hand, places: list[tuple[float, float]]) -> None:
    """Press at the first place, go along all of them, let go at the last."""
    spots = [hand.at(place) for place in places]
    hand.qtbot.mousePress(hand.canvas, LEFT, pos=spots[0])
    for spot in spots[1:]:
        hand.qtbot.mouseMove(hand.canvas, spot)
        hand.qtbot.wait(10)
    hand.qtbot.mouseRelease(hand.canvas, LEFT, pos=spots[-1])
    hand.qtbot.wait(40)


def ring(middle: tuple[float, float], radius: float, corners: int = 24) -> list:
    turn = np.linspace(0, 2 * np.pi, corners)
    return [(middle[0] + radius * np.sin(a), middle[1] + radius * np.cos(a)) for a in turn]


def stored(review) -> dict[str, Candidate]:
    return {c.id: c for c in review.session.project.nuclei.judged(review.session.image)}


def large(review) -> Candidate:
    """A nucleus that can be cut, under review."""
    found = max(stored(review).values(), key=lambda c: c.outline.area)
    review.review.go_to(found.id)
    return found


def across(outline: Outline) -> list[tuple[float, float]]:
    y, x = outline.middle()
    half = outline.box.width / 2 + 4
    return [(y, x - half), (y, x), (y, x + half)]


def test_a_line_across_splits_and_a_restart_does_not_forget_how_to_undo(
    review, hand: Hand, qtbot, panel
) -> None:
    whole, count = large(review), len(stored(review))
    qtbot.wait(50)
    hand.key(Qt.Key.Key_S)
    assert review.repairing.tools.buttons["split"].isChecked()
    assert "across" in review.card.reason.text()
    spots = across(whole.outline)
    hand.qtbot.mousePress(hand.canvas, LEFT, pos=hand.at(spots[0]))
    for spot in spots[1:]:
        hand.qtbot.mouseMove(hand.canvas, hand.at(spot))
        hand.qtbot.wait(20)
    judged = layers.find(review.session.viewer, review.session.image, "judged")
    assert SKETCH in outlines_of(judged).paths
    picture(panel, "split-drawing")
    hand.qtbot.mouseRelease(hand.canvas, LEFT, pos=hand.at(spots[-1]))
    qtbot.wait(60)
    assert SKETCH not in outlines_of(judged).paths
    picture(panel, "split")
    now = stored(review)
    assert len(now) == count + 1
    assert review.review.item.id == whole.id
    (new,) = (one for one in now if not now[one].run)
    assert now[new].outline.area + now[whole.id].outline.area == whole.outline.area
    assert review.repairing.tools.buttons["split"].isChecked() is False
    hand.key(Qt.Key.Key_A)  # the other part is asked for next
    assert review.review.item.id == new
    hand.key(Qt.Key.Key_A)
    shown = np.asarray(layers.find(review.session.viewer, review.session.image, "refined").data)
    assert (shown == now[new].serial).sum() == now[new].outline.area
    session, place = review.session, review.session.project.path
    session.close()
    session.open(place)
    qtbot.waitUntil(lambda: review.review.item is not None, timeout=60_000)
    for _ in range(3):
        hand.key(Qt.Key.Key_Z)
    assert len(stored(review)) == count
    assert stored(review)[whole.id].outline == whole.outline
    assert stored(review)[whole.id].state == "unreviewed"


def test_a_line_beside_it_says_so(review, hand: Hand, qtbot) -> None:
    whole, version = large(review), review.session.project.nuclei.version()
    qtbot.wait(50)
    hand.key(Qt.Key.Key_S)
    box = whole.outline.box
    path(hand, [(box.y1 + 3, box.x0), (box.y1 + 3, box.x1)])
    assert review.session.project.nuclei.version() == version
    assert review.review.repairs.mode == "split"  # to try again
    hand.key(Qt.Key.Key_Escape)
    assert review.review.repairs.mode == ""


def touching(review) -> tuple[Candidate, Candidate]:
    """Two nuclei that nearly touch, the first under review."""
    for one, other in itertools.combinations(stored(review).values(), 2):
        if one.outline.box.grow(2).intersect(other.outline.box).empty:
            continue
        with contextlib.suppress(NoisySegError):
            join(one.outline, other.outline, review.session.record().mpp)
            review.review.go_to(one.id)
            return one, other
    raise AssertionError("no two nuclei touch")


def test_the_nucleus_clicked_next_is_merged(review, hand: Hand, qtbot, panel) -> None:
    one, other = touching(review)
    qtbot.wait(50)
    count = len(stored(review))
    hand.key(Qt.Key.Key_M)
    hand.click(other.outline.middle())
    now = stored(review)
    picture(panel, "merge")
    assert len(now) == count - 1
    assert other.id not in now
    assert now[one.id].outline.area >= one.outline.area + other.outline.area
    assert review.review.item.id == one.id
    assert review.review.repairs.mode == ""
    hand.key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert stored(review).keys() == now.keys() | {other.id}
    hand.key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    assert stored(review).keys() == now.keys()


def test_a_missed_nucleus_is_added_by_one_click(review, hand: Hand, qtbot, panel, tnbc) -> None:
    missed = np.unique(tnbc[1])[-3]
    place = tuple(np.argwhere(tnbc[1] == missed).mean(axis=0))
    review.session.front.fit()
    qtbot.wait(50)
    count = len(stored(review))
    hand.key(Qt.Key.Key_N)
    hand.click(place)
    qtbot.waitUntil(lambda: len(stored(review)) == count + 1, timeout=30_000)
    qtbot.wait(100)
    added = review.review.item
    assert added.state == "accepted"
    assert added.candidate.outline.holds(*np.round(place))
    others = [c.outline.cut(added.candidate.outline.box) for c in stored(review).values()
              if c.id != added.id]  # fmt: skip
    assert not (np.any(others, axis=0) & added.candidate.outline.mask).any()
    picture(panel, "added")
    assert review.review.repairs.mode == "add"  # for the next one
    hand.click(place)
    qtbot.wait(50)
    assert len(stored(review)) == count + 1
    hand.key(Qt.Key.Key_Z)
    assert len(stored(review)) == count


def test_one_drawn_around_is_added(review, hand: Hand, qtbot) -> None:
    review.session.front.fit()
    qtbot.wait(50)
    shown = layers.find(review.session.viewer, review.session.image, "refined")
    empty = np.asarray(shown.data) == 0
    y, x = next(
        (y, x) for y in range(40, 460, 10) for x in range(40, 460, 10)
        if empty[y - 12 : y + 13, x - 12 : x + 13].all()
    )  # fmt: skip
    count = len(stored(review))
    hand.key(Qt.Key.Key_N)
    path(hand, ring((y, x), 8))
    assert len(stored(review)) == count + 1
    qtbot.wait(50)
    assert review.review.item.candidate.outline.area == pytest.approx(np.pi * 64, rel=0.2)


def test_an_outline_is_drawn_anew_by_hand_by_corners_and_by_a_click(
    review, hand: Hand, qtbot, panel
) -> None:
    whole = large(review)
    qtbot.wait(50)
    middle = whole.outline.middle()
    hand.key(Qt.Key.Key_P)
    path(hand, ring(middle, 10))
    assert stored(review)[whole.id].outline.area == pytest.approx(np.pi * 100, rel=0.15)
    hand.key(Qt.Key.Key_P)
    y, x = middle
    corners = [(y - 8, x - 8), (y - 8, x + 8), (y + 8, x + 8), (y + 8, x - 8)]
    for corner in corners:
        hand.click(corner)
    picture(panel, "polygon")
    hand.click(corners[0])
    assert stored(review)[whole.id].outline.area == pytest.approx(256, rel=0.15)
    assert review.review.repairs.mode == ""
    hand.key(Qt.Key.Key_W)
    hand.click(middle)
    qtbot.waitUntil(lambda: not review.review.repairs.working, timeout=30_000)
    found = stored(review)[whole.id].outline
    assert found.holds(*middle)
    assert found.area not in (256, whole.outline.area)
    picture(panel, "outlined")
    for _ in range(3):
        hand.key(Qt.Key.Key_Z)
    assert stored(review)[whole.id].outline == whole.outline


def test_number_keys_name_it_and_begin_with_a_list(review, hand: Hand, qtbot, panel) -> None:
    nuclei = review.session.project.nuclei
    first = review.review.item.id
    assert nuclei.classes() == []
    hand.key(Qt.Key.Key_2)
    assert [c.name for c in nuclei.classes()] == ["tumour", "lymphocyte", "stroma", "other"]
    assert stored(review)[first].class_name == "lymphocyte"
    assert review.review.item.id == first
    assert review.repairing.classes.buttons[1].isChecked()
    picture(panel, "class")
    hand.key(Qt.Key.Key_2)
    assert stored(review)[first].class_name is None
    hand.key(Qt.Key.Key_1)
    hand.key(Qt.Key.Key_A)
    assert (stored(review)[first].class_name, stored(review)[first].state) == ("tumour", "accepted")
    hand.key(Qt.Key.Key_9)  # no such class
    for _ in range(4):
        hand.key(Qt.Key.Key_Z)
    assert nuclei.classes() == []
    assert stored(review)[first].state == "unreviewed"


def test_what_is_said_of_a_nucleus_stays_with_it(review, hand: Hand, qtbot) -> None:
    first = review.review.item
    hand.key(Qt.Key.Key_C)
    assert review.repairing.comment.hasFocus()
    qtbot.keyClicks(review.repairing.comment, "mitosis? ask A.")
    qtbot.keyClick(review.repairing.comment, Qt.Key.Key_Return)
    comments = review.session.project.nuclei.comments
    assert comments(first.image) == {first.id: "mitosis? ask A."}
    hand.key(Qt.Key.Key_Right)
    qtbot.wait(30)
    assert review.repairing.comment.text() == ""
    hand.key(Qt.Key.Key_Left)
    qtbot.wait(30)
    assert review.repairing.comment.text() == "mitosis? ask A."
    hand.key(Qt.Key.Key_Z)
    assert comments(first.image) == {}


def test_nuclei_are_judged_together_by_drawing_around_them(
    review, hand: Hand, qtbot, panel
) -> None:
    review.session.front.fit()
    qtbot.wait(50)
    under = review.review.item.id
    hand.key(Qt.Key.Key_Q)
    path(hand, ring((250.0, 250.0), 90, 40))
    chosen = review.review.repairs.chosen
    middles = {c.id: (c.y, c.x) for c in stored(review).values()}
    wanted = {i for i, p in middles.items() if np.hypot(p[0] - 250, p[1] - 250) < 86}
    assert wanted <= set(chosen)
    assert len(chosen) < len(middles)
    judged = layers.find(review.session.viewer, review.session.image, "judged")
    assert sum(n >= CHOSEN for n in outlines_of(judged).paths) == len(chosen)
    assert "nuclei chosen" in review.card.reason.text()
    picture(panel, "lasso")
    hand.key(Qt.Key.Key_R)
    assert {stored(review)[one].state for one in chosen} == {"rejected"}
    assert review.review.repairs.chosen == ()
    assert review.review.item.id == under
    picture(panel, "lasso-rejected")
    hand.key(Qt.Key.Key_Z)
    assert {one.state for one in stored(review).values()} == {"unreviewed"}


def test_nothing_is_in_the_hand_once_the_step_is_left(review, hand: Hand, qtbot) -> None:
    from napari_noisyseg.gui.tools.kit import kit_of

    hand.key(Qt.Key.Key_S)
    hand.open_step("annotate")
    assert review.review.repairs.mode == ""
    assert kit_of(review.session).guest is None
    hand.open_step("review")
    qtbot.wait(50)
    hand.press(review.repairing.tools.buttons["lasso"])
    assert review.review.repairs.mode == "lasso"
    hand.press(review.repairing.tools.buttons["lasso"])
    assert review.review.repairs.mode == ""


def test_filters_narrow_what_the_review_goes_through(review, hand: Hand, qtbot, panel) -> None:
    everything = stored(review)
    sizes = sorted(c.area_um2 for c in everything.values())
    hand.press(review.filter_more.toggle)
    qtbot.wait(30)
    picture(panel, "filter")
    largest = review.filters.largest
    largest.setFocus()
    largest.setValue(int(sizes[10]))
    qtbot.keyClick(largest, Qt.Key.Key_Return)
    qtbot.wait(30)
    passing = [i for i, c in everything.items() if c.area_um2 <= int(sizes[10])]
    assert f"{len(passing)} of {len(everything)}" in review.filter_more.toggle.text()
    seen = []
    for _ in passing:
        seen.append(review.review.item.id)
        hand.key(Qt.Key.Key_A)
    assert set(seen) == set(passing)
    assert review.above.accept.text() == "Accept 0"
    hand.press(review.filters.clear_button)
    qtbot.wait(30)
    assert review.filter_more.toggle.text() == "Filter"
    assert not review.review.course.filter.active
    state = review.filters.boxes["state"]
    state.setCurrentIndex(state.findData("accepted"))
    state.activated.emit(state.currentIndex())
    assert len(review.review.course.passing()) == len(passing)


def test_a_grid_of_many_is_judged_by_click_and_key(review, hand: Hand, qtbot, panel) -> None:
    hand.key(Qt.Key.Key_G)
    grid = review._grid
    qtbot.waitUntil(lambda: grid is not None and grid.isVisible(), timeout=5000)
    qtbot.waitUntil(lambda: len(grid._thumbnails._known) >= len(grid.in_sight()), timeout=60_000)
    qtbot.wait(50)

    def press(row: int, modifier=Qt.KeyboardModifier.NoModifier) -> None:
        spot = grid.list.visualRect(grid.model.index(row)).center()
        qtbot.mouseClick(grid.list.viewport(), LEFT, modifier, spot)

    ids = grid.model.ids
    shown = grid.in_sight()
    assert 6 < len(shown) < len(ids)
    press(1)
    assert stored(review)[ids[1]].state == "rejected"
    press(2)
    press(2)
    assert stored(review)[ids[2]].state == "unreviewed"
    press(3, Qt.KeyboardModifier.ControlModifier)
    press(4, Qt.KeyboardModifier.ControlModifier)
    qtbot.keyClick(grid.list, Qt.Key.Key_U)
    assert [stored(review)[ids[k]].state for k in (3, 4)] == ["unsure", "unsure"]
    qtbot.keyClick(grid.list, Qt.Key.Key_Space)
    states = [stored(review)[ids[k]].state for k in shown]
    assert states.count("accepted") == len(shown) - 3
    assert {stored(review)[one].state for one in ids[len(shown) :]} == {"unreviewed"}
    if folder := os.environ.get("NOISYSEG_PICTURES"):
        qtbot.wait(100)
        grid.grab().save(str(Path(folder) / "repair-grid.png"))
    qtbot.keyClick(grid.list, Qt.Key.Key_Z)
    assert [stored(review)[ids[k]].state for k in shown].count("accepted") == 0
    assert grid.model.ids == ids  # nothing jumps
    grid.close()
    assert review._grid is None


def test_the_images_are_listed_with_how_far_each_is(review, hand: Hand, qtbot, panel) -> None:
    session = review.session
    first = session.image
    session.project.add_array(np.full((64, 64, 3), 220, np.uint8), "second", 0.25)
    square = Outline(Box(10, 10, 20, 20), np.ones((10, 10), bool))
    session.project.nuclei.adopt(
        "second", "run-1", [Candidate("", 0, 15, 15, square, 0.1, "", "run-1", 0.0)]
    )
    session.sync()
    qtbot.waitUntil(lambda: len(review.review.queue) == len(stored(review)) + 1, timeout=10_000)
    qtbot.wait(50)
    hand.press(review.images_more.toggle)
    qtbot.wait(50)
    table = review.images.table
    words = [
        [table.columns.data(table.columns.index(r, c)) for c in range(4)]
        for r in range(table.columns.rowCount())
    ]
    assert words == [[first, "0 %", str(len(stored(review))), "0"], ["second", "0 %", "1", "0"]]
    hand.press_row(table, 1)
    qtbot.wait(50)
    assert session.image == "second"
    assert review.review.item.image == "second"
    hand.key(Qt.Key.Key_A)
    qtbot.wait(50)
    assert table.columns.data(table.columns.index(1, 1)) == "100 %"
    picture(panel, "images")


def test_trusted_outlines_stand_in_place_of_guesses(panel, hand: Hand, qtbot, tnbc) -> None:
    session = panel.session
    record, project = session.require_image(), session.require_project()
    one, other = regionprops(tnbc[1])[20:22]
    trusted, guessed = project.nuclei.add_many(
        record.name, [np.argwhere(tnbc[1] == r.label).mean(axis=0) for r in (one, other)]
    )
    drawn = Outline(Box(*one.bbox), one.image)
    project.nuclei.decide([trusted.id], "accepted", outlines={trusted.id: drawn})
    session.sync()

    def layer():
        return layers.find(session.viewer, record.name, "outline")

    qtbot.waitUntil(lambda: layer() is not None, timeout=60_000)
    overlay = outlines_of(layer())
    qtbot.waitUntil(lambda: overlay.states.get(trusted.serial) == "accepted", timeout=10_000)
    assert overlay.states[guessed.serial] == "outline"
    for found, wanted in zip(overlay.paths[trusted.serial], outline_paths(drawn), strict=True):
        assert np.allclose(found, wanted)
    hand.click((trusted.y + 14, trusted.x + 14))  # a neighbour that changes the guess
    qtbot.wait(300)
    assert overlay.states[trusted.serial] == "accepted"
    assert np.allclose(overlay.paths[trusted.serial][0], outline_paths(drawn)[0])
    picture(panel, "trusted")
    for _ in range(2):
        hand.key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    qtbot.wait(100)
    assert overlay.states[trusted.serial] == "outline"
