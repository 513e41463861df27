"""`noisyseg predict` on slides: what is done stays done, and a bad slide holds nobody up."""

from __future__ import annotations

import csv
import json
import os
import shutil
from importlib import resources

import numpy as np
import pytest
import tifffile
import zarr

from napari_noisyseg.benchmarks.tissue import inner_points
from napari_noisyseg.cli.predict_image import (
    Asked,
    Engine,
    Reading,
    _write,
    check_target,
    targets,
)
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.exchange.geojson import read
from napari_noisyseg.store import Project


@pytest.fixture
def slide(tmp_path, tnbc):
    """A pyramidal TIFF of real tissue, 0.25 µm per pixel."""
    return _pyramid(tmp_path / "slide.tif", tnbc[0][:320, :384])


def _pyramid(path, rgb, mpp=0.25):
    size = {"resolution": (10_000 / (mpp or 1),) * 2, "resolutionunit": "CENTIMETER"}
    kind = {"tile": (128, 128), "photometric": "rgb", "compression": "zlib", "metadata": None}
    with tifffile.TiffWriter(path) as file:
        file.write(rgb, subifds=1, **kind, **(size if mpp else {}))
        file.write(rgb[::2, ::2], subfiletype=1, **kind)
    return path


def _modified(folder):
    return {p.name: p.stat().st_mtime_ns for p in folder.rglob("*.npz")}


def test_a_slide_becomes_labels_a_table_and_a_line_of_the_summary(noisyseg, slide, tmp_path):
    out = tmp_path / "o"
    done = noisyseg("predict", slide, "--model", "starter", "--output", out)
    assert done.code == 0, done.err
    assert done.out.split("\n")[0] == str(out / "slide.ome.zarr")
    ome = zarr.open_group(out / "slide.ome.zarr", mode="r").attrs["ome"]
    assert ome["version"] == "0.5"
    assert ome["image-label"] == {"version": "0.5"}
    scale = ome["multiscales"][0]["datasets"][0]["coordinateTransformations"][0]["scale"]
    assert scale == pytest.approx([0.25, 0.25])
    labels = zarr.open_array(out / "slide.ome.zarr" / "0", mode="r")[:]
    assert labels.shape == (320, 384)
    assert (tifffile.imread(out / "slide.tif") == labels).all()
    rows = list(csv.DictReader((out / "slide.csv").read_text().splitlines()))
    assert sorted(int(r["label"]) for r in rows) == np.unique(labels)[1:].tolist()
    sizes = np.bincount(labels.ravel()) * 0.25**2
    assert all(float(r["area_um2"]) == pytest.approx(sizes[int(r["label"])], 1e-4) for r in rows)
    line = next(csv.DictReader((out / "summary.csv").read_text().splitlines()))
    assert (line["image"], int(line["nuclei"])) == ("slide.tif", len(rows))
    assert float(line["median_area_um2"]) == pytest.approx(np.median(sizes[sizes > 0][1:]), 0.02)


def test_what_is_done_is_not_done_again(noisyseg, slide, tmp_path):
    out = tmp_path / "o"
    words = ("predict", slide, "--model", "starter", "--output", out)
    assert noisyseg(*words).code == 0
    before = _modified(out)
    again = noisyseg(*words)
    count = len((out / "slide.csv").read_text().splitlines()) - 1
    assert again.code == 0
    assert f"slide.tif: already done, {count} nuclei" in again.err
    done = noisyseg(*words, "--format", "geojson")
    assert done.code == 0, done.err
    assert before == _modified(out)
    labels = zarr.open_array(out / "slide.ome.zarr" / "0", mode="r")[:]
    assert len(read(out / "slide.geojson")) == len(np.unique(labels)) - 1
    os.utime(slide)
    assert "already done" in noisyseg(*words, "--format", "geojson").err


