from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import QEvent, QObject

from napari_noisyseg.events import Checkpointed, Failed, Finished, Started, Stepped, Validated
from napari_noisyseg.gui.controllers.follow import Follower
from napari_noisyseg.gui.controllers.progress import RunProgress
from napari_noisyseg.gui.controllers.runs import read_ended, result_of, run_row, when_of
from napari_noisyseg.gui.docks.train.plot import LossPlot, running_mean
from napari_noisyseg.gui.docks.train.runs_table import RunsTable
from napari_noisyseg.gui.docks.train.runview import RunView
from napari_noisyseg.gui.widgets.theme import palette
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.runs import Run
from napari_noisyseg.worker.parent import processor

pytestmark = pytest.mark.gui


@pytest.fixture
def project(tmp_path: Path):
    with Project.create(tmp_path / "runs.noisyseg") as made:
        yield made


def begin(project: Project, pid: int = os.getpid()) -> Run:
    """A run that this (or another) process works on."""
    run = project.runs.new()
    run.write_spec({"method": "scnet"})
    run.claim(pid)
    run.say(Started("scnet", 4, 2, "cpu", "small preset"))
    return run


@pytest.fixture
def heard(monkeypatch):
    """A follower, and everything it said in order."""
    monkeypatch.setattr(processor, "starved", lambda before, after: False)
    follower, said = Follower(), []
    follower.told.connect(lambda run, events: said.append((run, events)))
    follower.ended.connect(lambda run, progress: said.append((run, progress)))
    follower.listed.connect(lambda: said.append("listed"))
    yield follower, said
    follower.stop()


def test_a_run_alive_from_before_is_attached_to_with_all_it_said(project, heard):
    run = begin(project)
    run.say(Stepped(0, 1, 4, {"total": 2.0}, 9.0))
    follower, said = heard
    follower.follow(project)
    assert follower.living == [run.id]
    follower.poll()
    assert said == ["listed", (run.id, run.events())]
    assert follower.progress(run.id).words() == "epoch 1/4 · 0:09 left"
    follower.poll()
    assert len(said) == 2


def test_new_events_and_the_end_come_once_and_in_order(project, heard):
    follower, said = heard
    follower.follow(project)
    run = begin(project)
    follower.look()
    run.say(Stepped(3, 8, 4, {"total": 1.0}))
    follower.poll()
    run.say(Finished(False, 3.0, {"nuclei": 7}))
    follower.poll()
    kinds = [type(e).__name__ for m in said if isinstance(m, tuple) and isinstance(m[1], list)
             for e in m[1]]  # fmt: skip
    assert kinds == ["Started", "Stepped", "Finished"]
    ends = [m for m in said if isinstance(m, tuple) and isinstance(m[1], RunProgress)]
    assert [run_id for run_id, _ in ends] == [run.id]
    assert follower.living == []
    # the process is there for a moment still: that must not bring the run back
    before = len(said)
    follower.look()
    follower.poll()
    assert follower.living == []
    assert len(said) == before


def test_a_killed_process_is_told_as_words_and_what_to_do(project, heard):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    follower, said = heard
    run = begin(project, child.pid)
    follower.follow(project)
    follower.poll()
    child.kill()
    child.wait()
    follower.look()
    (end,) = [m[1].end for m in said if isinstance(m, tuple) and isinstance(m[1], RunProgress)]
    assert isinstance(end, Failed)
    assert "gone" in end.message
    assert "Resume" in end.hint
    assert "batch_size" in end.hint
    assert run_row(run, follower.progress(run.id) or read_ended(run)).state == "lost"


def test_a_run_that_is_only_being_prepared_is_waited_for(project, heard):
    follower, _ = heard
    run = project.runs.new()
    follower.follow(project)
    assert not follower.knows(run.id)
    run.claim(os.getpid())
    follower.look()
    assert follower.living == [run.id]


def test_the_dead_are_never_read(project, heard, monkeypatch):
    runs = [begin(project) for _ in range(3)]
    for run in runs:
        (run.dir / "worker.json").write_text('{"pid": 1, "started": 0, "host": "elsewhere"}')
        os.utime(run.dir / "heartbeat", (0, 0))
    monkeypatch.setattr(Run, "events", lambda self: pytest.fail("read on the GUI thread"))
    follower, said = heard
    follower.follow(project)
    follower.poll()
    assert follower.living == []
    assert all(follower.knows(run.id) for run in runs)
    assert said == ["listed"]


def test_another_project_silences_the_first(project, heard, tmp_path):
    run = begin(project)
    follower, said = heard
    follower.follow(project)
    follower.stop()
    said.clear()
    run.say(Stepped(0, 1, 4, {"total": 2.0}))
    follower.poll()
    follower.look()
    assert said == []


