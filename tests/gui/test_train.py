from __future__ import annotations

import json
import os
import subprocess
import sys
from time import time

import numpy as np
import pytest
from skimage.measure import regionprops

from napari_noisyseg import registry
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.events import Failed, Finished, Previewed, Started, Stepped
from napari_noisyseg.gui.canvas import layers
from napari_noisyseg.gui.change import What
from napari_noisyseg.gui.controllers import runspec
from napari_noisyseg.gui.controllers import train as train_module
from napari_noisyseg.gui.controllers.runspec import run_spec
from napari_noisyseg.gui.docks.train.dock import TrainDock
from napari_noisyseg.gui.docks.train.options import Choice, TrainOptions, needs_words
from napari_noisyseg.method import Needs
from napari_noisyseg.slides import Box
from napari_noisyseg.store.runs import Run
from napari_noisyseg.training.plan import settings
from napari_noisyseg.worker.parent import client, process, processor

pytestmark = pytest.mark.gui


@pytest.fixture
def session(bare, tnbc):
    """Real tissue with its points, no field yet; no child process is started."""
    record = bare.require_image()
    points = np.array([one.centroid for one in regionprops(tnbc[1])])
    bare.require_project().nuclei.add_many(record.name, points)
    bare.look(step="train")
    bare.sync()
    return bare


@pytest.fixture
def dock(qtbot, session, monkeypatch):
    def launch(run: Run, threads: int | None = None) -> None:
        run.claim(os.getpid())

    monkeypatch.setattr(process, "launch", launch)
    # the child is this process, which does nothing: whatever else runs here must not matter
    monkeypatch.setattr(processor, "starved", lambda before, after: False)
    made = TrainDock(session)
    qtbot.addWidget(made)
    made.resize(360, 900)
    made.show()
    yield made
    made.closing()


def field(session) -> None:
    record = session.require_image()
    session.project.nuclei.add_field(record.name, Box(0, 0, record.height, record.width))


@pytest.fixture
def started(qtbot, session, dock) -> Run:
    """A run that this process claims to work on."""
    field(session)
    dock.button.click()
    qtbot.waitUntil(lambda: bool(dock.follower.living), timeout=60_000)
    return session.project.runs.get(dock.follower.living[0])


def write_results(run: Run, image: str, labels, box: Box) -> None:
    """What the worker leaves behind, for every object of a label image."""
    folder = run.dir / "results"
    folder.mkdir()
    maps = {"probability": (labels > 0).astype(np.float16)}
    np.savez(folder / "0.npz", labels=labels, **maps, uncertainty=maps["probability"] * 0)
    rows = [
        {"label": one.label, "serial": 0, "y": one.centroid[0], "x": one.centroid[1],
         "score": 0.5, "reason": "the edge is faint", "area_um2": one.area * 0.0625}
        for one in regionprops(labels)
    ]  # fmt: skip
    region = {"image": image, "box": box, "file": "0.npz", "mpp": 0.25, "candidates": rows}
    (folder / "index.json").write_text(json.dumps({"regions": [region]}))


def test_without_a_field_it_asks_and_the_answer_makes_the_field(qtbot, session, dock):
    dock.button.click()
    assert dock.question.isVisible()
    assert not session.project.runs.list()
    count = len(session.project.nuclei.of(session.image))
    assert dock.question.whole.text() == f"Yes, in the whole image ({count} nuclei)"
    dock.question.whole.click()
    assert not dock.question.isVisible()
    (made,) = session.project.nuclei.fields(session.image)
    assert made.complete
    assert made.box == Box(0, 0, 512, 512)
    qtbot.waitUntil(lambda: bool(dock.follower.living), timeout=60_000)
    session.undo()
    assert session.project.nuclei.fields(session.image) == []


def test_the_question_is_about_the_image_in_front(session, dock, qtbot):
    dock.button.click()
    marked = session.image
    session.require_project().add_array(np.full((64, 64, 3), 200, np.uint8), "bare", 0.25)
    session.sync()
    session.show_image("bare")
    assert dock.question.whole.text() == "Yes, in the whole image (0 nuclei)"
    assert not dock.question.visible.isEnabled()
    session.show_image(marked)
    count = len(session.project.nuclei.of(marked))
    assert dock.question.whole.text() == f"Yes, in the whole image ({count} nuclei)"
    session.viewer.scene.camera.zoom *= 1000
    qtbot.waitUntil(lambda: f"({count} " not in dock.question.visible.text(), timeout=5000)


