"""A run from the command line to its results: train, runs, review, export, predict."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

QUICK = ("--set", "width=16", "--set", "crop=64", "--set", "tile=64", "--set", "tile_overlap=0")


@pytest.fixture
def trained(noisyseg, field: Path) -> Path:
    project = field / "case.noisyseg"
    words = ("--images", field / "field.png", "--points", field / "field.csv", "--mpp", 0.25)
    assert noisyseg("create", project, *words).code == 0
    done = noisyseg(
        "train", project, "--method", "scnet", "--epochs", 1, "--device", "cpu", *QUICK, "--json"
    )
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["state"] == "finished"
    assert Path(found["dir"]).parent == project / "runs"
    return project


def test_points_become_nuclei_that_are_reviewed_exported_and_predicted(
    noisyseg, trained: Path, field: Path, tmp_path: Path
) -> None:
    points = len((field / "field.csv").read_text().splitlines()) - 1
    (run,) = json.loads(noisyseg("runs", trained, "--json").out)
    assert (run["method"], run["state"]) == ("scnet", "finished")

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

    model = trained / "runs" / run["run"]
    words = ("--model", model, "--output", tmp_path / "other", "--mpp", 0.25)
    done = noisyseg("predict", field / "field.png", *words)
    assert done.code == 0, done.err
    assert tifffile.imread(tmp_path / "other" / "field.tif").shape == (256, 256)


def test_a_finished_run_cannot_be_stopped(noisyseg, trained: Path) -> None:
    (run,) = json.loads(noisyseg("runs", trained, "--json").out)
    done = noisyseg("stop", trained, run["run"])
    assert done.code == 2
    assert "not running" in done.err