def test_a_bad_slide_is_named_and_the_rest_goes_on(noisyseg, slide, tmp_path, tnbc):
    cut = tmp_path / "cut.tif"
    cut.write_bytes(slide.read_bytes()[:60_000])
    unsized = _pyramid(tmp_path / "unsized.tif", tnbc[0][:200, :200], mpp=None)
    out = tmp_path / "o"
    words = ("predict", cut, unsized, slide, "--model", "starter", "--output", out)
    done = noisyseg(*words)
    assert done.code == 1
    assert "2 of 3 images could not be predicted" in done.err
    assert "give --mpp" in done.err
    entries = json.loads((out / "manifest.json").read_text())["images"]
    assert {name: e["state"] for name, e in entries.items()} == {
        "cut": "failed", "unsized": "failed", "slide": "done",
    }  # fmt: skip
    assert [r["image"] for r in csv.DictReader((out / "summary.csv").read_text().splitlines())] == [
        "slide.tif"
    ]


def test_a_replaced_slide_is_predicted_anew(noisyseg, slide, tmp_path, tnbc):
    out = tmp_path / "o"
    words = ("predict", slide, "--model", "starter", "--output", out)
    assert noisyseg(*words).code == 0
    before = (out / "slide.csv").read_text()
    _pyramid(slide, tnbc[0][192:, 128:].copy())
    done = noisyseg(*words)
    assert done.code == 0
    assert "begun again" in done.err
    assert (out / "slide.csv").read_text() != before


def test_a_cohort_of_dicom_and_ome_zarr(noisyseg, tmp_path, tnbc, slide):
    """A folder of DICOM is one slide; OME-Zarr keeps its name."""
    pytest.importorskip("openslide")
    pytest.importorskip("pydicom")
    from dicom_slide import write_series

    scans = tmp_path / "scans"
    scans.mkdir()
    write_series(scans, tnbc[0][:256, :256], 0.25, (1, 2))
    project = tmp_path / "p.noisyseg"
    assert noisyseg("create", project, "--images", slide).code == 0
    with Project.open(project) as opened:
        opened.add_array(tnbc[0][:256, :256], "copied", 0.25)
    zarred = shutil.copytree(project / "images" / "copied", tmp_path / "b.ome.zarr")
    out = tmp_path / "o"
    words = ("predict", scans, zarred, "--model", "starter", "--output", out)
    done = noisyseg(*words)
    assert done.code == 0, done.err
    entries = json.loads((out / "manifest.json").read_text())["images"]
    assert {name: e["state"] for name, e in entries.items()} == {"1": "done", "b": "done"}
    assert zarr.open_group(out / "b.ome.zarr", mode="r").attrs["ome"]["image-label"]
    assert noisyseg(*words).err.count("already done") == 2


def test_nothing_of_somebody_else_is_overwritten(noisyseg, slide, tmp_path, tnbc):
    """Neither the image itself, nor points that have its name."""
    with Project.create(tmp_path / "p.noisyseg") as project:
        project.add_array(tnbc[0][:256, :256], "copied", 0.25)
        image = shutil.copytree(project.path / "images" / "copied", tmp_path / "b.ome.zarr")
    before = {p: p.stat().st_mtime_ns for p in image.rglob("*")}
    done = noisyseg("predict", image, "--model", "starter", "--output", tmp_path)
    assert done.code == 2
    assert "would overwrite" in done.err
    assert {p: p.stat().st_mtime_ns for p in image.rglob("*")} == before
    (tmp_path / "slide.csv").write_text("x,y\n5,5\n")
    words = ("predict", slide, "--model", "starter", "--format", "geojson")
    done = noisyseg(*words, "--output", tmp_path)
    assert done.code == 2
    assert "slide.csv is there already" in done.err
    assert (tmp_path / "slide.csv").read_text() == "x,y\n5,5\n"
    assert not (tmp_path / "slide.tiles").exists()
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / "summary.csv").write_text("mine\n")
    done = noisyseg(*words, "--output", tmp_path / "o")
    assert done.code == 2
    assert (tmp_path / "o" / "summary.csv").read_text() == "mine\n"


