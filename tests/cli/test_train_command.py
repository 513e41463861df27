"""A run from the command line to its results: train, runs, review, export, predict."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
import tifffile
from one_field import real_field

from napari_noisyseg.api.trainings import Meter
from napari_noisyseg.cli import run
from napari_noisyseg.cli.output import Progress
from napari_noisyseg.cli.training import _show
from napari_noisyseg.events import Started, Stepped
from napari_noisyseg.store.runs import Run
from napari_noisyseg.worker.parent import process

QUICK = ("--set", "width=16", "--set", "crop=64", "--set", "tile=64", "--set", "tile_overlap=0")


def create(field: Path) -> Path:
    """A project of a field and its points."""
    project = field / "case.noisyseg"
    words = ["--images", field / "field.png", "--points", field / "field.csv", "--mpp", 0.25]
    assert run(["create", str(project), *map(str, words)]) == 0
    return project


@pytest.fixture(scope="module")
def trained(tnbc, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with one finished run, for all tests of this file."""
    field = real_field(tmp_path_factory.mktemp("trained"), *tnbc)
    project = create(field)
    words = ("--method", "scnet", "--epochs", "1", "--device", "cpu", *QUICK, "--json")
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        assert run(["train", str(project), *words]) == 0
    found = json.loads(said.getvalue())
    assert found["state"] == "finished"
    assert Path(found["dir"]).parent == project / "runs"
    return project


def test_points_become_nuclei_that_are_reviewed_exported_and_predicted(
    noisyseg, trained: Path, tmp_path: Path
) -> None:
    field = trained.parent
    points = len((field / "field.csv").read_text().splitlines()) - 1
    (found,) = json.loads(noisyseg("runs", trained, "--json").out)
    assert (found["method"], found["state"]) == ("scnet", "finished")

    queue = json.loads(noisyseg("review", trained, "--next", 3, "--json").out)
    assert queue["nuclei"] == points
    scores = [row["score"] for row in queue["next"]]
    assert len(scores) == 3
    assert all(row["reason"] for row in queue["next"])
    accepted = json.loads(noisyseg("review", trained, "--accept-above", 0, "--json").out)
    assert accepted["newly_accepted"] == accepted["accepted"] == points

    assert noisyseg("export", trained, tmp_path, "--format", "labels").code == 0
    labels = tifffile.imread(tmp_path / "field.tif")
    assert labels.shape == (256, 256)
    assert len(np.unique(labels)) - 1 == points

    model = trained / "runs" / found["run"]
    words = ("--model", model, "--output", tmp_path / "other", "--mpp", 0.25)
    done = noisyseg("predict", field / "field.png", *words)
    assert done.code == 0, done.err
    assert tifffile.imread(tmp_path / "other" / "field.tif").shape == (256, 256)


def test_a_finished_run_cannot_be_stopped(noisyseg, trained: Path) -> None:
    (name,) = (found["run"] for found in json.loads(noisyseg("runs", trained, "--json").out))
    done = noisyseg("stop", trained, name)
    assert done.code == 2
    assert "not running" in done.err
    first = trained / "runs" / name
    second = first.with_name(f"{name[:-4]}ffff")
    shutil.copytree(first, second)
    done = noisyseg("stop", trained, name[:4])
    assert done.code == 2
    assert "several runs begin with" in done.err
    shutil.rmtree(second)


def test_predict_checks_every_image_before_the_first(
    noisyseg, trained: Path, field: Path, tmp_path: Path
) -> None:
    (model,) = (trained / "runs").iterdir()
    good, bad, out = field / "field.png", tmp_path / "bad.png", tmp_path / "out" / "here"
    bad.write_bytes(good.read_bytes()[:2000])
    done = noisyseg("predict", good, bad, "--model", model, "--output", out)
    assert (done.code, done.out) == (2, "")
    assert "bad.png" in done.err
    assert not out.parent.exists()
    for output in (bad, bad / "in a file"):
        done = noisyseg("predict", good, "--model", model, "--output", output)
        assert done.code == 2
        assert "--output" in done.err
        assert "name a folder" in done.err
    (tmp_path / "own").mkdir()
    own = tmp_path / "own" / "own.tif"
    tifffile.imwrite(own, np.asarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3)), "u1"))
    before = own.read_bytes()
    done = noisyseg("predict", own, "--model", model, "--output", own.parent)
    assert done.code == 2
    assert "overwrite" in done.err
    assert own.read_bytes() == before


@pytest.mark.skipif(sys.platform == "win32", reason="a process there cannot say how it was ended")
def test_a_killed_training_says_what_may_help(
    noisyseg, field: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = create(field)
    launch = process.launch

    def launch_and_kill(began: Run, threads: int | None = None) -> None:
        launch(began, threads)
        psutil.Process(began.worker()["pid"]).kill()

    monkeypatch.setattr(process, "launch", launch_and_kill)
    done = noisyseg("train", project, "--method", "scnet", "--epochs", 1, "--device", "cpu")
    assert done.code == 1
    assert "memory ran out" in done.err
    assert "smaller crop, width or batch_size, or preset=small" in done.err


def test_the_bar_counts_what_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    for steps, of, words in [(1, 1, "25% epoch 1/1"), (6, 2, "75% epoch 2/2")]:
        meter, bar = Meter(), Progress("run", every=0)
        _show(Started("m", of, 4, "cpu"), meter, bar)
        _show(Stepped((steps - 1) // 4, steps, of, {"total": 1.0}), meter, bar)
        assert words in capsys.readouterr().err
