from __future__ import annotations

from time import thread_time

import numpy as np
import pytest
from qtpy.QtCore import Qt
from skimage.measure import regionprops

from napari_noisyseg.gui.canvas import closeup, layers
from napari_noisyseg.gui.canvas.closeup import centre, visible_box
from napari_noisyseg.gui.canvas.outlines import outline_paths, outlines_of
from napari_noisyseg.gui.docks.review.dock import ReviewDock
from napari_noisyseg.gui.docks.review.measurements import WIDTHS
from napari_noisyseg.gui.docks.review.oncanvas import VIEW_UM
from napari_noisyseg.gui.tools.hand import Press
from napari_noisyseg.gui.tools.kit import kit_of
from napari_noisyseg.slides import Box
from napari_noisyseg.store.records import Candidate, Outline

pytestmark = pytest.mark.gui


def candidates(labels) -> list[Candidate]:
    objects = regionprops(labels)
    scores = np.linspace(0.02, 0.98, len(objects))
    return [
        Candidate("", 0, *one.centroid, Outline(Box(*one.bbox), one.image), float(score),
                  "the edge is faint", "run-1", 0.0)
        for one, score in zip(objects, scores, strict=True)
    ]  # fmt: skip


@pytest.fixture
def session(bare, tnbc):
    """Real tissue, its nuclei adopted from a run and shown as `refined`."""
    record = bare.require_image()
    project = bare.require_project()
    named = project.nuclei.adopt(record.name, "run-1", candidates(tnbc[1]))
    refined = np.zeros((512, 512), np.int32)
    for one in named:
        refined[one.outline.box.slices][one.outline.mask] = one.serial
    project.labels.write(record.name, "refined", refined, {})
    project.labels.write(record.name, "probability", (refined > 0).astype(np.float16), {})
    kit_of(bare)
    bare.look(step="review")
    bare.keys.scope = "review"
    bare.sync()
    assert layers.find(bare.viewer, record.name, "refined") is not None
    return bare


@pytest.fixture
def dock(qtbot, session):
    made = ReviewDock(session)
    qtbot.addWidget(made)
    made.resize(360, 900)
    made.show()
    made.enter()
    qtbot.waitUntil(lambda: made.review.item is not None, timeout=60_000)
    qtbot.wait(20)
    yield made
    made.closing()


def press(dock, key: str) -> None:
    dock.session.keys.find(key).press()
    drawn_now(dock)


def drawn_now(dock) -> None:
    """What one act changes is drawn once, when the act is over."""
    if dock._drawing.isActive():
        dock._draw()


def drawn(dock) -> list[np.ndarray]:
    drawn_now(dock)
    layer = layers.find(dock.session.viewer, dock.review.item.image, "judged")
    paths = outlines_of(layer).paths
    return [paths[number][0] for number in sorted(paths)]


def test_it_begins_with_the_most_doubtful_centred_at_a_constant_zoom(dock):
    viewer, item = dock.session.viewer, dock.review.item
    assert item.candidate.score == pytest.approx(0.02)
    assert dock.card.reason.text() == "The edge is faint"
    record = dock.session.record()
    where = layers.geometry(viewer, record)
    at = np.array(where["translate"]) + np.array(where["scale"]) * (
        item.candidate.y,
        item.candidate.x,
    )
    # in the middle, or as near to it as can be where the image ends
    low, high = -record.mpp / 2, 511.5 * record.mpp
    at = np.clip(at, low + VIEW_UM / 2, high - VIEW_UM / 2)
    assert np.allclose(viewer.scene.camera.center[-2:], at)
    zoom = viewer.scene.camera.zoom
    assert 800 / zoom == pytest.approx(VIEW_UM)
    press(dock, "Right")
    assert viewer.scene.camera.zoom == zoom
    assert not np.allclose(viewer.scene.camera.center[-2:], at)


def test_a_nucleus_at_the_edge_is_shown_without_empty_view(dock, qtbot):
    viewer, record = dock.session.viewer, dock.session.record()
    for at in ("y", "x"):
        edge = min(dock.review.here(), key=lambda item: getattr(item.candidate, at))
        place = edge.candidate.y, edge.candidate.x
        dock.review.go_to(edge.id)
        qtbot.waitUntil(lambda p=place: visible_box(viewer, record).contains(*p), timeout=5000)
        box = visible_box(viewer, record)
        assert box.height * record.mpp == pytest.approx(VIEW_UM, abs=2 * record.mpp)
        assert box.width * record.mpp == pytest.approx(VIEW_UM, abs=2 * record.mpp)
        assert getattr(box, f"{at}0") == 0
    # an image that is smaller than the view is shown in its middle
    centre(viewer, record, (3, 500), 4 * 512 * record.mpp, within=True)
    where = layers.geometry(viewer, record)
    middle = np.array(where["translate"]) + np.array(where["scale"]) * 255.5
    assert np.allclose(viewer.scene.camera.center[-2:], middle)


