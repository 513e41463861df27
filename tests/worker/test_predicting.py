from __future__ import annotations

import time

import numpy as np
import pytest

from napari_noisyseg import registry
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.events import Doing, Finished, Started, Stepped
from napari_noisyseg.store.project import Project
from napari_noisyseg.training.model import NAME, ModelFile, write_model
from napari_noisyseg.worker.adoption.adopt import adopt_finished
from napari_noisyseg.worker.parent import client
from napari_noisyseg.worker.parent.predicting import start_prediction


@pytest.fixture
def project(tmp_path, tnbc):
    with Project.create(tmp_path / "two images.noisyseg") as made:
        made.add_array(tnbc[0][:128, :160], "first", 0.5)
        made.add_array(tnbc[0][128:256, :160], "second", 0.5)
        yield made


@pytest.fixture
def model(project):
    """A run with an untrained, small model."""
    kind = registry.load("supervised")
    config = kind.Config.from_preset("small", working_mpp=0.5)
    run = project.runs.new()
    run.write_spec({"method": "supervised"})
    file = ModelFile("supervised", config.model_dump(), 0.5)
    write_model(run.dir / NAME, file, kind(config, "cpu", 0).weights())
    return run


@pytest.mark.long
def test_other_images_are_predicted_by_a_run_of_their_own(project, model):
    run = start_prediction(project, model, ["second"], device="cpu")
    deadline = time.monotonic() + 120
    while client.is_alive(run) and time.monotonic() < deadline:
        time.sleep(0.1)
    loading, first, step, last = run.events()
    assert loading == Doing("loading PyTorch")
    assert first == Started("supervised", 1, 0, "cpu")
    assert isinstance(step, Stepped)
    assert isinstance(last, Finished)
    assert run.state() == "finished"
    assert adopt_finished(project) == [run.id]
    found = project.nuclei.candidates("second")
    assert len(found) == last.figures["nuclei"]
    probability = project.labels.read("second", "probability")
    assert probability.shape == (128, 160)
    assert np.isfinite(probability).all()
    assert project.nuclei.candidates("first") == []


@pytest.mark.parametrize(
    ("images", "words"), [([], "no other image"), (["third"], "third"), (["first"], "no model")]
)
def test_what_cannot_be_predicted_is_said_and_leaves_nothing(project, model, images, words):
    if images == ["first"]:
        (model.dir / NAME).unlink()
    with pytest.raises(NoisySegError, match=words):
        start_prediction(project, model, images)
    assert [run.id for run in project.runs.list()] == [model.id]


def test_a_large_image_goes_tile_by_tile(project, model, monkeypatch):
    monkeypatch.setattr("napari_noisyseg.worker.parent.predicting.LARGEST", 100)
    monkeypatch.setattr("napari_noisyseg.worker.parent.slides.launch", lambda run: None)
    spec = start_prediction(project, model, ["first"]).spec()
    assert spec["slides"] == [{"image": "first", "regions": None}]
    assert spec["init"] == model.id
