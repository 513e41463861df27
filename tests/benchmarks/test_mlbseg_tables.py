"""What MLB-Seg's tables are trained on, and one training of each table in a very small form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_noisyseg import benchmarks, registry
from napari_noisyseg.benchmarks import mlbseg
from napari_noisyseg.benchmarks.mlbseg import Size
from napari_noisyseg.benchmarks.patches import Counts
from napari_noisyseg.data.loader import TrainingData
from napari_noisyseg.method import UNKNOWN, Progress
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
    q, levels = ("q1", "q2", "q4", "q6"), ("l1", "l2", "l3")
    parts = [f"dice_{which}_{n}" for which in ("ple", "both") for n in q]
    controls = ["dice_clean", "dice_few"]
    assert list(mlbseg.ABLATION) == [
        "dice_bootstrap", "dice_mlb", "dice_teacher", *parts, *controls
    ]  # fmt: skip
    assert list(mlbseg.SUPERVISION) == [
        "dice_semi", *(f"dice_noisy_{k}" for k in levels),
        *(f"dice_mixed_{share}" for share in (25, 50, 75)),
        *(f"dice_plain_{k}" for k in levels), *controls,
    ]  # fmt: skip
    assert {"mlbseg-ablation", "mlbseg-supervision"} <= set(benchmarks.names())
    config = registry.load("mlbseg").Config
    for arm in (*mlbseg.ABLATION.values(), *mlbseg.SUPERVISION.values()):
        config.from_preset("small", **{**mlbseg.WINDOWS, **arm.settings})


def test_ordinary_training_never_learns_from_its_own_predictions(data: Path) -> None:
    """Neither the weights nor pseudo labels nor the teacher have a say in it."""
    method = registry.load("mlbseg")
    settings = {**mlbseg.WINDOWS, **mlbseg.PLAIN, "width": 4, "depth": 2}
    config = method.Config.from_preset("small", **settings)
    images = mlbseg.labelled(mlbseg.protocol_of(data, FEW, "l2"), 1.0, config)
    held = TrainingData(images, config, method.needs, seed=0)
    batch = held.batch(0, 0, config.batch_size)
    losses = method(config, "cpu", 0).step(batch, Progress(5, 10, 15, 0.5)).losses
    assert losses["pseudo"] == 0
    assert losses["total"] == pytest.approx(losses["noisy"] + losses["clean"], rel=1e-5)


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
