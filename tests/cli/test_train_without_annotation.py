"""iGTT from the command line: a project of images and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from skimage.draw import disk

QUICK = ("--set", "width=8", "--set", "crop=64", "--set", "tile=64", "--set", "batch_size=4")
PLACES = [(y, x) for y in range(20, 128, 34) for x in range(18, 128, 30)]


def cells(inverted: bool = False) -> np.ndarray:
    """Sixteen bright disks on a dim noisy ground (or dark ones on a bright), uint8 (128, 128)."""
    grey = np.random.default_rng(3).normal(12, 2, (128, 128))
    for place in PLACES:
        grey[disk(place, 8, shape=grey.shape)] += 60
    eight = np.clip(grey, 0, 255).astype(np.uint8)
    return 255 - eight if inverted else eight


def made(noisyseg, folder: Path, *words: object) -> Path:
    project = folder / "bare.noisyseg"
    done = noisyseg("create", project, "--images", folder / "images", "--mpp", 0.5, *words)
    assert done.code == 0, done.err
    return project


@pytest.fixture
def images(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    Image.fromarray(cells()).save(tmp_path / "images" / "bright.png")
    Image.fromarray(cells(inverted=True)).save(tmp_path / "images" / "inverted.png")
    return tmp_path


@pytest.mark.long
def test_nuclei_of_every_image_without_any_annotation(noisyseg, images: Path) -> None:
    Image.fromarray(np.full((64, 64), 9, np.uint8)).save(images / "images" / "blank.png")
    project = made(noisyseg, images)
    words = ("--method", "igtt", "--epochs", 8, "--device", "cpu", *QUICK, "--json")
    done = noisyseg("train", project, *words)
    assert done.code == 0, done.err
    assert json.loads(done.out)["nuclei"] > 0
    rows = {
        row["name"]: row for row in json.loads(noisyseg("info", project, "--json").out)["images"]
    }
    assert rows["blank"]["refined"] == 0
    assert rows["bright"]["fields"] == rows["bright"]["points"] == 0
    assert noisyseg("export", project, images / "out", "--format", "labels").code == 0
    for name in ("bright", "inverted"):
        labels = tifffile.imread(images / "out" / f"{name}.tif")
        hit = sum(labels[place] > 0 for place in PLACES)
        assert hit >= 0.8 * len(PLACES), name
        assert (labels > 0).mean() < 0.4, name


@pytest.mark.parametrize(
    ("shape", "words"), [((200, 200), "is blank"), ((20, 300), "too small for a tile")]
)
def test_images_that_can_teach_nothing_are_named(
    noisyseg, tmp_path: Path, shape: tuple[int, int], words: str
) -> None:
    (tmp_path / "images").mkdir()
    Image.fromarray(np.full(shape, 40, np.uint8)).save(tmp_path / "images" / "poor.png")
    project = made(noisyseg, tmp_path)
    done = noisyseg("train", project, "--method", "igtt", "--epochs", 1)
    assert done.code == 2
    assert "poor" in done.err
    assert words in done.err
    assert json.loads(noisyseg("runs", project, "--json").out) == []


@pytest.mark.long
def test_a_channel_of_16_bits_is_asked_for_then_taken(noisyseg, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    planes = np.stack([cells().astype(np.uint16) * 30, np.zeros((128, 128), np.uint16)])
    path = tmp_path / "images" / "cells.tif"
    tifffile.imwrite(path, planes, imagej=True, metadata={"axes": "CYX"})
    done = noisyseg("create", tmp_path / "bare.noisyseg", "--images", path)
    assert done.code == 2
    assert "--channel 1 to 2" in done.err
    assert not (tmp_path / "bare.noisyseg").exists()
    project = made(noisyseg, tmp_path, "--channel", 1)
    assert json.loads(noisyseg("info", project, "--json").out)["images"][0]["name"] == "cells"
    words = ("--method", "igtt", "--epochs", 1, "--device", "cpu", *QUICK, "--json")
    done = noisyseg("train", project, *words)
    assert done.code == 0, done.err
    model, out = json.loads(done.out)["dir"], tmp_path / "out"
    done = noisyseg("predict", path, "--model", model, "--output", out)
    assert done.code == 2
    assert "--channel 1 to 2" in done.err
    done = noisyseg("predict", path, "--model", model, "--output", out, "--channel", 1)
    assert done.code == 0, done.err
    assert tifffile.imread(out / "cells.tif").shape == (128, 128)
