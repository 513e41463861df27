from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import center_of_mass
from tiny_runs import SIDE, TINY

from napari_noisyseg import instances, registry
from napari_noisyseg.data.regions import Region, open_regions, region_of, save_regions
from napari_noisyseg.data.resample import resize
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.store.spec import RunSpec, read_spec, write_spec
from napari_noisyseg.training.beginning import begin
from napari_noisyseg.training.model import ModelFile
from napari_noisyseg.training.predict import Model, load_model
from napari_noisyseg.training.preview import Preview
from napari_noisyseg.worker.__main__ import _failure, main
from napari_noisyseg.worker.adoption.found import read_results
from napari_noisyseg.worker.child.results import refine, write_results

Tissue = tuple[NDArray[np.uint8], NDArray[np.int32]]


@pytest.fixture
def model() -> Model:
    kind: Any = registry.load("scnet")
    changes = {k: v for k, v in TINY.items() if k != "preset"}
    config = kind.Config.from_preset("small", **changes)
    file = ModelFile("scnet", config.model_dump(), config.working_mpp)
    return Model(kind(config, "cpu", 0), config, file, "cpu")


@pytest.fixture
def region(tnbc: Tissue, points: NDArray[np.float64]) -> Region:
    return region_of(tnbc[0][:SIDE, :SIDE], 0.25, "tissue", points=points)


def test_results_are_read_back_as_they_were_written(
    tmp_path: Path, model: Model, region: Region
) -> None:
    save_regions(tmp_path / "snapshot", [region])
    stored = open_regions(tmp_path / "snapshot")
    ((file, refined),) = write_results(tmp_path, model, stored, False)
    assert file == "results/0.npz"
    (result,) = read_results(tmp_path)
    assert np.array_equal(result.labels, refined.labels)
    assert set(np.unique(result.labels)) == {0, *region.serials}
    assert set(result.rows.serial.tolist()) == set(region.serials.tolist())
    assert result.maps["probability"].dtype == np.float16
    assert load_model(tmp_path, "cpu").file.method == "scnet"


def test_results_without_their_index_are_not_whole(
    tmp_path: Path, model: Model, region: Region
) -> None:
    save_regions(tmp_path / "snapshot", [region])
    stream = write_results(tmp_path, model, open_regions(tmp_path / "snapshot"), False)
    next(stream)
    stream.close()
    assert (tmp_path / "results" / "0.npz").is_file()
    with pytest.raises(NoisySegError, match="results cannot be read"):
        read_results(tmp_path)


def test_results_are_on_the_disk_before_their_index_is(
    tmp_path: Path, model: Model, region: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_regions(tmp_path / "snapshot", [region])
    stored = open_regions(tmp_path / "snapshot")
    synced, before_rename = set(), {}
    fsync, replace = os.fsync, Path.replace

    def noted(handle: int) -> None:
        synced.add(os.fstat(handle).st_ino)
        fsync(handle)

    def renamed(self: Path, target: Path) -> Path:
        before_rename[Path(target).name] = self.stat().st_ino in synced
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", noted)
    monkeypatch.setattr(Path, "replace", renamed)
    list(write_results(tmp_path, model, stored, False))
    names = ("model.safetensors", "0.npz", "0.json", "index.json")
    assert before_rename == dict.fromkeys(names, True)
    assert list(before_rename)[-1] == "index.json"


def test_nuclei_without_points_are_outlined_where_asked(model: Model, region: Region) -> None:
    model.method.load_weights(
        {k: v * 0 if k.endswith("head.weight") else v for k, v in model.method.weights().items()}
    )
    half = region.known.copy()
    half[:, SIDE // 2 :] = False
    marked = region_of(region.rgb, 0.25, points=region.points[:3], known=half)
    plain, everywhere = refine(model, marked, False), refine(model, marked, True)
    assert set(np.unique(plain.labels)) == {0, 1, 2, 3}
    assert np.array_equal(np.where(everywhere.labels > 3, 0, everywhere.labels), plain.labels)


def test_preview_and_results_hear_first_weights_at_points(
    tmp_path: Path, tnbc: Tissue, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind: Any = registry.load("scnet")
    config = kind.Config.from_preset("small")
    method = kind(config, "cpu", 0)
    begun = Model(method, config, ModelFile("scnet", config.model_dump(), 0.5), "cpu")
    begin(method, config, [tnbc[0]])
    wanted = begun.predict(tnbc[0], 0.25)["probability"]
    method.load_weights({k: torch.zeros_like(v) for k, v in method.weights().items()})
    heard: list[Any] = []
    real = instances.at_points
    monkeypatch.setattr(instances, "at_points", lambda *a: (heard.append(a[6]), real(*a))[1])
    middles = np.array(center_of_mass(tnbc[1] > 0, tnbc[1], np.unique(tnbc[1])[1:]))
    marked = region_of(tnbc[0], 0.25, "tissue", points=middles)
    refine(begun, marked, False)
    np.testing.assert_allclose(heard[-1], wanted, atol=1e-5)
    shown = Preview(marked, config, tmp_path, "cpu")
    for epoch in (0, 1):
        shown.take(method, epoch)
        assert np.abs(resize(heard[-1], wanted.shape) - wanted).mean() < 0.02
    assert heard[-1] is heard[-2], "it is asked once"


def test_a_spec_survives_its_file_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    spec = RunSpec(method="scnet", config={"width": 4}, time_budget=60, deadline=1e9, seed=3)
    write_spec(tmp_path, spec, created=5.0)
    assert read_spec(tmp_path) == spec
    assert json.loads((tmp_path / "spec.json").read_text("utf-8"))["created"] == 5.0
    (tmp_path / "spec.json").write_text('{"method": 3}', "utf-8")
    with pytest.raises(NoisySegError, match=r"spec\.json: not a run's spec"):
        read_spec(tmp_path)
    with pytest.raises(NoisySegError, match="there is no file"):
        read_spec(tmp_path / "nowhere")


def test_the_child_wants_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert main([str(tmp_path)]) == 2
    assert "RUN_DIR" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (MemoryError("no room"), "batch_size"),
        (RuntimeError("CUDA out of memory"), "batch_size"),
        (ImportError("libcudart"), "doctor"),
        (OSError(28, "No space left on device"), "disk"),
        (ValueError("odd"), "log.txt"),
    ],
)
def test_a_failure_comes_with_a_hint(error: Exception, hint: str, tmp_path: Path) -> None:
    failed = _failure(error, tmp_path)
    assert type(error).__name__.removesuffix("Error") in failed.message
    assert hint in failed.hint
