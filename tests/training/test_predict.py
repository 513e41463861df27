from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file
from toy_method import Toy, config

from napari_noisyseg import registry, slides
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.learning.settings.scnet import SCNetConfig
from napari_noisyseg.method import MethodConfig, Prediction
from napari_noisyseg.plans import Tiling
from napari_noisyseg.training.model import ModelFile, read_model, write_model
from napari_noisyseg.training.predict import (
    Model,
    load_model,
    nuclei_of,
    predict_maps,
    predict_nuclei,
)

Tissue = tuple[NDArray[np.uint8], NDArray[np.int32]]


def trained() -> Toy:
    method = Toy(config())
    method.net[0].weight.data.fill_(-12)
    method.net[0].bias.data.fill_(6)
    return method


def toy_model(mpp: float = 0.5) -> Model:
    settings = config(working_mpp=mpp)
    return Model(trained(), settings, ModelFile("toy", settings.model_dump(), mpp), "cpu")


def planes(height: int, width: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    pixels = np.random.default_rng(0).random((4, height, width)).astype(np.float32)
    return pixels[:3], pixels[3:]


@pytest.mark.parametrize("shape", [(100, 130), (64, 64), (33, 200)])
def test_tiles_are_blended_without_a_trace(shape: tuple[int, int]) -> None:
    method, seen = trained(), planes(*shape)
    whole = predict_maps(method, *seen, "cpu")
    tiled = predict_maps(method, *seen, "cpu", Tiling(64, 20))
    assert whole["probability"].shape == shape
    assert np.allclose(whole["probability"], tiled["probability"], atol=1e-6)
    assert np.allclose(whole["uncertainty"], tiled["uncertainty"], atol=1e-6)


def test_between_two_tiles_one_fades_into_the_other() -> None:
    class ByTile(Toy):
        count = 0.0

        def predict(self, image: torch.Tensor, hematoxylin: torch.Tensor) -> Prediction:
            self.count += 1
            return Prediction(torch.full_like(hematoxylin[:, 0], self.count))

    row = predict_maps(ByTile(config()), *planes(64, 108), "cpu", Tiling(64, 20))["probability"][0]
    assert (row[:44] == 1).all()
    assert (row[64:] == 2).all()
    assert (np.diff(row[44:64]) > 0).all()


def test_settings_may_ask_for_the_papers_windows_and_components() -> None:
    class Recording(Toy):
        def predict(self, image: torch.Tensor, hematoxylin: torch.Tensor) -> Prediction:
            sides.append(tuple(image.shape[-2:]))
            return Prediction((hematoxylin[:, 0] < 0.9).float())

    sides: list[tuple[int, ...]] = []
    rgb = np.full((300, 368, 3), 255, np.uint8)
    y, x = np.indices(rgb.shape[:2])
    rgb[np.minimum(np.hypot(y - 60, x - 60), np.hypot(y - 60, x - 88)) < 16] = (60, 40, 120)
    asked = SCNetConfig(
        working_mpp=0.25, stains="fixed", window=224, window_overlap=80, splitting="components"
    )
    counts = []
    for settings in (asked, MethodConfig(working_mpp=0.25, splitting="watershed")):
        model = Model(Recording(config()), settings, ModelFile("toy", {}, 0.25), "cpu")
        counts.append(int(nuclei_of(model, rgb, 0.25).max()))
    assert sides == [(224, 224)] * 4 + [(300, 368)]
    assert counts == [1, 2]


def test_maps_have_the_resolution_of_the_picture(tnbc: Tissue) -> None:
    rgb = tnbc[0][:200, :151]
    for mpp in (0.25, 0.5, 1.0):
        maps = toy_model().predict(rgb, mpp)
        assert {values.shape for values in maps.values()} == {(200, 151)}
        assert 0 <= maps["probability"].min() <= maps["probability"].max() <= 1


def test_blocks_of_a_slide_make_up_the_whole(tnbc: Tissue) -> None:
    rgb = tnbc[0]
    model = toy_model()
    slide = slides.from_array(rgb, 0.25, "field")
    joined = np.zeros(rgb.shape[:2], np.float32)
    counts = np.zeros(rgb.shape[:2], int)
    for box, maps in model.blocks(slide, 0.25, side=200, margin=16):
        joined[box.slices] = maps["probability"]
        counts[box.slices] += 1
    assert (counts == 1).all()
    assert np.allclose(joined, model.predict(rgb, 0.25)["probability"], atol=0.02)


def scnet_model(folder: Path) -> Path:
    kind: Any = registry.load("scnet")
    settings = kind.Config.from_preset("small", width=16, color_width=2)
    file = ModelFile("scnet", settings.model_dump(), 0.5, provenance={"run": "r1"})
    write_model(folder / "model.safetensors", file, kind(settings, "cpu", 1).weights())
    return folder


def test_a_model_may_be_read_by_whoever_may_read_other_files(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    folder = scnet_model(tmp_path)
    usual = (tmp_path / "other").stat().st_mode
    assert (folder / "model.safetensors").stat().st_mode == usual


def test_a_saved_model_predicts_the_same_again(tmp_path: Path, tnbc: Tissue) -> None:
    rgb = tnbc[0][:128, :128]
    folder = scnet_model(tmp_path)
    by_folder = load_model(folder, "cpu")
    by_file = load_model(folder / "model.safetensors", "cpu")
    assert by_folder.file.provenance == {"run": "r1"}
    assert by_folder.file.mpp == by_folder.config.working_mpp == 0.5
    kind: Any = registry.load("scnet")
    original = Model(kind(by_folder.config, "cpu", 1), by_folder.config, by_folder.file, "cpu")
    expected = original.predict(rgb, 0.25)["probability"]
    assert np.array_equal(by_folder.predict(rgb, 0.25)["probability"], expected)
    assert np.array_equal(by_file.predict(rgb, 0.25)["probability"], expected)


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoisySegError, match="there is no model"):
        load_model(tmp_path)
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"\x80\x04K\x01.")
    with pytest.raises(NoisySegError, match="not a model"):
        load_model(path)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(NoisySegError, match="not a model of napari-noisyseg"):
        load_model(path)


