"""`noisyseg simulate`: file for file, folder for folder, and nothing where the words are wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_noisyseg import noise
from napari_noisyseg.exchange.csv_points import read as read_points
from napari_noisyseg.exchange.labels import write_labels


@pytest.fixture
def truth(tmp_path: Path, tnbc) -> Path:
    """A folder of two label images of real tissue, as .tif and .png."""
    folder = tmp_path / "wahre Kerne"
    folder.mkdir()
    labels = tnbc[1].astype(np.uint16)
    tifffile.imwrite(folder / "a.tif", labels[:256])
    Image.fromarray(labels[256:]).save(folder / "b.png")
    return folder


@pytest.mark.parametrize("kind", noise.KINDS)
def test_a_file_becomes_a_file_and_its_dice_is_said(noisyseg, truth: Path, kind: str) -> None:
    out = truth.parent / "noisy.tif"
    done = noisyseg("simulate", truth / "a.tif", out, "--noise", kind, "--json")
    assert done.code == 0, done.err
    noisy, labels = tifffile.imread(out), tifffile.imread(truth / "a.tif")
    assert noisy.shape == labels.shape
    assert set(np.unique(noisy)) <= set(np.unique(labels))
    said = json.loads(done.out)
    assert said["mean"]["dice"] == pytest.approx(noise.foreground_dice(noisy, labels))
    assert 0 < said["mean"]["dice"] < 1
    assert said["images"]["a"]["kept"] == len(noise.ids_of(noisy))


def test_a_folder_is_what_its_files_are(noisyseg, truth: Path) -> None:
    out = truth.parent / "noisy"
    done = noisyseg("simulate", truth, out, "--noise", "box", "--seed", 4)
    assert done.code == 0, done.err
    assert sorted(f.name for f in out.iterdir()) == ["a.tif", "b.tif"]
    assert "mean Dice" in done.out
    alone = truth.parent / "alone.tif"
    noisyseg("simulate", truth / "b.png", alone, "--noise", "box", "--seed", 4)
    assert np.array_equal(tifffile.imread(alone), tifffile.imread(out / "b.tif"))
    noisyseg("simulate", truth / "b.png", alone, "--noise", "box", "--seed", 5)
    assert not np.array_equal(tifffile.imread(alone), tifffile.imread(out / "b.tif"))


def test_points_are_a_table_that_import_reads(noisyseg, truth: Path) -> None:
    out = truth.parent / "clicks"
    done = noisyseg("simulate", truth, out, "--noise", "points", "--strength", 3, "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["mean"]["dice"] is None
    labels = tifffile.imread(truth / "a.tif").astype(np.int32)
    table = read_points(out / "a.csv")
    assert len(table.points) == len(noise.ids_of(labels))
    assert np.hypot(*(table.points - noise.points(labels, 0)).T).max() <= 3.001


def test_nothing_of_somebody_else_is_replaced(noisyseg, truth: Path, tnbc) -> None:
    scans = truth.parent / "scans"
    scans.mkdir()
    tifffile.imwrite(scans / "a.tif", tnbc[0])
    (scans / "b.csv").write_text("x,y\n5.125,7.250\n")  # as many digits as ours
    before = {p: p.read_bytes() for p in scans.iterdir()}
    for kind in ("box", "points"):
        done = noisyseg("simulate", truth, scans, "--noise", kind)
        assert done.code == 2
        assert "not" in done.err
        assert "name another place" in done.err
    assert {p: p.read_bytes() for p in scans.iterdir()} == before
    # nor accepted nuclei that were exported
    write_labels(scans / "a.tif", np.ones((8, 8), int))
    (scans / "b.csv").unlink()
    assert noisyseg("simulate", truth, scans, "--noise", "box").code == 2
    assert noisyseg("simulate", truth / "a.tif", scans / "a.tif", "--noise", "box").code == 2
    for _ in range(2):
        assert noisyseg("simulate", truth, truth.parent / "c", "--noise", "points").code == 0


def test_a_wanted_dice_over_a_folder(noisyseg, truth: Path) -> None:
    out = truth.parent / "noisy"
    words = ("simulate", truth, out, "--noise", "erode", "--target-dice", 0.62, "--json")
    done = noisyseg(*words)
    assert done.code == 0, done.err
    said = json.loads(done.out)
    assert said["mean"]["dice"] == pytest.approx(0.62, abs=0.01)
    assert "strength" in said["searched"]
    labels = tifffile.imread(truth / "a.tif")
    dice = noise.foreground_dice(tifffile.imread(out / "a.tif"), labels)
    assert said["images"]["a"]["dice"] == pytest.approx(dice)


@pytest.mark.parametrize(
    ("labels", "out", "options"),
    [
        ("a.tif", "x.tif", ("--noise", "smear")),
        ("a.tif", "x.tif", ("--noise", "box", "--share", "1.5")),
        ("a.tif", "x.tif", ("--noise", "partial", "--strength", "2")),
        ("a.tif", "x.tif", ("--noise", "random", "--target-dice", "0.99")),
        ("a.tif", "x.csv", ("--noise", "points", "--target-dice", "0.5")),
        ("a.tif", "x.png", ("--noise", "box")),
        ("a.tif", "x.tif", ("--noise", "points")),
        ("a.tif", "a.tif", ("--noise", "box")),
        ("a.tif", "nowhere/x.tif", ("--noise", "box")),
        ("missing.tif", "x.tif", ("--noise", "box")),
        (".", "a.tif", ("--noise", "box")),
        (".", ".", ("--noise", "box")),
        ("a.tif", ".", ("--noise", "box")),
    ],
)
def test_wrong_words_write_nothing(noisyseg, truth: Path, labels, out, options) -> None:
    before = {f: f.read_bytes() for f in truth.iterdir()}
    done = noisyseg("simulate", truth / labels, truth / out, *options)
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert done.err.startswith("noisyseg: error: ")
    assert {f: f.read_bytes() for f in truth.iterdir()} == before


@pytest.mark.parametrize("out", ["noisy", "new/noisy"])
def test_a_folder_that_nobody_may_write_in_is_told(
    noisyseg, truth: Path, monkeypatch: pytest.MonkeyPatch, out: str
) -> None:
    locked = truth.parent / "locked"
    locked.mkdir()
    monkeypatch.setattr("os.access", lambda path, mode: Path(path) != locked)
    for words in ((truth, locked / out), (truth / "a.tif", locked / "noisy.tif")):
        done = noisyseg("simulate", *words, "--noise", "dilate")
        assert done.code == 2
        assert done.err == f"noisyseg: error: {locked}: cannot be written in; name another folder\n"
    assert not list(locked.iterdir())


def test_an_unreadable_file_among_good_ones_writes_nothing(noisyseg, truth: Path) -> None:
    (truth / "c.tif").write_bytes(b"II*\0 damaged")
    out = truth.parent / "noisy"
    done = noisyseg("simulate", truth, out, "--noise", "box")
    assert done.code == 2
    assert "c.tif" in done.err
    assert not out.exists()
    (truth / "c.tif").unlink()
    (truth / "a.png").write_bytes((truth / "b.png").read_bytes())
    assert noisyseg("simulate", truth, out, "--noise", "box").code == 2
    assert not out.exists()
