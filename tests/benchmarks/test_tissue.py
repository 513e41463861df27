"""Points as a person would have clicked them, rows that stay done."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_noisyseg import benchmarks
from napari_noisyseg.benchmarks import ledger, tissue
from napari_noisyseg.benchmarks.report import mean


def test_an_inner_point_lies_in_its_nucleus(tnbc) -> None:
    labels = tnbc[1]
    points = tissue.inner_points(labels)
    serials = labels[points[:, 0].astype(int), points[:, 1].astype(int)]
    assert sorted(serials) == sorted(set(np.unique(labels)) - {0})


def test_shifts_stay_inside_and_within_reach(tnbc) -> None:
    points = tissue.inner_points(tnbc[1])
    moved = tissue.shifted(points, 4, (512, 512), seed=1)
    nearest = np.abs(moved[:, None] - points[None]).max(-1).min(1)
    assert nearest.max() <= 4.5
    assert ((moved >= 0) & (moved <= 511)).all()


def test_the_long_form_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done: list[str] = []

    def job(key: str):
        return key, lambda: done.append(key) or {"aji": 0.5}

    monkeypatch.setattr(ledger, "SLICE_SECONDS", -1.0)
    assert ledger.rows_of("coarse", True, [job("a"), job("b")]) == ([], False)
    monkeypatch.setattr(ledger, "SLICE_SECONDS", 60.0)
    rows, complete = ledger.rows_of("coarse", True, [job("a"), job("b")])
    assert complete
    assert mean(rows, "aji") == 0.5
    ledger.rows_of("coarse", True, [job("a"), job("b")])
    assert done == ["a", "b"]


@pytest.mark.parametrize("name", benchmarks.names())
def test_every_benchmark_can_be_loaded(name: str) -> None:
    assert callable(benchmarks.load(name))
    assert benchmarks.words(name)


def test_low_magnification_is_known(data_dir: Path) -> None:
    found = {field.stem: field.mpp for field in tissue.fields(data_dir, "cpm15")}
    assert found["image01"] == 0.5
    assert found["image08"] == 0.25
