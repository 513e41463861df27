"""How networks begin: with first weights, or at random, and that it is said which."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_noisyseg import registry, samples
from napari_noisyseg.data.prepare import planes_of_pixels, stain_matrix
from napari_noisyseg.data.resample import resize
from napari_noisyseg.learning import first
from napari_noisyseg.method import Method
from napari_noisyseg.slides import Box, open_image, read_labels
from napari_noisyseg.training.beginning import begin, untrained

Rgb = np.ndarray[Any, np.dtype[np.uint8]]


@pytest.fixture(scope="module")
def rgb() -> Rgb:
    with open_image(samples.FIELD) as slide:
        return slide.read(Box(0, 0, *slide.shape))


@pytest.fixture
def missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package without the file."""
    first.shipped.cache_clear()
    monkeypatch.setattr(first, "files", lambda name: tmp_path)
    yield
    first.shipped.cache_clear()


def made(name: str, **changes: Any) -> tuple[Method, Any]:
    kind = registry.load(name)
    config = kind.Config.from_preset("small", **changes)
    return kind(config, "cpu", 0), config


def same(one: Method, two: Method) -> bool:
    pairs = zip(one.weights().values(), two.weights().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("name", ["scnet", "mmc", "mlbseg"])
def test_networks_know_nuclei_before_any_training(name: str, rgb: Rgb) -> None:
    method, config = made(name)
    told = begin(method, config, [rgb])
    assert told.sha256 == first.shipped().sha256
    assert told.sha256[:8] in told.words
    small = resize(rgb, (256, 256))
    planes = planes_of_pixels(small, stain_matrix(small, config.pixels()))
    with torch.inference_mode():
        x = [torch.from_numpy(plane)[None] for plane in planes]
        found = method.predict(*x).probability[0].numpy() > 0.5
    true = resize((read_labels(samples.FIELD_NUCLEI) > 0).astype(np.float32), (256, 256)) > 0.5
    assert 2 * (found & true).sum() / (found.sum() + true.sum()) > 0.65


def test_a_pair_is_not_of_one_mind(rgb: Rgb) -> None:
    method, config = made("scnet")
    begin(method, config, [rgb])
    x = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert method.predict(x.expand(1, 3, 64, 64), x).maps["uncertainty"].max() > 0.01


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"first_weights": "none"}, ""),
        ({"width": 16}, "another shape"),
        ({"working_mpp": 0.25}, "0.5 µm per pixel"),
    ],
)
def test_other_networks_begin_at_random_and_it_is_said(
    changes: dict[str, Any], why: str, rgb: Rgb
) -> None:
    method, config = made("scnet", **changes)
    told = begin(method, config, [rgb])
    assert told.sha256 == ""
    assert why in told.words
    assert same(method, made("scnet", **changes)[0])


def test_grey_images_begin_at_random(rgb: Rgb) -> None:
    method, config = made("scnet")
    grey = np.repeat(rgb.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)
    assert "stained tissue in colour only" in begin(method, config, [grey]).words
    assert same(method, made("scnet")[0])
    assert begin(method, config, [grey, rgb]).sha256, "one image in colour is enough"


def test_a_trained_method_is_asked_what_it_knew_before(rgb: Rgb) -> None:
    method, config = made("scnet")
    begin(method, config, [rgb])
    wanted = {name: values.clone() for name, values in method.weights().items()}
    method.load_weights({name: values * 0.5 for name, values in wanted.items()})
    dice = torch.random.get_rng_state()
    fresh = untrained(method, config, "cpu", rgb)
    assert fresh is not None
    assert all(torch.equal(fresh.weights()[name], values) for name, values in wanted.items())
    assert not same(fresh, method)
    assert torch.equal(torch.random.get_rng_state(), dice), "a training goes on as without"


@pytest.mark.parametrize("changes", [{"first_weights": "none"}, {"width": 16}])
def test_a_method_that_began_at_random_knew_nothing(changes: dict[str, Any], rgb: Rgb) -> None:
    method, config = made("scnet", **changes)
    assert untrained(method, config, "cpu", rgb) is None


@pytest.mark.usefixtures("missing")
def test_without_the_file_networks_begin_at_random(rgb: Rgb) -> None:
    method, config = made("scnet")
    told = begin(method, config, [rgb])
    assert told.sha256 == ""
    assert "install napari-noisyseg again" in told.words
    assert same(method, made("scnet")[0])


@pytest.mark.usefixtures("missing")
def test_a_damaged_file_is_told(tmp_path: Path, rgb: Rgb) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / first.FILE).write_bytes(b"no weights")
    method, config = made("scnet")
    assert "cannot be read" in begin(method, config, [rgb]).words