def test_keys_decide_go_on_and_are_undone(dock):
    project = dock.session.project
    first = dock.review.item.id
    press(dock, "A")
    second = dock.review.item.id
    press(dock, "R")
    third = dock.review.item.id
    press(dock, "U")
    assert len({first, second, third, dock.review.item.id}) == 4
    states = [project.nuclei.get(i).state for i in (first, second, third)]
    assert states == ["accepted", "rejected", "unsure"]
    assert dock.card.progress.text() == f"3 of {len(dock.review.queue)} reviewed · 33 % accepted"
    assert dock.summary().text == f"3 of {len(dock.review.queue)} · 33 % accepted"
    press(dock, "Z")
    assert dock.review.item.id == third
    assert dock.review.item.state == "unreviewed"
    press(dock, "Z")
    assert dock.review.item.id == second
    press(dock, "Left")
    assert dock.review.item.id == first
    assert "accepted" in dock.card.state.text()


def test_buttons_do_what_keys_do(qtbot, dock):
    for button, state in ((dock.accept_button, "accepted"), (dock.reject_button, "rejected"),
                          (dock.unsure_button, "unsure")):  # fmt: skip
        nucleus = dock.review.item.id
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
        drawn_now(dock)
        assert dock.session.project.nuclei.get(nucleus).state == state


def test_undo_is_offered_where_it_does_something(qtbot, dock):
    nuclei = dock.session.project.nuclei
    press(dock, "A")
    while any(entry.state == "done" for entry in nuclei.history()):
        assert dock.undo_button.isEnabled()
        qtbot.mouseClick(dock.undo_button, Qt.MouseButton.LeftButton)
        drawn_now(dock)
    assert not dock.undo_button.isEnabled()
    dock.session.redo()
    drawn_now(dock)
    assert dock.undo_button.isEnabled()
    with dock.session.acting():
        nuclei.add_field(dock.session.front.names()[0], Box(0, 0, 64, 64))
    drawn_now(dock)
    assert dock.undo_button.toolTip() == "Take back: add a field (Z)"


def test_a_rejected_nucleus_goes_from_the_canvas_and_comes_back(dock):
    item = dock.review.item
    layer = layers.find(dock.session.viewer, item.image, "refined")
    before = np.array(layer.data)
    press(dock, "R")
    assert item.candidate.serial not in layer.data
    press(dock, "Z")
    assert (np.asarray(layer.data) == before).all()


def test_what_was_decided_is_seen_again_when_the_layer_is_made_anew(dock):
    project, first = dock.session.project, dock.review.item
    press(dock, "R")
    second = dock.review.item
    dock.review.queue.redraw(second.id, Outline(Box(3, 3, 6, 6), np.ones((3, 3), bool)))
    stored = project.labels.read(first.image, "refined")
    assert first.candidate.serial in stored
    shown = project.nuclei.settled(first.image, Box(0, 0, *stored.shape), stored)
    assert first.candidate.serial not in shown
    where = np.argwhere(shown == second.candidate.serial)
    assert where.min() == 3
    assert where.max() == 5


def test_the_review_goes_on_where_it_stood_after_a_restart(qtbot, dock):
    press(dock, "A")
    press(dock, "R")
    expected = dock.review.item.id
    session, path = dock.session, dock.session.project.path
    dock.closing()
    session.close()
    session.open(path)
    again = ReviewDock(session)
    qtbot.addWidget(again)
    again.enter()
    qtbot.waitUntil(lambda: again.review.item is not None, timeout=60_000)
    assert again.review.item.id == expected
    assert again.card.progress.text().startswith("2 of")
    again.closing()


def test_new_and_old_outline_are_drawn(dock):
    item = dock.review.item
    box = item.candidate.outline.box
    dock.session.project.nuclei.paint(
        item.image, box, np.zeros((box.height, box.width), np.int32),
        np.ones((box.height, box.width), np.int32),
    )  # fmt: skip
    dock.review.move(1)
    dock.review.move(-1)
    old, new = drawn(dock)[0], drawn(dock)[-1]
    assert np.allclose(old.min(axis=0), np.array(box[:2]) - 0.5, atol=0.5)
    assert np.allclose(new.max(axis=0), np.array(box[2:]) - 0.5, atol=0.5)
    dock.leave()
    assert layers.find(dock.session.viewer, item.image, "judged") is None


