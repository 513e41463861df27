"""The bilevel step's benchmark, on a small network."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from napari_noisyseg.benchmarks import meta_case, meta_step
from napari_noisyseg.benchmarks.meta_case import Case, Figures
from napari_noisyseg.meta import Bilevel, Settings
from napari_noisyseg.nets import build


@pytest.fixture
def case(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    if not (data_dir / "monuseg" / "images").is_dir():
        pytest.skip(f"no MoNuSeg at {data_dir}")
    small = build.resunet(3, 16, "1-1-1", "stride4")
    monkeypatch.setattr(meta_case, "IMAGES", 1)
    monkeypatch.setattr(meta_case.build, "resunet", lambda *_: small)
    return Case(data_dir)


def test_rough_masks_are_wrong_and_clean_ones_are_others(case: Case) -> None:
    assert case.image.shape == case.clean.shape == (8, 3, 128, 128)
    assert not torch.equal(case.image, case.clean)
    assert 0 < case.rough.float().mean() < 1
    assert case.rough.shape == case.true.shape == (8, 128, 128)


@pytest.mark.long
def test_measuring_leaves_the_weights_and_compares_with_exact(case: Case) -> None:
    before = [p.clone() for p in (*case.net.parameters(), *case.correction.parameters())]
    for kind in ("h detached", "h live", "weights"):
        found = case.measure(kind, {"exact": Settings("exact"), "forward": Settings("forward")})
        assert found["exact"].error == 0
        assert found["exact"].ratio > 1
        assert 0 < found["forward"].error < 0.5
    after = [*case.net.parameters(), *case.correction.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_training_moves_network_and_theta(case: Case) -> None:
    before = [p.clone() for p in (case.net.head.weight, *case.correction.parameters())]
    case.train(Bilevel(case.net, Settings()))
    after = [case.net.head.weight, *case.correction.parameters()]
    assert not any(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_a_step_every_second_time_costs_half_the_extra() -> None:
    measured = {("smaller", "8"): [Figures(1.6, 1.5, 0.1, 0.9), Figures(1.8, 1.7, 0.1, 0.9)]}
    row = meta_step._smaller("every 2nd step", 2, 8, measured)
    assert row["ratio"] == pytest.approx(1.35)
    assert row["cpu_ratio"] == pytest.approx(1.3)