def test_a_model_of_an_unknown_method_or_other_shape_is_refused(tmp_path: Path) -> None:
    path = scnet_model(tmp_path) / "model.safetensors"
    file, weights = read_model(path)
    write_model(path, ModelFile("os.system", file.config, 0.5), weights)
    with pytest.raises(NoisySegError, match=r"os\.system"):
        load_model(path)
    write_model(path, ModelFile("scnet", {**file.config, "width": 32}, 0.5), weights)
    with pytest.raises(NoisySegError, match="do not fit"):
        load_model(path)
    write_model(path, ModelFile("scnet", {**file.config, "widht": 8}, 0.5), weights)
    with pytest.raises(NoisySegError, match="do not fit"):
        load_model(path)


def test_the_header_is_plain_json(tmp_path: Path) -> None:
    raw = (scnet_model(tmp_path) / "model.safetensors").read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])["__metadata__"]
    assert json.loads(header["config"])["width"] == 16
    assert json.loads(header["classes"]) == ["background", "nucleus"]
    assert float(header["mpp"]) == 0.5


def test_an_image_file_gets_one_id_a_nucleus(tmp_path: Path, tnbc: Tissue) -> None:
    rgb = tnbc[0][:200, :260]
    path = tmp_path / "Gewebe ü.png"
    Image.fromarray(rgb).save(path)
    said: list[str] = []
    labels = predict_nuclei(toy_model(), path, None, said.append)
    assert labels.shape == (200, 260)
    assert labels.dtype == np.int32
    assert "0.25 µm per pixel assumed" in said[0]
    assert np.array_equal(labels, nuclei_of(toy_model(), rgb, 0.25))
    assert labels.max() > 5