def test_the_visible_part_is_what_the_canvas_shows(session, dock):
    record = session.require_image()
    where = layers.geometry(session.viewer, record)
    camera = session.viewer.scene.camera
    middle = np.array(where["translate"]) + np.array(where["scale"]) * (100, 200)
    camera.center = (0.0, *middle)
    camera.zoom = 800 / (100 * where["scale"][0])
    dock.button.click()
    dock.question.visible.click()
    (made,) = session.project.nuclei.fields(record.name)
    assert np.allclose(made.box, (50, 150, 150, 250), atol=2)


def test_not_yet_starts_nothing(session, dock):
    dock.button.click()
    dock.question.no.click()
    assert not dock.question.isVisible()
    assert not session.project.runs.list()


def test_the_method_is_chosen_and_the_reason_said(qtbot, session, dock):
    qtbot.waitUntil(lambda: "oints" in dock.options.why.text(), timeout=60_000)
    assert dock.options.choice().method == "scnet"
    choice = dock.options.choice()
    assert (choice.seconds, choice.epochs, choice.device) == (120.0, None, "auto")
    assert choice.config == {}


def test_a_run_shows_and_can_be_stopped(qtbot, session, dock, started):
    assert dock.button.text() == "Stop training"
    started.say(Started("SC-Net", 4, 2, "cpu", "small preset, on CPU"))
    started.say(Stepped(1, 3, 4, {"total": 2.0}, 21.0))
    dock.follower.poll()
    qtbot.waitUntil(lambda: dock.view.line.text() == "epoch 2/4 · 0:21 left", timeout=10_000)
    assert dock.summary().mark == "busy"
    assert dock.summary().text == "epoch 2/4 · 0:21 left"
    assert [row.state for row in dock.runs.table.rows] == ["running"]
    dock.button.click()
    assert started.stop_requested
    started.say(Finished(True, 3.0))
    dock.follower.poll()
    assert dock.button.text() == "Train"
    assert dock.runs.resume.isEnabled()
    assert [row.state for row in dock.runs.table.rows] == ["stopped"]


def appear(qtbot, session, kind):
    """Previews are read out of the way and shown a layer at a time."""
    name = session.require_image().name
    qtbot.waitUntil(lambda: layers.find(session.viewer, name, kind) is not None, timeout=10_000)


def test_previews_sharpen_on_the_canvas_in_place(qtbot, session, dock, started):
    record = session.require_image()
    (started.dir / "previews").mkdir()
    probability = np.linspace(0, 1, 64 * 64, dtype=np.float16).reshape(64, 64)
    refined = np.arange(64 * 64, dtype=np.int32).reshape(64, 64)
    np.savez(started.dir / "previews" / "1.npz", probability=probability, refined=refined)
    event = Previewed(record.name, "previews/1.npz", 0, origin=(100.5, 40.5), scale=2.0)
    started.say(event)
    dock.follower.poll()
    # people at work elsewhere are left alone; the step shows the newest picture when it is opened
    assert layers.find(session.viewer, record.name, "refined") is None
    session.toggle("probability", True)
    dock.enter()
    base = layers.find(session.viewer, record.name, "image")
    for kind in ("probability", "refined"):
        appear(qtbot, session, kind)
        layer = layers.find(session.viewer, record.name, kind)
        assert np.allclose(layer.scale, 2 * base.scale)
        level0 = (np.array(layer.data_to_world((0, 0))) - base.translate) / base.scale
        assert np.allclose(level0, (100.5, 40.5))
    # a hidden layer stays hidden, a picture that is gone changes nothing
    layers.find(session.viewer, record.name, "refined").visible = False
    started.say(event)
    started.say(Previewed(record.name, "previews/gone.npz", 1))
    dock.follower.poll()
    assert not layers.find(session.viewer, record.name, "refined").visible


def test_leaving_brings_back_the_stored_nuclei(qtbot, session, dock, started):
    record = session.require_image()
    stored = np.zeros((512, 512), np.int32)
    stored[10:20, 10:20] = 5
    session.project.nuclei.adopt(record.name, "earlier", [])
    session.project.labels.write(record.name, "refined", stored, {})
    (started.dir / "previews").mkdir()
    np.savez(started.dir / "previews" / "1.npz", refined=np.ones((64, 64), np.int32))
    dock.enter()
    started.say(Previewed(record.name, "previews/1.npz", 0, scale=8.0))
    dock.follower.poll()
    appear(qtbot, session, "refined")
    layer = layers.find(session.viewer, record.name, "refined")
    assert layer.data.shape == (64, 64)
    dock.leave()
    qtbot.waitUntil(lambda: layer.data.shape == (512, 512), timeout=60_000)
    assert np.allclose(layer.scale, layers.find(session.viewer, record.name, "image").scale)


