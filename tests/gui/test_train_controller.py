"""The Train step without a window: what is decided and said, from the press to the results."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_noisyseg.errors import NoisySegError, in_window
from napari_noisyseg.events import Doing, Failed, Finished, Previewed, Relabelled, Started, Stepped
from napari_noisyseg.gui.controllers import runspec, train
from napari_noisyseg.gui.controllers.runspec import Choice
from napari_noisyseg.gui.controllers.train import TrainController
from napari_noisyseg.slides import Box
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.runs import Run
from napari_noisyseg.worker.parent import client, process, processor

SCNET = Choice("scnet", {}, None, 60.0, "cpu")
IGTT = Choice("igtt", {}, None, 60.0, "cpu")


class Person:
    """Stands in for the session: one project, one image, and everything that was said."""

    def __init__(self, project: Project | None) -> None:
        self.project, self.image = project, "a" if project else None
        self.said: list[str] = []
        self.refused: list[str] = []

    def require_project(self) -> Project:
        assert self.project is not None
        return self.project

    def require_image(self) -> Any:
        if self.project is None:
            raise NoisySegError("no image is open")
        return self.project.image("a")

    def notice(self, text: str) -> None:
        self.refused.append(text)

    def say(self, text: str) -> None:
        self.said.append(text)

    def failed(self, error: BaseException) -> None:
        self.refused.append(in_window(error))


class Later:
    """Work that is done when the test says so."""

    def __init__(self) -> None:
        self.waiting: list[Any] = []

    def __call__(self, work: Any, done: Any, failed: Any) -> None:
        self.waiting.append((work, done, failed))

    def run(self) -> None:
        while self.waiting:
            work, done, failed = self.waiting.pop(0)
            try:
                found = work()
            except Exception as error:
                failed(error)
            else:
                done(found)


@pytest.fixture
def project(tmp_path: Path):
    with Project.create(tmp_path / "p.noisyseg") as made:
        made.add_array(np.random.default_rng(0).integers(0, 255, (96, 96, 3), np.uint8), "a", 0.25)
        yield made


@pytest.fixture
def person(project: Project) -> Person:
    return Person(project)


@pytest.fixture
def later() -> Later:
    return Later()


@pytest.fixture
def chosen() -> list[Choice]:
    """What is chosen for the next run: the last one counts."""
    return [SCNET]


@pytest.fixture
def adopted() -> list[str]:
    return []


@pytest.fixture
def controller(person, later, chosen, adopted, monkeypatch):
    def launch(run: Run, threads: int | None = None) -> None:
        run.claim(os.getpid())

    monkeypatch.setattr(process, "launch", launch)
    monkeypatch.setattr(processor, "starved", lambda before, after: False)
    made = TrainController(person, later, lambda: chosen[-1], lambda: adopted.append("now"))
    made.take_project()
    later.run()
    return made


def mark(project: Project) -> None:
    """Nuclei in a complete field."""
    project.nuclei.add_many("a", np.array([[20.0, 20.0], [40.0, 60.0], [70.0, 30.0]]))
    project.nuclei.add_field("a", Box(0, 0, 96, 96))


@pytest.fixture
def started(controller, project, later) -> Run:
    mark(project)
    controller.press()
    later.run()
    return project.runs.get(controller.shown)


def test_the_copying_is_said_until_the_child_lives(controller, project, later):
    mark(project)
    heard: list[str] = []
    controller.changed.connect(lambda: heard.append(controller.summary().text))
    controller.press()
    assert controller.button == ("Starting …", False)
    assert controller.summary() == ("preparing: copying the annotated fields …", "busy", 0.0)
    assert not controller.can_resume
    later.run()
    assert heard[-1] == "starting …"
    assert controller.button == ("Stop training", True)
    assert [row.state for row in controller.rows] == ["running"]


def test_what_the_child_does_is_shown_at_once_and_its_steps_when_there_is_time(controller, started):
    shown: list[str] = []
    controller.changed.connect(lambda: shown.append(controller.progress.words()))
    controller.progressed.connect(lambda: shown.append("in time"))
    for event in (Doing("loading PyTorch"), Started("SC-Net", 4, 30, "cpu"),
                  Stepped(0, 1, 4, {"total": 2.0}, 21.0)):  # fmt: skip
        started.say(event)
        controller.poll()
    assert shown == ["loading PyTorch …", "in time", "in time"]
    assert controller.progress.words() == "epoch 1/4 · 0:21 left"


def test_waiting_for_the_processor_is_seen_from_outside(controller, started, monkeypatch):
    monkeypatch.setattr(processor.Processor, "look", lambda self: True)
    controller.follower.look()
    assert controller.summary().text == "waiting for the processor"
    progress = controller.progress
    assert progress is not None
    assert progress.words() == "waiting for the processor: other programs use it"
    monkeypatch.setattr(processor.Processor, "look", lambda self: False)
    controller.follower.look()
    assert controller.summary().text == "starting …"


def test_a_stop_stays_said_until_the_end_and_after_reopening(
    controller, started, person, later, chosen, adopted
):
    started.say(Started("SC-Net", 4, 30, "cpu"))
    controller.poll()
    controller.press()
    assert started.stop_requested
    assert controller.button == ("Stopping …", False)
    started.say(Stepped(0, 1, 4, {"total": 2.0}, 21.0))
    controller.poll()
    assert controller.summary().text == "stopping after this step …"
    controller.close()
    again = TrainController(person, later, lambda: chosen[-1], lambda: None)
    again.take_project()
    again.poll()
    assert again.shown == started.id
    assert again.summary().text == "stopping after this step …"
    started.say(Finished(True, 3.0))
    again.poll()
    assert again.summary() == ("stopped at epoch 1/4", "stale", None)
    assert again.button == ("Train", True)
    assert again.can_resume
    assert again.can_predict


def test_one_step_is_no_success(controller, started, person, adopted):
    started.say(Started("SC-Net", 1, 30, "cpu"))
    started.say(Stepped(0, 1, 1, {"total": 2.0}))
    started.say(Finished(False, 60.0, {"nuclei": 3.0}))
    before = len(adopted)
    controller.poll()
    assert person.said == []
    assert person.refused[-1].startswith("finished, but only 1 step was made")
    # the row is narrow: the reasons stand in the step itself
    assert controller.summary() == ("too short: 1 step", "warn", None)
    assert [row.state for row in controller.rows] == ["few"]
    assert controller.can_resume
    assert len(adopted) == before + 1


def test_a_full_run_is_news(controller, started, person):
    started.say(Started("SC-Net", 1, 30, "cpu"))
    started.say(Stepped(0, 30, 1, {"total": 2.0}))
    started.say(Finished(False, 60.0, {"nuclei": 3.0}))
    controller.poll()
    assert person.said == ["finished: the nuclei are ready for review"]
    assert controller.summary() == ("finished in 1:00", "done", None)
    assert not controller.can_resume


def test_a_failure_is_said_with_its_remedy(controller, started, person):
    started.say(Failed("out of memory", "preset=small", remedy="choose the small preset"))
    controller.poll()
    assert person.refused == ["out of memory. choose the small preset"]
    assert [row.state for row in controller.rows] == ["failed"]


def test_a_run_that_the_review_began_is_shown_once_it_begins(controller, started, project):
    started.say(Finished(False, 60.0, {"nuclei": 3.0}))
    controller.poll()
    other = runspec.begin(project, runspec.run_spec(SCNET, None), False)
    controller.follower.look()
    controller.poll()
    assert controller.shown == started.id  # still on its way
    other.say(Started("SC-Net", 4, 30, "cpu"))
    controller.poll()
    assert controller.shown == other.id
    controller.show(started.id)  # a person looks at the old one
    other.say(Stepped(0, 1, 4, {"total": 2.0}, 21.0))
    controller.poll()
    assert controller.shown == started.id


def test_pictures_and_rounds_are_passed_on(controller, started):
    seen: list[Any] = []
    controller.pictured.connect(lambda run, events: seen.append((run, events)))
    controller.relabelled.connect(lambda: seen.append(controller.rounds_folder))
    pictures = [Previewed("a", "previews/1.npz", 0), Previewed("a", "previews/2.npz", 1)]
    for event in (*pictures, Relabelled(1, "corrected", 0.1)):
        started.say(event)
    controller.poll()
    assert seen == [(started.id, pictures[1:]), started.dir]


def test_it_asks_where_all_nuclei_are_marked(controller, project, later):
    project.nuclei.add("a", 20, 20)
    controller.press()
    assert controller.asking
    controller.put_off()
    assert not controller.asking
    project.nuclei.add_field("a", Box(0, 0, 96, 96))
    assert not controller.fields_due()
    controller.train()
    later.run()
    assert controller.follower.living


def test_an_empty_field_never_starts_a_method_that_nobody_chose(
    controller, project, later, person, chosen
):
    project.nuclei.add_field("a", Box(0, 0, 64, 64))
    controller.recommend()
    later.run()
    assert controller.advice.method == "scnet"
    assert controller.advice.why.startswith("No nucleus is marked in field 1 of a")
    for choice in (IGTT, SCNET):
        chosen.append(choice)
        controller.press()
        later.run()
        assert person.refused[-1] == (
            "No nucleus is marked in field 1 of a. Click its nuclei (step 1), or choose a method "
            "that needs no annotation."
        )
        assert project.runs.list() == []
        assert controller.button == ("Train", True)
    chosen.append(Choice("igtt", {}, None, 60.0, "cpu", by_hand=True))
    controller.press()
    later.run()
    assert len(project.runs.list()) == 1


def test_without_a_field_the_recommended_method_starts(controller, project, later, chosen):
    assert controller.advice.method == "igtt"
    chosen.append(IGTT)
    controller.press()
    later.run()
    assert len(controller.follower.living) == 1


def test_a_wrong_setting_starts_nothing(person, later, project):
    def choose() -> Choice:
        raise NoisySegError("epochs: '0' is not a whole number")

    made = TrainController(person, later, choose, lambda: None)
    made.press()
    assert person.refused == ["epochs: '0' is not a whole number"]
    assert project.runs.list() == []


def test_without_a_project_it_says_how_to_begin(later):
    made = TrainController(Person(None), later, lambda: SCNET, lambda: None)
    assert not made.take_project()
    assert made.advice.why == "Mark nuclei first, or paint rough masks."
    assert made.summary() == ("not trained yet", "todo", None)
    made.stop()
    made.predict()
    made.poll()
    assert made.rows == []
    made.press()
    assert made._session.refused == ["no image is open"]


def test_a_run_is_resumed_and_its_model_predicts(
    controller, started, later, chosen, person, monkeypatch
):
    started.say(Finished(True, 3.0))
    controller.poll()
    wanted: list[Any] = []
    monkeypatch.setattr(client, "start", lambda project, spec: wanted.append(spec) or started)
    controller.resume()
    assert controller.summary().text == "preparing: copying the run to continue …"
    later.run()
    assert (wanted[0].resume, wanted[0].method) == (started.id, "scnet")
    monkeypatch.setattr(runspec, "read_results", lambda folder: [])
    monkeypatch.setattr(runspec, "start_prediction", lambda *given: wanted.append(given) or started)
    controller.predict()
    later.run()
    assert wanted[1][1].id == started.id
    assert wanted[1][2:] == (["a"], "cpu", None)


def test_nuclei_are_sought_where_trainings_go(
    controller, project, later, chosen, person, monkeypatch
):
    """The whole image, again with what is missing, and other images with the same run."""
    asked: list[tuple[Any, ...]] = []

    def start(project, regions, run=None, device="auto", scheduler=None):
        asked.append((regions, run, device, scheduler))
        raise NoisySegError("tls://lab:1 does not answer", window="Is that machine on?")

    monkeypatch.setattr(train, "start_slides", start)
    chosen.append(replace(SCNET, device="auto", scheduler="tls://lab:1"))
    controller.find_nuclei([Box(0, 0, 9, 9)])
    assert (
        controller.progress.doing == "preparing: asking whether the other machines find the image"
    )
    later.run()
    assert asked == [({"a": [Box(0, 0, 9, 9)]}, None, "cpu", "tls://lab:1")]
    assert person.refused == ["Is that machine on?"]
    assert controller.can_find
    chosen.append(SCNET)
    controller.find_nuclei(None)
    later.run()
    assert asked[-1] == ({"a": None}, None, "cpu", None)


def test_a_refused_run_is_told_and_leaves_the_button(controller, project, later, person, chosen):
    mark(project)
    chosen.append(Choice("mmc", {}, None, 60.0, "cpu"))
    controller.press()
    later.run()
    assert "learns from rough masks" in person.refused[-1]
    assert "--" not in person.refused[-1]
    assert controller.button == ("Train", True)


def test_another_project_takes_the_place_of_the_first(controller, started, person, tmp_path):
    with Project.create(tmp_path / "other.noisyseg") as other:
        person.project = other
        assert controller.take_project()
        assert controller.shown is None
        assert controller.rows == []
        assert controller.follower.living == []
        assert controller.progress is None


def test_without_torch_nothing_can_be_trained(controller, monkeypatch):
    monkeypatch.setattr(train, "can_train", lambda: False)
    assert controller.button == ("Train", False)
    assert controller.summary() == ("PyTorch is not installed", "warn", None)


def test_the_one_in_front_is_shown_in_pictures(controller, started):
    controller.turn_to_image()
    assert (started.dir / client.LOOK).read_text("utf-8") == "a"


def test_neither_qt_nor_napari_is_needed():
    code = (
        "import sys; from napari_noisyseg.gui.controllers import follow, train; "
        "wrong = {'qtpy', 'PySide6', 'PyQt6', 'napari', 'vispy', 'torch'} & set(sys.modules); "
        "assert not wrong, wrong"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=120)
