"""Nuclei of a whole image in the window: tiles come as they are done."""

from __future__ import annotations

import time

import pytest

from napari_noisyseg.benchmarks.machines import machines
from napari_noisyseg.gui.docks.train.dock import TrainDock
from napari_noisyseg.slides import Box
from napari_noisyseg.worker.parent import client, process

pytestmark = pytest.mark.gui


@pytest.fixture
def dock(qtbot, bare):
    bare.look(step="train")
    made = TrainDock(bare)
    qtbot.addWidget(made)
    made.show()
    yield made
    made.closing()
    for run in bare.require_project().runs.list():
        client.stop(run)
        limit = time.monotonic() + 60
        while not _gone(run) and time.monotonic() < limit:
            time.sleep(0.05)


def _gone(run):
    process.reap(run)
    return not run.alive()


def test_nuclei_of_an_image_nobody_clicked_in_appear(dock, bare, qtbot):
    record = bare.require_image()
    project = bare.require_project()
    project.set_mpp(record.name, 0.25)
    assert dock.finding.isEnabled()
    dock.finding.everywhere()
    qtbot.waitUntil(lambda: bool(dock.follower.living), timeout=60_000)
    run = project.runs.get(dock.follower.living[0])
    assert not dock.finding.isEnabled()
    qtbot.waitUntil(lambda: dock.controller.button.text == "Stop predicting", timeout=60_000)
    qtbot.waitUntil(lambda: bool(project.nuclei.candidates(record.name)), timeout=120_000)
    qtbot.waitUntil(lambda: not dock.follower.living, timeout=60_000)
    assert run.state() == "finished"
    qtbot.waitUntil(lambda: "refined" in bare.project.labels.kinds(record.name), timeout=20_000)


def test_without_a_field_there_is_nothing_to_seek_in_fields(dock, bare, qtbot, monkeypatch):
    told: list[str] = []
    monkeypatch.setattr(bare, "failed", lambda error: told.append(str(error)))
    project = bare.require_project()
    project.set_mpp(bare.require_image().name, 0.25)
    dock.finding.fields()
    qtbot.waitUntil(lambda: bool(told), timeout=20_000)
    assert "no field" in told[0]
    seen: list[object] = []
    monkeypatch.setattr(dock.finding, "_find", seen.append)
    project.nuclei.add_field(bare.require_image().name, Box(0, 0, 50, 60))
    dock.finding.fields()
    assert seen == [[Box(0, 0, 50, 60)]]


def test_stopped_at_once_and_gone_on_with(dock, bare, qtbot):
    record = bare.require_image()
    project = bare.require_project()
    project.set_mpp(record.name, 0.25)
    dock.finding.everywhere()
    qtbot.waitUntil(lambda: bool(dock.follower.living), timeout=60_000)
    run = project.runs.get(dock.follower.living[0])
    dock.controller.stop()
    qtbot.waitUntil(lambda: not dock.follower.living, timeout=60_000)
    assert run.state() == "stopped"
    dock.finding.everywhere()
    qtbot.waitUntil(lambda: bool(dock.follower.living), timeout=60_000)
    assert dock.follower.living == [run.id]
    qtbot.waitUntil(lambda: not dock.follower.living, timeout=60_000)
    assert run.state() == "finished"
    qtbot.waitUntil(lambda: bool(project.nuclei.candidates(record.name)), timeout=20_000)


@pytest.mark.slow
def test_tiles_come_from_other_machines(dock, bare, qtbot):
    """By the tick that sends trainings there; where nobody is, it is said first."""
    record = bare.require_image()
    project = bare.require_project()
    project.set_mpp(record.name, 0.25)
    view = dock.elsewhere
    view.use.click()
    view.address.setText("tcp://127.0.0.1:9")
    dock.finding.everywhere()
    qtbot.waitUntil(lambda: any("does not answer" in words for words in bare.said), timeout=60_000)
    assert project.runs.list() == []
    with machines(1) as made:
        view.address.setText(made.scheduler.address)
        view.test.click()
        qtbot.waitUntil(lambda: "It works" in view.said.text(), timeout=60_000)
        dock.finding.everywhere()
        qtbot.waitUntil(lambda: bool(dock.follower.living), timeout=60_000)
        run = project.runs.get(dock.follower.living[0])
        assert run.spec()["scheduler"] == made.scheduler.address
        qtbot.waitUntil(lambda: not dock.follower.living, timeout=120_000)
    assert run.state() == "finished"
    qtbot.waitUntil(lambda: bool(project.nuclei.candidates(record.name)), timeout=20_000)
    assert made.scheduler.address in dock.controller.progress.note