def test_h_hides_the_masks_while_it_is_held(dock):
    viewer, image = dock.session.viewer, dock.review.item.image
    refined = layers.find(viewer, image, "refined")
    binding = dock.session.keys.find("H")
    binding.press()
    binding.press()
    assert not refined.visible
    assert layers.find(viewer, image, "image").visible
    binding.release()
    assert refined.visible


def test_accept_all_above_counts_first_and_is_one_undo(dock):
    scores = [item.candidate.score for item in dock.review.queue.items]
    dock.above.slider.setValue(70)
    count = sum(score >= 0.7 for score in scores)
    assert dock.above.accept.text() == f"Accept {count}"
    dock.above.accept.click()
    drawn_now(dock)
    assert dock.review.queue.progress().accepted == count
    assert dock.above.accept.text() == "Accept 0"
    assert not dock.above.accept.isEnabled()
    assert f"{count} of {count} right" in dock.above.agreement.text()
    press(dock, "Z")
    assert dock.review.queue.progress().accepted == 0


def test_an_outline_is_redrawn_stroke_by_stroke(dock):
    item, viewer = dock.review.item, dock.session.viewer
    press(dock, "E")
    assert dock.edit_button.text() == "Done"
    layer = layers.find(viewer, item.image, "edited")
    assert np.asarray(layer.data).sum() == item.candidate.outline.mask.sum()
    place = (item.candidate.y, item.candidate.x)
    stroke(dock, place)
    grown = dock.session.project.nuclei.outline(item.id)
    assert grown.mask.sum() == np.asarray(layer.data).sum() > item.candidate.outline.mask.sum()
    press(dock, "Z")  # takes the stroke back, and the brush away
    assert dock.session.project.nuclei.outline(item.id) is None
    refined = layers.find(viewer, item.image, "refined")
    assert (np.asarray(refined.data) == item.candidate.serial).sum() == (
        item.candidate.outline.mask.sum()
    )
    press(dock, "E")
    press(dock, "X")
    stroke(dock, place)
    kept = dock.session.project.nuclei.outline(item.id)
    assert 0 < kept.mask.sum() < item.candidate.outline.mask.sum()
    press(dock, "E")
    assert layers.find(viewer, item.image, "edited") is None
    assert dock.review.item.id == item.id
    press(dock, "A")
    assert dock.session.project.nuclei.outline(item.id) == kept
    assert (np.asarray(refined.data) == item.candidate.serial).sum() == kept.mask.sum()


def stroke(dock, place) -> None:
    """A stroke of the brush to the right of a place."""
    tool = kit_of(dock.session).guest
    drag = tool.press(Press(None, place, 1.0))
    end = (place[0], place[1] + 8.0)
    drag.move(end)
    drag.end(end, True)
    drawn_now(dock)


def test_maps_are_read_when_they_are_wanted(qtbot, dock):
    viewer, image = dock.session.viewer, dock.review.item.image
    dock.maps.refresh()
    box = dock.maps.boxes["probability"]
    assert box.isEnabled()
    assert not dock.maps.boxes["uncertainty"].isEnabled()
    box.click()
    qtbot.waitUntil(lambda: layers.find(viewer, image, "probability") is not None, timeout=60_000)
    layer = layers.find(viewer, image, "probability")
    assert layer.visible
    layer.visible = False
    dock.maps.refresh()
    assert not box.isChecked()


def test_every_nucleus_is_in_the_table_and_a_click_centres_it(qtbot, dock):
    dock.table.toggle.click()
    table = dock.measurements.table
    qtbot.waitUntil(lambda: "measuring" not in dock.measurements.status.text(), timeout=60_000)
    assert table.columns.rowCount() == len(dock.review.queue)
    assert table.columns.columnCount() == len(WIDTHS)
    table.sortByColumn(1, Qt.SortOrder.DescendingOrder)
    areas = [float(table.columns.data(table.columns.index(r, 1))) for r in range(20)]
    assert areas == sorted(areas, reverse=True)
    largest = max(dock.review.queue.items, key=lambda i: i.candidate.outline.mask.sum())
    table.selectRow(0)
    assert dock.review.item.candidate.outline.mask.sum() == largest.candidate.outline.mask.sum()
    press(dock, "A")
    row = table.columns.shown_at(dock.measurements._rows[largest.id])
    assert table.columns.data(table.columns.index(row, 6)) == "✓ accepted"


