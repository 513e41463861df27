"""Slides predicted into the project: tile by tile, stopped, gone on with, never done twice."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy.ndimage import center_of_mass

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.events import Finished, Started
from napari_noisyseg.slides import Box
from napari_noisyseg.store.project import Project
from napari_noisyseg.whole import TileNuclei
from napari_noisyseg.worker.adoption.adopt import adopt_finished
from napari_noisyseg.worker.adoption.clicked import offer
from napari_noisyseg.worker.child.slide import predict_slides
from napari_noisyseg.worker.parent import client, slides
from napari_noisyseg.worker.parent.slides import start_slides


@pytest.fixture
def project(tmp_path, tnbc):
    """One field at 20x, which the engine cuts into tiles of 256 px."""
    with Project.create(tmp_path / "p.noisyseg") as made:
        made.add_array(tnbc[0][:400, :512], "i", 0.125)
        yield made


@pytest.fixture
def by_hand(monkeypatch):
    """No child: the test does its work itself."""
    monkeypatch.setattr("napari_noisyseg.worker.parent.slides.launch", lambda run: None)
    monkeypatch.setattr("napari_noisyseg.worker.parent.slides.launch_again", lambda run: None)
    monkeypatch.setattr("napari_noisyseg.whole.model.Starter.side", 64)


def _work(run, tiles=99):
    """The child's work for so many tiles; what it says."""
    said = []

    def stopping():
        return len(list((run.dir / "slides").glob("*/tiles/*.npz"))) >= tiles

    for event in predict_slides(run.dir, stopping):
        said.append(event)
        run.say(event)
    (run.dir / "worker.json").unlink(missing_ok=True)
    return said


def _stamps(run):
    return {p: p.stat().st_mtime_ns for p in (run.dir / "slides").glob("*/tiles/*.npz")}


def test_tiles_come_in_as_they_are_done_and_none_twice(project, by_hand):
    run = start_slides(project, {"i": None})
    first = _work(run, tiles=1)
    assert isinstance(first[0], Started)
    assert isinstance(first[-1], Finished)
    assert first[-1].stopped
    assert adopt_finished(project) == [run.id]
    assert adopt_finished(project) == []
    some, before = project.nuclei.candidates("i"), _stamps(run)
    assert len(some) > 0
    again = start_slides(project, {"i": None})
    assert again.id == run.id
    assert not _work(again)[-1].stopped
    assert before.items() <= _stamps(run).items()
    assert adopt_finished(project) == [run.id]
    found = project.nuclei.candidates("i")
    assert len(found) > len(some)
    assert {c.id for c in some} <= {c.id for c in found}
    labels = project.labels.read("i", "refined")
    assert sorted(c.serial for c in found) == np.unique(labels)[1:].tolist()
    for c in found:
        assert (labels == c.serial).sum() == c.outline.area
    adopt_finished(project)
    assert project.runs.get(run.id).adopted


def test_what_a_person_settled_stays_when_a_tile_comes_in_again(project, by_hand):
    run = start_slides(project, {"i": None})
    _work(run)
    adopt_finished(project)
    chosen = project.nuclei.candidates("i")[3]
    project.nuclei.decide([chosen.id], "accepted")
    (run.dir / "slides" / "0" / "adopted.txt").unlink()
    adopt_finished(project)
    found = {c.id: c for c in project.nuclei.candidates("i")}
    assert found[chosen.id].state == "accepted"
    assert len(found) == len({c.serial for c in found.values()})


def test_a_field_alone_is_predicted_and_then_the_rest(project, by_hand):
    run = start_slides(project, {"i": [Box(10, 10, 100, 100)]})
    _work(run)
    adopt_finished(project)
    part = project.nuclei.candidates("i")
    assert all(c.x < 260 and c.y < 260 for c in part)
    before = _stamps(run)
    assert start_slides(project, {"i": None}).id == run.id
    _work(run)
    assert before.items() <= _stamps(run).items()
    adopt_finished(project)
    assert len(project.nuclei.candidates("i")) > len(part)


def test_after_the_size_of_pixels_was_mended_nothing_of_before_counts(project, by_hand):
    run = start_slides(project, {"i": [Box(10, 10, 100, 100)]})
    _work(run)
    project.set_mpp("i", 0.25)
    again = start_slides(project, {"i": [Box(10, 10, 100, 100)]})
    assert again.id != run.id
    _work(again, tiles=1)
    assert start_slides(project, {"i": None}).id == again.id