@pytest.mark.parametrize("kind", ["labels", "geojson"])
def test_a_command_replaces_its_own_files_alone(noisyseg, tmp_path, tnbc, kind):
    """An export holds a person's decisions: no prediction takes its place, nor the other way."""
    image = tmp_path / "tissue.png"
    image.write_bytes(b"")
    with Project.create(tmp_path / "p.noisyseg") as project:
        project.add_array(tnbc[0][:256, :256], "tissue", 0.25)
        project.nuclei.add_many("tissue", inner_points(tnbc[1][:256, :256].astype(np.int32)))
    out = tmp_path / "o"
    export = ("export", tmp_path / "p.noisyseg", out, "--format", kind, "--layer", "outline")
    for _ in range(2):
        assert noisyseg(*export).code == 0
    (target,) = targets(image, out, kind, tiled=False)
    with pytest.raises(NoisySegError, match="not made by an earlier prediction"):
        check_target(image, target)
    _write(target, np.ones((8, 8), np.int32), "tissue")
    check_target(image, target)
    done = noisyseg(*export)
    assert done.code == 2
    assert "not of an earlier export" in done.err


class _Seer:
    """What a plan asks of a model."""

    key, side = "k", 256

    def mpp(self, slide_mpp):
        return slide_mpp

    def measure(self, sample, mpp):
        return {}


def test_another_channel_takes_no_tile_of_the_first(tmp_path, tnbc):
    file = tmp_path / "f.tif"
    channels = np.moveaxis(tnbc[0][:300, :300, :2], -1, 0).astype(np.uint16)
    tifffile.imwrite(file, channels, metadata={"axes": "CYX"}, photometric="minisblack")
    done = []
    for channel in (1, 1, 2):
        reading = Reading(channel, False)
        engine = Engine(Asked("m", "k", "labels", "cpu", 0.25, reading, False), tmp_path)
        engine._model = _Seer()
        with reading.opened(file) as opened:
            done.append(engine._stitched(file, opened, 0.25).done)
        (tmp_path / "f.tiles" / "tiles" / "0.npz").touch()
    assert done == [set(), {0}, set()]


def test_colours_by_the_profile(noisyseg, tmp_path, tnbc):
    """Asked for, it is told, kept by the plan and the manifest, and never mixed."""
    pytest.importorskip("highdicom")
    icc = resources.files("highdicom") / "_icc_profiles" / "sRGB_v4_ICC_preference.icc"
    path = tmp_path / "s.tif"
    kind = {"tile": (128, 128), "photometric": "rgb", "compression": "zlib", "metadata": None}
    with tifffile.TiffWriter(path) as file:
        file.write(tnbc[0][:256, :256], subifds=1, iccprofile=icc.read_bytes(), **kind)
        file.write(tnbc[0][:256:2, :256:2], subfiletype=1, **kind)
    out = tmp_path / "o"
    words = ("predict", path, "--model", "starter", "--output", out, "--mpp", 0.25)
    plain = noisyseg(*words)
    assert plain.code == 0, plain.err
    before = (out / "s.csv").read_text()
    done = noisyseg(*words, "--icc")
    assert done.code == 0, done.err
    assert "colours corrected by its profile, sRGB v4" in done.err
    assert "begun again" in done.err
    assert (out / "s.csv").read_text() != before
    assert json.loads((out / "s.tiles" / "plan.json").read_text())["icc"] is True
    assert "already done" in noisyseg(*words, "--icc").err
    assert noisyseg("create", tmp_path / "p", "--images", path, "--icc", "--mpp", 0.25).code == 0
    told = json.loads(noisyseg("info", tmp_path / "p", "--json").out)["images"][0]
    assert told["icc"].startswith("sRGB v4")
    assert told["levels"] == "the slide's"
