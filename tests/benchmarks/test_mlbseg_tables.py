"""What MLB-Seg's tables are trained on, and one training of each table in a very small form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_noisyseg import benchmarks, registry
from napari_noisyseg.benchmarks import mlbseg
from napari_noisyseg.benchmarks.mlbseg import Size
from napari_noisyseg.benchmarks.patches import Counts
from napari_noisyseg.method import UNKNOWN
from napari_noisyseg.noise import foreground_dice

FEW = Counts(24, 8, 4)


@pytest.fixture(scope="module")
def data(data_dir: Path) -> Path:
    if not (data_dir / "monuseg" / "images").is_dir():
        pytest.skip(f"no MoNuSeg at {data_dir}")
    return data_dir


@pytest.mark.parametrize(
    "level", ["l2", *(pytest.param(level, marks=pytest.mark.long) for level in ("l1", "l3"))]
)
def test_noisy_labels_have_the_papers_dice(data: Path, level: str) -> None:
    train = mlbseg.protocol_of(data, FEW, level).train
    found = [foreground_dice(n, t) for n, t in zip(train.noisy, train.truth, strict=True)]
    assert np.mean(found) == pytest.approx(mlbseg.DICE[level], abs=0.011)


def test_the_ceiling_learns_from_true_labels(data: Path) -> None:
    train = mlbseg.protocol_of(data, FEW, mlbseg.CLEAN).train
    assert np.array_equal(train.noisy, train.truth)


def test_the_control_has_the_clean_windows_alone(data: Path) -> None:
    protocol = mlbseg.protocol_of(data, FEW, mlbseg.FEW)
    assert len(protocol.train) == FEW.train
    assert np.array_equal(protocol.train.noisy[: FEW.meta], protocol.meta.truth)


@pytest.mark.parametrize(("share", "kept"), [(0.0, 0), (0.25, 6), (1.0, 24)])
def test_some_windows_are_noisy_few_clean_the_rest_unlabelled(
    data: Path, share: float, kept: int
) -> None:
    protocol = mlbseg.protocol_of(data, FEW, "l2")
    config = registry.load("mlbseg").Config.from_preset("small", **mlbseg.WINDOWS)
    images = mlbseg.labelled(protocol, share, config)
    known = [
        [bool((image.labels[name] != UNKNOWN).any()) for image in images]
        for name in ("rough", "clean")
    ]
    assert known == [[k < kept for k in range(28)], [k >= 24 for k in range(28)]]
    assert all(image.known.shape == (64, 64) and image.known.all() for image in images)


def test_tables_have_the_promised_rows() -> None:
    q = ("q1", "q2", "q4", "q6")
    parts = [f"dice_{which}_{n}" for which in ("ple", "both") for n in q]
    assert list(mlbseg.ABLATION) == ["dice_bootstrap", "dice_mlb", "dice_teacher", *parts]
    levels, mixed = [f"dice_noisy_{k}" for k in ("l1", "l2", "l3")], (25, 50, 75)
    assert list(mlbseg.SUPERVISION) == [
        "dice_semi", *levels, *(f"dice_mixed_{share}" for share in mixed), "dice_clean",
        "dice_few",
    ]  # fmt: skip
    assert {"mlbseg-ablation", "mlbseg-supervision"} <= set(benchmarks.names())
    config = registry.load("mlbseg").Config
    for settings in mlbseg.ABLATION.values():
        config.from_preset("small", **{**mlbseg.WINDOWS, **settings})


@pytest.mark.parametrize(
    ("table", "row"),
    [
        pytest.param("mlbseg-ablation", "dice_both_q2", marks=pytest.mark.slow),
        ("mlbseg-supervision", "dice_semi"),
    ],
)
@pytest.mark.long
def test_a_training_gives_a_figure(
    data: Path, table: str, row: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = {"mlbseg-ablation": "ABLATION", "mlbseg-supervision": "SUPERVISION"}[table]
    only: object = getattr(mlbseg, rows)[row]
    monkeypatch.setattr(mlbseg, rows, {row: only})
    monkeypatch.setattr(mlbseg, "SHORT", Size(FEW, epochs=2))
    monkeypatch.setattr(mlbseg, "WINDOWS", {**mlbseg.WINDOWS, "width": 4, "depth": 2})
    monkeypatch.setenv("NOISYSEG_SEEDS", "1")
    report = benchmarks.load(table)(data, False)
    assert report.figures.keys() - {"dice_clean", "complete"} == {row}
    assert 0 <= report.figures[row] <= 1
    assert report.rows[0]["steps"] == 16