def test_the_nuclei_of_a_model_come_back_when_it_is_asked_again(project, by_hand):
    run = start_slides(project, {"i": [Box(10, 10, 100, 100)]})
    _work(run)
    adopt_finished(project)
    before = {c.id for c in project.nuclei.candidates("i")}
    project.nuclei.adopt("i", "another", [])
    assert start_slides(project, {"i": [Box(10, 10, 100, 100)]}).id == run.id
    _work(run)
    adopt_finished(project)
    assert project.nuclei.adopted_run("i") == run.id
    assert {c.id for c in project.nuclei.candidates("i")} == before


def test_why_tiles_were_not_taken_in_is_forgotten_once_they_are(project, by_hand):
    run = start_slides(project, {"i": [Box(10, 10, 100, 100)]})
    _work(run)
    plan = run.dir / "slides" / "0" / "plan.json"
    text = plan.read_text()
    plan.write_text("{}")
    adopt_finished(project)
    assert run.skipped
    plan.write_text(text)
    assert adopt_finished(project) == [run.id]
    assert not run.skipped


def test_a_damaged_run_holds_up_no_other(project, by_hand):
    damaged = start_slides(project, {"i": None})
    (damaged.dir / "slides").mkdir()
    (damaged.dir / "spec.json").write_text("{")
    assert start_slides(project, {"i": None}).id != damaged.id


def test_what_cannot_be_predicted_is_said_first(project, tnbc, tmp_path):
    project.add_array(tnbc[0][:100, :100], "unsized", None)
    with pytest.raises(NoisySegError, match="how large the pixels"):
        start_slides(project, {"unsized": None})
    with pytest.raises(NoisySegError, match="no field"):
        start_slides(project, {"i": []})
    assert project.runs.list() == []


def test_the_child_does_it(project):
    run = start_slides(project, {"i": None})
    deadline = time.monotonic() + 120
    while client.is_alive(run) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert run.state() == "finished", (run.dir / "log.txt").read_text()
    assert adopt_finished(project) == [run.id]
    assert run.figures()["nuclei"] == len(project.nuclei.candidates("i"))
    assert slides.PREDICTS in run.spec()


def test_a_nucleus_that_was_clicked_and_not_found_stays(project, by_hand, tnbc):
    run = start_slides(project, {"i": None})
    _work(run)
    rgb = project.pixels("i").levels[0][:]
    with_nothing = np.argwhere(_far_from_finds(run, rgb.shape[:2]))
    lone = with_nothing[len(with_nothing) // 2].tolist()
    inside = center_of_mass(tnbc[1][:400, :512] == tnbc[1][200, :512].max())
    project.nuclei.add_field("i", Box(0, 0, *rgb.shape[:2]))
    points = [project.nuclei.add("i", *place) for place in (lone, inside)]
    assert offer(project) == ["i"]
    adopt_finished(project)
    found = {c.serial: c for c in project.nuclei.candidates("i")}
    assert len(found) > 20
    assert found[points[0].serial].run == run.id
    labels = project.labels.read("i", "refined")
    for serial, nucleus in found.items():
        assert (labels == serial).sum() == nucleus.outline.area
    assert {points[0].id} <= {c.id for c in found.values()}
    (run.dir / "slides" / "0" / "adopted.txt").unlink()
    adopt_finished(project)
    assert {c.serial for c in project.nuclei.candidates("i")} == set(found)
    project.nuclei.decide([points[0].id], "rejected")
    (run.dir / "slides" / "0" / "adopted.txt").unlink()
    adopt_finished(project)
    assert len(project.nuclei.candidates("i")) == len(found)


def _far_from_finds(run, shape):
    """Where neither a find nor its surroundings are, 40 px from the edge."""
    free = np.zeros(shape, bool)
    free[40:-40, 40:-40] = True
    for tile in (run.dir / "slides" / "0" / "tiles").glob("*.npz"):
        made = TileNuclei.read(tile)
        for k in range(len(made)):
            free[made.box(k).grow(12).clip(shape).slices] = False
    return free
