"""`noisyseg predict` with the starter, which needs no training and no torch."""

from __future__ import annotations

import shutil
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_noisyseg.cli.paths import open_project
from napari_noisyseg.coarse.starter import OUTLINE, model_weights, packed
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.exchange.geojson import read
from napari_noisyseg.exchange.outlines import fill
from napari_noisyseg.slides import Box


@pytest.fixture(autouse=True)
def without_torch(monkeypatch):
    """Whoever imports it fails; the command looks for it with find_spec."""
    monkeypatch.setattr("napari_noisyseg.cli.predict.find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "napari_noisyseg.training.predict", None)


@pytest.fixture
def project(noisyseg, field, tmp_path):
    path = tmp_path / "p.noisyseg"
    words = ("--images", field / "field.png", "--points", field / "field.csv", "--mpp", 0.25)
    assert noisyseg("create", path, *words).code == 0
    return path


def test_the_starter_predicts_nuclei(noisyseg, field, tmp_path):
    words = ("--model", "starter", "--output", tmp_path / "o")
    done = noisyseg("predict", field / "field.png", *words)
    assert done.code == 0, done.err
    assert "0.25 µm per pixel assumed" in done.err
    assert done.out.split("\n")[0] == str(tmp_path / "o" / "field.tif")
    labels = tifffile.imread(tmp_path / "o" / "field.tif")
    assert labels.shape == (256, 256)
    assert f"field.png: {len(np.unique(labels)) - 1} nuclei\n" in done.err
    points = np.loadtxt(field / "field.csv", delimiter=",", skiprows=1).round().astype(int)
    assert (labels[points[:, 1], points[:, 0]] > 0).mean() > 0.7
    done = noisyseg("predict", field / "field.png", *words, "--mpp", 0.5)
    assert "assumed" not in done.err
    assert (tifffile.imread(tmp_path / "o" / "field.tif") != labels).any()


def test_several_images_are_counted_each_and_in_all(noisyseg, field, tmp_path):
    shutil.copy(field / "field.png", field / "other.png")
    words = ("--model", "starter", "--output", tmp_path / "o", "--mpp", 0.25)
    done = noisyseg("predict", field / "field.png", field / "other.png", *words)
    assert done.code == 0, done.err
    count = len(np.unique(tifffile.imread(tmp_path / "o" / "other.tif"))) - 1
    assert f"other.png: {count} nuclei\n" in done.err
    assert f"2 images: {2 * count} nuclei in all" in done.err
    assert "nuclei" not in noisyseg("-q", "predict", field / "other.png", *words).err


def test_outlines_for_qupath_are_those_of_the_label_image(noisyseg, field, tmp_path):
    words = ("--model", "starter", "--output", tmp_path / "o", "--mpp", 0.25)
    for kind in ("labels", "geojson"):
        done = noisyseg("predict", field / "field.png", *words, "--format", kind)
        assert done.code == 0, done.err
    labels = tifffile.imread(tmp_path / "o" / "field.tif")
    shapes = read(tmp_path / "o" / "field.geojson")
    assert len(shapes) == len(np.unique(labels)) - 1 == len({s.id for s in shapes})
    for number, shape in enumerate(shapes, start=1):
        drawn = fill(shape.polygons, Box(0, 0, *labels.shape))
        np.testing.assert_array_equal(drawn, labels == number)


def test_a_project_predicts_with_what_it_learned(noisyseg, field, project, tmp_path):
    words = ("--output", tmp_path / "o", "--mpp", 0.25)
    done = noisyseg("predict", field / "field.png", "--model", project, *words)
    assert done.code == 0, done.err
    assert "nothing was learned" in done.err
    before = tifffile.imread(tmp_path / "o" / "field.tif")
    with open_project(project, write=True) as opened:
        blind = {name: values * 0 for name, values in model_weights(OUTLINE).items()}
        opened.learned.keep(OUTLINE, packed(blind, {}), {})
    done = noisyseg("predict", field / "field.png", "--model", project.with_suffix(""), *words)
    assert (done.code, done.err.count("learned")) == (0, 0), done.err
    assert (tifffile.imread(tmp_path / "o" / "field.tif") != before).any()


def test_an_image_unlike_stained_tissue_is_left_out_in_words(noisyseg, field, tmp_path):
    grey = field / "grey.png"
    Image.fromarray(np.full((90, 90, 3), 128, np.uint8)).save(grey)
    words = ("--model", "starter", "--output", tmp_path / "o", "--mpp", 0.25)
    done = noisyseg("predict", grey, *words)
    assert done.code == 2
    assert "grey.png: this image has no colours" in done.err
    assert "nothing could be predicted" in done.err
    assert not list((tmp_path / "o").iterdir())
    done = noisyseg("predict", grey, field / "field.png", *words)
    assert done.code == 0
    assert [p.name for p in (tmp_path / "o").iterdir()] == ["field.tif"]


def test_why_an_image_failed_is_said_where_there_is_no_manifest(
    noisyseg, field, tmp_path, monkeypatch
):
    def segment(rgb, *_, **__):
        if rgb.shape[0] < 256:
            raise NoisySegError("the memory is too small")
        return np.zeros(rgb.shape[:2], np.int32)

    monkeypatch.setattr("napari_noisyseg.coarse.centres.segment", segment)
    Image.open(field / "field.png").crop((0, 0, 200, 200)).save(field / "other.png")
    words = ("--model", "starter", "--output", tmp_path / "o", "--mpp", 0.25)
    done = noisyseg("-q", "predict", field / "field.png", field / "other.png", *words)
    assert done.code == 1
    assert "1 of 2 images could not be predicted: the memory is too small" in done.err


def test_nothing_is_written_into_an_image_or_a_project(noisyseg, field, project, tmp_path):
    image = tmp_path / "v5.ome.zarr"
    shutil.copytree(project / "images" / "field", image)
    before = sorted(tmp_path.rglob("*"))
    places = {
        image: "is the folder of an image", image / "new": "lies in",
        project: "is the folder of a project", project / "runs": "lies in",
    }  # fmt: skip
    for out, what in places.items():
        for one in (image, field / "field.png"):
            done = noisyseg("predict", one, "--model", "starter", "--output", out)
            assert done.code == 2
            assert f"{out} {what}" in done.err
            assert f"such as {tmp_path / 'nuclei'}\n" in done.err
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_without_a_name_is_no_project(noisyseg, field, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = noisyseg("predict", field / "field.png", "--model", ".", "--output", tmp_path / "o")
    assert done.code == 2, done.err
    assert "--model starter" in done.err


def test_a_missing_network_and_project_are_told(noisyseg, field, tmp_path, monkeypatch):
    words = ("predict", field / "field.png", "--output", tmp_path / "o", "--model")
    done = noisyseg(*words, tmp_path / "none.noisyseg")
    assert done.code == 2
    assert "none.noisyseg" in done.err
    done = noisyseg(*words, tmp_path / "a run")
    assert done.code == 2
    assert "--model starter" in done.err
    monkeypatch.setattr("napari_noisyseg.coarse.starter.files", lambda _: tmp_path)
    from napari_noisyseg.coarse import starter

    monkeypatch.setattr(starter, "shipped", starter.Network)
    done = noisyseg(*words, "starter")
    assert done.code == 2
    assert "is missing" in done.err
    assert not (tmp_path / "o").exists()
