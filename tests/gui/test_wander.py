"""A random walk of real events through the real window: disk, canvas and panel agree."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from test_panel import Hand, near, places

from napari_noisyseg.benchmarks.display import on_display
from napari_noisyseg.benchmarks.window_walk import report
from napari_noisyseg.gui.canvas import layers
from napari_noisyseg.gui.change import What
from napari_noisyseg.gui.controllers.adoption import Adoption
from napari_noisyseg.gui.controllers.review import ReviewController
from napari_noisyseg.gui.tools.kit import kit_of
from napari_noisyseg.gui.work import at_once
from napari_noisyseg.slides import Box
from napari_noisyseg.store.records import Candidate, Outline

pytestmark = pytest.mark.gui


def walk(folder: Path, seed: int, acts: str, *data: Path) -> dict[str, Any]:
    """In a process of its own, as the benchmark does it."""
    words = [str(folder), str(seed), acts, *map(str, data)]
    command = on_display([sys.executable, "-m", "napari_noisyseg.gui.wander", *words])
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def troubles(walked: dict[str, Any]) -> list[str]:
    found = [*walked["exceptions"], *walked["disagreements"]]
    return [f"{one['act']} {one['did']}: {one['words']}" for one in found]


@pytest.mark.long
def test_a_short_walk(tmp_path: Path) -> None:
    walked = walk(tmp_path, 1, "50")
    assert troubles(walked) == []
    assert walked["acts"] == 50


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_long_walks_on_the_bundled_field(tmp_path: Path, seed: int) -> None:
    assert troubles(walk(tmp_path, seed, "500")) == []


@pytest.mark.slow
def test_a_long_walk_on_real_images(tmp_path: Path, data_dir: Path) -> None:
    assert troubles(walk(tmp_path, 1, "500", data_dir)) == []


def test_the_report_adds_walks_up() -> None:
    trouble = {"act": 3, "did": "click", "words": "points differ", "before": ["2 wheel"]}
    walks = [
        {"seed": 1, "acts": 5, "disagreements": [trouble], "exceptions": [], "worst_stall_ms": 7.0,
         "worst_turn_cpu_ms": 6.0},
        {"seed": 2, "acts": 5, "disagreements": [], "exceptions": [], "worst_stall_ms": 9.0,
         "worst_turn_cpu_ms": 5.0},
    ]  # fmt: skip
    found = report(walks)
    assert found.figures == {
        "acts": 10, "disagreements": 1, "exceptions": 0, "worst_stall_ms": 9,
        "worst_turn_cpu_ms": 6,
    }  # fmt: skip
    assert found.rows == [{"seed": 1, "act": 3, "did": "click", "words": "points differ"}]


# --- what walks have found -----------------------------------------------------------------------


def test_another_resolution_moves_no_other_image_of_the_project(bare: Any, tmp_path: Path) -> None:
    bare.require_image()
    project = bare.require_project()
    other = project.add_array(np.full((80, 90, 3), 200, np.uint8), "other", mpp=bare.record().mpp)
    project.nuclei.add_field(other.name, Box(0, 0, 40, 40))
    bare.sync()
    first = bare.image
    bare.show_image("other")
    bare.set_mpp(1.0)
    record, layer = project.image(first), layers.find(bare.viewer, first, "image")
    assert layer.scale[-1] == pytest.approx(record.mpp)
    assert layers.find(bare.viewer, "other", "image").scale[-1] == pytest.approx(1.0)


def found(place: int) -> Candidate:
    outline = Outline(Box(place, place, place + 8, place + 8), np.ones((8, 8), bool))
    return Candidate("", 0, place + 4, place + 4, outline, 0.5, "the edge is faint", "run-1", 4.0)


def test_another_image_chosen_in_a_review_brings_a_nucleus_of_its_own(bare: Any) -> None:
    first, project = bare.require_image().name, bare.require_project()
    for name in ("second", "third"):
        project.add_array(np.full((80, 90, 3), 200, np.uint8), name)
    for name in (first, "second"):
        project.nuclei.adopt(name, "run-1", [found(10), found(40)])
    bare.sync()
    bare.show_image(first)
    bare.look(step="review")
    review = ReviewController(bare, at_once)
    review.enter()
    assert review.item is not None
    assert review.item.image == bare.image == "second"
    bare.show_image(first)
    assert review.item.image == first
    bare.show_image("third")
    review.decide("accepted")  # nothing that is not before the eyes
    assert review.item is None
    assert project.nuclei.counts().accepted == 0
    project.nuclei.adopt(first, "run-2", [found(70)])
    bare.sync()
    assert bare.image == "third"  # nor does a run's end lead away
    review.move(1)
    assert bare.image == review.item.image != "third"
    review.close()


def test_a_deleted_mask_comes_back_while_its_brush_is_in_hand(bare: Any) -> None:
    kit, waiting, image = kit_of(bare), [], bare.require_image().name
    kit.rough.take_labels(np.ones((bare.record().height, bare.record().width), np.int32))
    bare.later = waiting.append
    bare.toggle("rough", False)
    bare.look(tool="paint")
    bare.viewer.layers.remove(kit.rough.layer())
    for act in waiting:
        act()
    assert layers.find(bare.viewer, image, "rough").visible


def test_what_lies_below_a_strangers_image_is_not_hit(panel: Any, qtbot: Any) -> None:
    hand = Hand(panel, qtbot)
    hand.click((100, 120))
    (stored,) = places(panel)
    assert near([stored], [(100, 120)])
    stranger = panel.session.viewer.add_image(np.zeros((600, 600, 3), np.uint8), name="stranger")
    stranger.scale, stranger.units = panel.session.image_layer().scale, ("um", "um")
    hand.click((100, 120), Qt.MouseButton.RightButton)
    hand.drag((100, 120), (140, 160))
    assert places(panel) == [stored]
    stranger.visible = False
    hand.click((100, 120), Qt.MouseButton.RightButton)
    assert places(panel) == []


def test_a_cluster_label_without_a_complete_field_is_tried_once(bare: Any) -> None:
    kit, waiting = kit_of(bare), []
    bare.submit = lambda work, done, failed=None: waiting.append((work, done))

    def finish() -> int:
        """Do all that waits, and what comes of it; how often."""
        for done in range(20):
            if not waiting:
                return done
            work, then = waiting.pop(0)
            then(work())
        raise AssertionError("it never comes to an end")

    bare.look(step="coarse")
    bare.toggle("cluster", True)
    kit.points.add(100, 120)
    kit.points.add(200, 220)
    finish()
    assert not kit.live.busy
    assert kit.live.labels is not None
    assert not kit.live.labels.fit
    kit.fields.add_whole()
    assert finish() > 0
    assert kit.live.labels.fit


def test_a_resolution_that_was_refused_does_not_stay_in_the_panel(panel: Any, qtbot: Any) -> None:
    hand, box = Hand(panel, qtbot), panel.header.mpp
    hand.click((100, 120))
    before = box.text()
    for typed, shown in (("x", before), ("0,5", "0.5")):
        qtbot.mouseClick(box, Qt.MouseButton.LeftButton)
        box.selectAll()
        qtbot.keyClicks(box, typed)
        qtbot.keyClick(box, Qt.Key.Key_Return)
        assert box.text() == shown


def test_points_that_are_hidden_follow_an_undo(panel: Any, qtbot: Any) -> None:
    hand, said = Hand(panel, qtbot), []
    panel.session.noticed.connect(said.append)
    for place in ((100, 120), (200, 220), (300, 320)):
        hand.click(place)
    panel.open_step("coarse")
    layer = layers.find(panel.session.viewer, panel.session.image, "points")
    layer.visible = False
    panel.session.undo()
    assert said == []
    layer.visible = True
    assert near(places(panel), [(100, 120), (200, 220)])
    assert len(layer.data) == 2


def test_labels_that_are_written_after_the_nuclei_were_told_of_are_shown(bare: Any) -> None:
    record, project = bare.require_image(), bare.require_project()
    waiting: list[Any] = []
    kit_of(bare)
    bare.look(step="review")
    for run, place in (("run-1", 10), ("run-2", 100)):
        (one,) = project.nuclei.adopt(record.name, run, [found(place)])
        bare.sync()
        bare.submit = lambda work, done, failed=None: waiting.append(
            (work(), done)
        )  # read, not arrived
        bare.tell(What.CANDIDATES)
        labels = np.zeros((record.height, record.width), np.int32)
        labels[one.outline.box.slices] = one.serial
        project.labels.write(record.name, "refined", labels, {"run": run})
        bare.submit = at_once
        Adoption(bare, None)._adopted([run])
        while waiting:
            answer, done = waiting.pop()
            done(answer)
        shown = layers.find(bare.viewer, record.name, "refined")
        assert shown is not None
        assert np.array_equal(shown.data, labels)


def test_a_point_that_is_clicked_while_labels_are_made_anew_is_in_them(bare: Any) -> None:
    kit, waiting = kit_of(bare), []
    kit.points.add(100, 120)
    kit.fields.add_whole()
    bare.submit = lambda work, done, failed=None: waiting.append((work(), done))
    kit.live.refit()
    kit.points.add(200, 220)
    bare.submit = at_once
    while waiting:
        answer, done = waiting.pop(0)
        done(answer)
    last = max(kit.points.nuclei)
    assert set(kit.live.labels.places) == set(kit.points.nuclei)
    kit.points.move(last, 210, 230)
    assert kit.live.labels.places[last] == (210, 230)
    kit.points.add(300, 320)
    assert set(kit.live.labels.places) == set(kit.points.nuclei)