def test_a_finished_run_comes_into_the_project_and_onto_the_canvas(
    qtbot, session, dock, started, tnbc
):
    record = session.require_image()
    told = []
    session.on(What.CANDIDATES, lambda change: told.append(change.image))
    write_results(started, record.name, tnbc[1], Box(0, 0, 512, 512))
    started.say(Finished(False, 30.0, {"nuclei": 5}))
    dock.follower.poll()
    appear(qtbot, session, "refined")
    assert told == [record.name]
    found = session.project.nuclei.candidates(record.name)
    assert len(found) == len(np.unique(tnbc[1])) - 1
    layer = layers.find(session.viewer, record.name, "refined")
    assert ((np.asarray(layer.data) > 0) == (tnbc[1] > 0)).all()
    assert dock.summary() == ("finished in 0:30", "done", None)


def test_other_images_are_predicted_with_the_selected_run(
    qtbot, session, dock, started, tnbc, monkeypatch
):
    record = session.require_image()
    session.project.add_array(tnbc[0][:100, :90], "other", 0.25)
    write_results(started, record.name, tnbc[1], Box(0, 0, 512, 512))
    started.say(Finished(False, 30.0, {"nuclei": 5}))
    dock.follower.poll()
    asked = []

    def start(project, run, images, device, scheduler):
        asked.append((run.id, images, device, scheduler))
        raise NoisySegError("enough for this test")

    monkeypatch.setattr(runspec, "start_prediction", start)
    dock.runs.predict.click()
    qtbot.waitUntil(lambda: "enough for this test" in session.said, timeout=60_000)
    assert asked == [(started.id, ["other"], "auto", None)]
    assert dock.button.isEnabled()


def test_results_come_with_their_image_also_as_levels(qtbot, session, dock, monkeypatch):
    project = session.project
    project.add_array(np.full((3000, 2200, 3), 220, np.uint8), "large", 0.25)
    refined = np.zeros((3000, 2200), np.int32)
    refined[100:200, 100:200] = 7
    project.nuclei.adopt("large", "earlier", [])
    project.labels.write("large", "refined", refined, {})
    session.sync()
    session.show_image("large")
    viewer = session.viewer
    qtbot.waitUntil(lambda: layers.find(viewer, "large", "refined") is not None, timeout=60_000)
    assert not layers.find(viewer, "large", "refined").multiscale
    layers.remove(viewer, "large", "refined")
    monkeypatch.setattr("napari_noisyseg.gui.tools.reading.LARGEST", 1000)
    session.toggle("refined", True)
    qtbot.waitUntil(lambda: layers.find(viewer, "large", "refined") is not None, timeout=60_000)
    layer = layers.find(viewer, "large", "refined")
    assert layer.multiscale
    assert np.asarray(layer.data[0][150, 150]) == 7


def test_what_goes_wrong_is_said_in_words(session, dock, started):
    started.say(Failed("not enough memory on cpu", "set a smaller crop"))
    dock.follower.poll()
    assert session.said[-1] == "not enough memory on cpu. set a smaller crop"
    assert dock.view.line.text() == "✗ not enough memory on cpu"
    assert dock.summary().mark == "warn"


def test_a_refusal_leaves_nothing_behind(qtbot, bare, dock):
    project = bare.require_project()
    project.nuclei.remove([n.id for n in project.nuclei.of(bare.image)])
    dock.button.click()
    qtbot.waitUntil(lambda: bool(bare.said), timeout=60_000)
    assert "points" in bare.said[-1]
    assert project.runs.list() == []
    assert dock.button.text() == "Train"
    assert dock.button.isEnabled()


def test_a_wrong_setting_is_named(session, dock):
    field(session)
    dock.options.form.editor("working_mpp").setText("fast")
    dock.button.click()
    assert "Working mpp" in session.said[-1]
    assert session.project.runs.list() == []


def test_runs_of_before_are_listed_and_resumed(qtbot, session, dock, started, monkeypatch):
    started.say(Finished(True, 3.0))
    dock.follower.poll()
    dock.closing()
    again = TrainDock(session)
    qtbot.addWidget(again)
    monkeypatch.setattr(Run, "alive", lambda self: False)
    again.follower.follow(session.project)
    qtbot.waitUntil(
        lambda: [row.state for row in again.runs.table.rows] == ["stopped"], timeout=60_000
    )
    wanted = []

    def start(project, spec):
        wanted.append(spec)
        return started

    monkeypatch.setattr(client, "start", start)
    assert again.runs.resume.isEnabled()
    again.runs.resume.click()
    qtbot.waitUntil(lambda: bool(wanted), timeout=60_000)
    assert wanted[0].resume == started.id
    assert wanted[0].method == "scnet"
    again.closing()


