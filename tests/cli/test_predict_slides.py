"""`noisyseg predict` on slides: what is done stays done, and a bad slide holds nobody up."""

from __future__ import annotations

import csv
import json
import os

import numpy as np
import pytest
import tifffile
import zarr

from napari_noisyseg.exchange.geojson import read


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
    assert "begun anew" in done.err
    assert (out / "slide.csv").read_text() != before