def test_a_row_says_how_a_run_ended(project):
    run = begin(project)
    run.say(Validated(0, {"total": 0.25}, True))
    run.say(Checkpointed(1, 2, "checkpoints/2"))
    assert result_of(read_ended(run)) == "loss 0.25"
    assert run_row(run, read_ended(run)).state == "lost"
    run.say(Finished(True, 3.0))
    assert run_row(run, read_ended(run)).state == "stopped"
    run.say(Finished(False, 3.0))
    assert run_row(run, read_ended(run)).state == "few"
    run.say(Stepped(3, 40, 4, {"total": 1.0}))
    run.say(Finished(False, 3.0, {"nuclei": 152.0}))
    row = run_row(run, read_ended(run))
    assert (row.method, row.state, row.result) == ("scnet", "finished", "152 nuclei")
    (run.dir / "spec.json").unlink()
    assert run_row(run, read_ended(run)).method == "?"


def test_the_time_of_an_id_is_local_and_foreign_ids_are_shown_as_they_are():
    assert when_of("anything") == "anything"
    assert when_of("20200102T030405Z-ab12").split()[1] == "Jan"


def test_the_selected_run_stays_selected_when_another_comes(project, qtbot):
    table = RunsTable()
    qtbot.addWidget(table)
    rows = [run_row(run, read_ended(run)) for run in (begin(project), begin(project))]
    table.show_rows(rows[:1])
    table.selectRow(0)
    table.show_rows(rows[::-1])
    assert table.selected() == rows[0]


def running(steps: int = 40) -> RunProgress:
    progress = RunProgress()
    progress.take(Started("scnet", 10, 8, "cpu", "small preset"))
    for step in range(steps):
        progress.take(Stepped(step // 8, step, 10, {"total": 1 / (step + 1), "vor": 3.0}))
    progress.take(Validated(0, {"total": 0.5}, True))
    return progress


def test_the_plot_draws_the_total_its_mean_and_held_out_dots(qtbot):
    plot = LossPlot(palette())
    qtbot.addWidget(plot)
    plot.show_progress(running())
    x, y = plot._raw.getData()
    assert len(x) == 40
    assert y[0] == 1
    assert x[-1] == pytest.approx(5)
    assert plot._held_out.getData()[1].tolist() == [0.5]
    low, high = plot.getPlotItem().getViewBox().viewRange()[0]
    assert low <= 0
    assert high >= 8
    plot.show_progress(None)
    assert plot._raw.getData()[0] is None or len(plot._raw.getData()[0]) == 0


def test_the_running_mean_starts_at_the_first_value_and_follows():
    assert running_mean([3.0])[0] == pytest.approx(3)
    assert running_mean([5.0] * 20) == pytest.approx([5.0] * 20)
    noisy = np.random.default_rng(0).normal(1, 0.3, 300)
    assert np.std(running_mean(list(noisy))[50:]) < 0.15


def test_a_run_s_words_stand_under_its_plot(qtbot):
    view = RunView(palette())
    qtbot.addWidget(view)
    view.show_progress(running())
    assert view.line.text() == "epoch 5/10"
    assert view.note.text() == "small preset"
    assert view.bar.fraction == pytest.approx(0.5)
    failed = running()
    failed.take(Failed("out of memory", "set a smaller crop"))
    view.show_progress(failed)
    assert view.line.text() == "✗ out of memory"
    assert view.note.text() == "set a smaller crop"


def test_words_that_change_lay_nothing_out_anew(qtbot) -> None:
    """Each layout draws the whole window a second time, while a run trains."""
    view = RunView(palette())
    qtbot.addWidget(view)
    view.resize(340, 300)
    view.show()
    seen = LayoutRequests()
    progress = RunProgress()
    progress.take_all([Started("SC-Net", 10, 4, "cpu", ""), Stepped(4, 0, 10, {"total": 1.0})])
    view.show_progress(progress)
    qtbot.wait(20)
    view.installEventFilter(seen)
    progress.take(Stepped(5, 0, 10, {"total": 0.5}, 21.0))
    view.show_progress(progress)
    qtbot.wait(20)
    assert view.line.text() == "epoch 6/10 · 0:21 left"
    assert seen.count == 0
    height = view.line.height()
    progress.take(Failed("a long word of what went wrong " * 8, "mend it"))
    view.show_progress(progress)
    qtbot.wait(20)
    assert view.line.height() > 2 * height


class LayoutRequests(QObject):
    """Counts how often a widget is laid out anew."""

    count = 0

    def eventFilter(self, watched, event) -> bool:
        self.count += event.type() == QEvent.Type.LayoutRequest
        return False


def test_a_run_that_does_not_train_is_told_before_its_first_word(project, heard):
    trains, predicts, tiles = (project.runs.new() for _ in range(3))
    for run, more in ((trains, {}), (predicts, {"predicts": True}), (tiles, {})):
        run.write_spec({"method": "scnet", **more})
        run.claim(os.getpid())
    (tiles.dir / "slides").mkdir()
    follower, _ = heard
    follower.follow(project)
    units = [follower.progress(run.id).unit for run in (trains, predicts, tiles)]
    assert units == ["epoch", "image", "tile"]
