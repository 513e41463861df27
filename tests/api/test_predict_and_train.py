"""Models by the front door: the starter, a project, a training."""

from __future__ import annotations

import zipfile

import numpy as np
import onnxruntime as ort
import pytest

import napari_noisyseg as ns
from napari_noisyseg import events, samples
from napari_noisyseg.api.trainings import Meter
from napari_noisyseg.training import onnx_file
from napari_noisyseg.training.predict import load_model

TINY = {
    "preset": "small", "width": 16, "color_width": 2, "tile": 64, "tile_overlap": 0, "crop": 48,
    "batch_size": 2, "gamma": 1,
}  # fmt: skip


def test_the_starter_finds_the_nuclei_of_an_array(tnbc) -> None:
    rgb, truth = tnbc
    found = ns.predict(rgb[:256, :256], mpp=0.25)
    assert found.dtype == np.int32
    assert ns.metrics.aji(found, truth[:256, :256]) > 0.45


@pytest.mark.parametrize("mpp", [0, -1, 1e-6, 1e6, float("nan"), float("inf")])
def test_a_size_of_pixels_that_is_none_is_refused(tnbc, mpp: float) -> None:
    for act in (ns.predict, lambda *a, **k: ns.outline(a[0], [(5, 5)], **k)):
        with pytest.raises(ns.NoisySegError, match="no resolution"):
            act(tnbc[0][:32, :32], mpp=mpp)


def test_a_project_that_learned_nothing_is_the_starter(tnbc, tmp_path) -> None:
    with ns.Project.create(tmp_path / "a.noisyseg") as project:
        of_project = ns.predict(tnbc[0][:96, :96], project, mpp=0.25)
    assert np.array_equal(of_project, ns.predict(tnbc[0][:96, :96], mpp=0.25))
    of_folder = ns.predict(tnbc[0][:96, :96], tmp_path / "a.noisyseg", mpp=0.25)
    assert np.array_equal(of_project, of_folder)


def test_no_model_is_told(tnbc, tmp_path) -> None:
    with pytest.raises(ns.NoisySegError, match="there is no model"):
        ns.predict(tnbc[0][:64, :64], tmp_path, mpp=0.25)
    with pytest.raises(ns.NoisySegError, match="stained tissue in colour only"):
        ns.predict(np.zeros((64, 64), np.uint8), mpp=0.25)


@pytest.mark.long
def test_a_training_is_waited_for_and_predicts(tnbc, tmp_path) -> None:
    told = []
    with ns.Project.create(tmp_path / "a.noisyseg") as project:
        project.add_array(tnbc[0][:160, :160], "i", 0.25)
        rows = [r.split(",") for r in samples.FIELD_POINTS.read_text().splitlines()[1:]]
        places = [(float(r[1]), float(r[0])) for r in rows if max(map(float, r[:2])) < 155]
        project.nuclei.add_many("i", places)
        project.nuclei.add_field("i", ns.Box(0, 0, 160, 160))
        with pytest.raises(ns.NoisySegError, match="only one of"):
            ns.train(project, "scnet", epochs=1, time_budget=5)
        training = ns.train(project, epochs=1, settings=TINY, device="cpu")
        assert training.run.spec()["method"] == "scnet"
        figures = training.wait(lambda *what: told.append(what))
        assert figures["nuclei"] >= 0
        assert training.state == "finished"
        assert training.run.adopted
        assert training.wait() == figures
    assert told
    assert all(0 <= share <= 1 for share, _ in told)
    found = ns.predict(tnbc[0][:96, :96], training, mpp=0.25, device="cpu")
    assert found.shape == (96, 96)
    left = ns.export_model(training, tmp_path / "a.zip", "bioimageio", author="Ann")
    assert left.difference is not None
    assert left.difference < 1e-4
    _of_another_size(tmp_path / "a.zip", training)


def _of_another_size(package, training) -> None:
    """The file holds for sizes that it was not written with."""
    with zipfile.ZipFile(package) as file:
        session = ort.InferenceSession(file.read("weights.onnx"))
    x = np.random.default_rng(0).random((2, 4, 96, 160), np.float32)
    expected = onnx_file.in_torch(load_model(training.dir, "cpu"), x)
    assert np.abs(session.run(None, {"x": x})[0] - expected).max() < 1e-4


def test_the_meter_counts_epochs_and_what_is_left() -> None:
    meter = Meter()
    assert meter.take(events.Started("scnet", 2, 4, "cpu")) is None
    share, words = meter.take(events.Stepped(1, 6, 2, {"total": 0.5}, 65.0))
    assert share == 0.75
    assert words == "epoch 2/2 loss 0.500 1:05 left"