def test_a_closed_project_leaves_an_empty_review(dock):
    dock.session.close()
    drawn_now(dock)
    assert dock.review.item is None
    assert not dock.accept_button.isEnabled()
    assert not dock.undo_button.isEnabled()
    assert dock.card.progress.text() == "nothing to review yet"
    assert dock.summary().text == "nothing to review yet"
    press(dock, "A")


def test_what_cannot_be_written_is_said_and_not_shown(dock, monkeypatch):
    item = dock.review.item

    def refuse(*args, **kwargs):
        from napari_noisyseg.errors import NoisySegError

        raise NoisySegError("the disk is full")

    monkeypatch.setattr(dock.session.project.nuclei, "decide", refuse)
    press(dock, "A")
    assert dock.session.said[-1] == "the disk is full"
    assert dock.review.item.id == item.id
    assert dock.review.item.state == "unreviewed"


def test_no_handler_takes_long_on_thousands_of_nuclei(qtbot, bare, pace):
    side, n = 1000, 3600
    record = bare.require_image()
    project = bare.require_project()
    project.add_array(np.full((side, side, 3), 220, np.uint8), "many", record.mpp)
    corners = np.stack([np.arange(n) // 60 * 16, np.arange(n) % 60 * 16], 1).tolist()
    mask = np.ones((9, 9), bool)
    many = [
        Candidate("", 0, y + 4, x + 4, Outline(Box(y, x, y + 9, x + 9), mask), k / n, "", "r", 5.0)
        for k, (y, x) in enumerate(corners)
    ]
    project.nuclei.adopt("many", "r", many)
    bare.show_image("many")
    bare.look(step="review")
    bare.keys.scope = "review"
    dock = ReviewDock(bare)
    qtbot.addWidget(dock)
    dock.show()
    dock.enter()
    qtbot.waitUntil(lambda: dock.review.item is not None, timeout=60_000)
    dock.table.toggle.click()
    qtbot.waitUntil(lambda: "measuring" not in dock.measurements.status.text(), timeout=60_000)
    press(dock, "A")
    took = []
    for key in "ARUAZAA":
        start = thread_time()
        press(dock, key)
        took.append(thread_time() - start)
    dock.closing()
    assert np.median(took) < 10 * pace, took


def test_outline_paths_run_along_the_edges_of_pixels():
    outline = Outline(Box(10, 20, 14, 25), np.ones((4, 5), bool))
    (path,) = outline_paths(outline)
    assert path.min(axis=0) == pytest.approx([9.5, 19.5], abs=0.3)
    assert path.max(axis=0) == pytest.approx([13.5, 24.5], abs=0.3)


def test_visible_box_and_centre_agree(bare):
    record = bare.require_image()
    centre(bare.viewer, record, (256, 256), 0.5 * 512 * record.mpp)
    assert np.allclose(visible_box(bare.viewer, record), (128, 128, 384, 384), atol=2)
    centre(bare.viewer, record, (0, 0), 10 * 512 * record.mpp)
    assert visible_box(bare.viewer, record) == Box(0, 0, 512, 512)
    assert closeup.canvas_size(bare.viewer) == (800, 800)


def test_deleting_the_layer_under_the_brush_ends_the_edit(dock):
    viewer = dock.session.viewer
    press(dock, "E")
    brush = layers.find(viewer, dock.review.item.image, "edited")
    brush.visible = False
    assert brush.visible
    viewer.layers.remove(brush)
    drawn_now(dock)
    assert not dock.review.editing
    assert layers.find(viewer, dock.review.item.image, "judged") is not None
    press(dock, "E")
    assert layers.find(viewer, dock.review.item.image, "edited").visible


def test_outlines_under_review_that_are_deleted_come_back(dock):
    viewer, image = dock.session.viewer, dock.review.item.image
    viewer.layers.remove(layers.find(viewer, image, "judged"))
    drawn_now(dock)
    layer = layers.find(viewer, image, "judged")
    assert layer is not None
    assert layer.visible
    assert drawn(dock)


def test_without_an_image_in_front_no_nucleus_is_under_review(dock):
    viewer, image = dock.session.viewer, dock.review.item.image
    viewer.layers.remove(layers.find(viewer, image, "image"))
    drawn_now(dock)
    assert dock.session.image is None
    assert dock.review.item is None
    dock.session.show_image(image)
    drawn_now(dock)
    assert dock.review.item.image == image