def test_run_spec_counts_the_time_from_now():
    spec = run_spec(Choice("scnet", {"crop": 64}, None, 60.0, "cpu"))
    assert spec.time_budget == 60
    assert spec.deadline == pytest.approx(time() + 60, abs=2)
    assert spec.config == {"crop": 64}
    epochs = run_spec(Choice("scnet", {}, 7, None, "auto"))
    assert (epochs.epochs, epochs.time_budget, epochs.deadline) == (7, None, None)


def test_the_menu_of_methods_is_whole(qtbot) -> None:
    options = TrainOptions()
    qtbot.addWidget(options)
    options.resize(300, 600)
    options.show()
    options.method.showPopup()
    view = options.method.view()
    assert not view.verticalScrollBar().isVisible()
    assert view.viewport().width() >= view.sizeHintForColumn(0)
    options.method.hidePopup()


def test_the_menu_says_what_a_preset_makes_of_a_paper(qtbot):
    options = TrainOptions()
    qtbot.addWidget(options)
    options.recommend("scnet", "Points.")
    options.device.setCurrentIndex(options.device.findData("cpu"))
    assert options.method.currentText() == "SC-Net, shortened for laptops"
    preset = options.form.editor("preset")
    preset.set("paper")
    assert options.method.currentText() == "SC-Net, as in the paper"
    preset.set("recommended")
    assert preset.currentText() == "recommended: with our improvements"
    tip = options.form.editor("cluster_recipe").toolTip()
    assert "In recommended: precision of its nuclei" in tip


@pytest.mark.parametrize(("seconds", "words"), [
    (60.0, "shortened for laptops"), (600.0, "with our improvements"),
    (None, "with our improvements"),
])  # fmt: skip
def test_with_a_graphics_card_the_menu_goes_by_the_length_too(qtbot, seconds, words):
    """What the menu and the form say is what the run takes."""
    options = TrainOptions()
    qtbot.addWidget(options)
    options.recommend("scnet", "Points.")
    options.device.setCurrentIndex(options.device.findData("cuda"))
    options.form.editor("lr").setText("0.125")
    options.length.setCurrentIndex(options.length.findData(seconds))
    assert options.method.currentText() == f"SC-Net, {words}"
    choice = options.choice()
    assert choice.config == {"lr": 0.125}
    taken, _ = settings(registry.load("scnet"), choice.config, "cuda", choice.seconds)
    assert options.form.values() == taken.model_dump(include=set(options.form.values()))


def test_a_method_chosen_by_hand_is_kept(qtbot):
    options = TrainOptions()
    qtbot.addWidget(options)
    options.recommend("scnet", "Points.")
    assert options.why.text() == "Points."
    at = options.method.findData("supervised")
    options.method.setCurrentIndex(at)
    options.method.activated.emit(at)
    options.recommend("scnet", "Points.")
    assert options.choice().method == "supervised"
    assert options.why.text().startswith("Masks as they are. Needs")
    options.length.setCurrentIndex(options.length.count() - 1)
    options.epochs.setText("12")
    assert (options.choice().epochs, options.choice().seconds) == (12, None)
    for wrong in ("0", "many", "1.5", ""):
        options.epochs.setText(wrong)
        with pytest.raises(NoisySegError, match="epochs"):
            options.choice()


def test_needs_in_words():
    assert needs_words(Needs(points=True)).startswith("Needs points in a field")
    assert needs_words(Needs(rough=True, clean=True)) == "Needs rough masks and accepted nuclei."
    assert needs_words(Needs()) == "Needs no annotation."


def test_without_torch_it_says_what_to_install(qtbot, session, monkeypatch):
    monkeypatch.setattr(train_module, "can_train", lambda: False)
    dock = TrainDock(session)
    qtbot.addWidget(dock)
    dock.show()
    assert dock.notice.isVisible()
    assert "pip install" in dock.notice.text()
    assert not dock.button.isEnabled()
    assert dock.summary().mark == "warn"
    dock.closing()


def test_the_docks_never_import_torch():
    code = (
        "import sys; from napari_noisyseg.gui.docks.train import dock; "
        "from napari_noisyseg.gui.docks.review import dock; "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=120)


def test_closing_lets_the_run_go_on(session, dock, started):
    dock.closing()
    assert not started.stop_requested
    started.say(Stepped(0, 1, 4, {"total": 2.0}))
    dock.follower.poll()
    assert dock.follower.living == []
