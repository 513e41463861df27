"""MLB-Seg beside rough labels alone: no clean window reaches these, and updates are as many."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_noisyseg import benchmarks
from napari_noisyseg.benchmarks import mlbseg, mlbseg_steered
from napari_noisyseg.benchmarks.mlbseg import Size
from napari_noisyseg.benchmarks.patches import Counts
from napari_noisyseg.learning.student import Student
from napari_noisyseg.method import UNKNOWN, Batch, Outcome, Progress
from napari_noisyseg.methods.mlbseg import MLBSeg


@pytest.fixture
def small(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if not (data_dir / "monuseg" / "images").is_dir():
        pytest.skip(f"no MoNuSeg at {data_dir}")
    monkeypatch.setattr(mlbseg, "SHORT", Size(Counts(24, 8, 4), epochs=2))
    monkeypatch.setattr(mlbseg, "WINDOWS", {**mlbseg.WINDOWS, "width": 4, "depth": 2})
    monkeypatch.setenv("NOISYSEG_SEEDS", "1")
    return data_dir


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[Batch]:
    """What the method was given, in order."""
    given: list[Batch] = []
    step = MLBSeg.step

    def kept(self: MLBSeg, batch: Batch, progress: Progress) -> Outcome:
        given.append(batch)
        return step(self, batch, progress)

    monkeypatch.setattr(MLBSeg, "step", kept)
    return given


@pytest.fixture
def updated(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """One entry for each update of the network."""
    done: list[bool] = []
    update = Student.update

    def counted(self: Student, loss: object) -> None:
        done.append(True)
        update(self, loss)  # type: ignore[arg-type]

    monkeypatch.setattr(Student, "update", counted)
    return done


def test_there_are_three_ways_at_three_levels() -> None:
    ways = ("alone", "steered", "jointly")
    assert list(mlbseg_steered.ARMS) == [f"dice_{w}_l{k}" for w in ways for k in (1, 2, 3)]
    assert mlbseg_steered.updates(310) == 72 + 2 * 238


@pytest.mark.parametrize(("way", "steps"), [("alone", 14), ("steered", 14), ("jointly", 8)])
@pytest.mark.long
def test_an_arm_has_as_many_updates_as_any_and_clean_windows_only_where_it_may(
    small: Path,
    way: str,
    steps: int,
    batches: list[Batch],
    updated: list[bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arm = mlbseg_steered.ARMS[f"dice_{way}_l2"]
    monkeypatch.setattr(mlbseg_steered, "ARMS", {f"dice_{way}_l2": arm})
    report = benchmarks.load("mlbseg-steered")(small, False)
    assert 0 <= report.figures[f"dice_{way}_l2"] <= 1
    assert report.rows[0]["steps"] == len(batches) == steps
    assert len(updated) == 14
    clean = [batch.meta is not None for batch in batches]
    assert clean == [way != "alone"] * steps
    if way == "alone":
        assert all((batch.labels["clean"] == UNKNOWN).all() for batch in batches)
