"""The table of noisy windows compares like with like."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from napari_noisyseg import registry
from napari_noisyseg.benchmarks import superpixel, superpixel_case
from napari_noisyseg.benchmarks.patches import Counts, Tissue, many_nuclei
from napari_noisyseg.benchmarks.superpixel import METHODS, Arm, Size, config_of
from napari_noisyseg.benchmarks.tissue import fields


@pytest.fixture(scope="module")
def tissue(data_dir: Path) -> Tissue:
    """Three images to train on and two to test on."""
    found = fields(data_dir, "monuseg")[:5]
    return Tissue([f.rgb() for f in found], [f.truth() for f in found])


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch, data_dir: Path, tissue: Tissue) -> Path:
    """Few windows of real tissue, one epoch, one seed."""
    for cached in (superpixel_case.windows, superpixel_case.noisy_case, superpixel_case._factor):
        cached.cache_clear()
    monkeypatch.setattr(superpixel_case, "load", lambda data: tissue)
    monkeypatch.setattr(superpixel_case, "SEARCHED", 8)
    monkeypatch.setattr(superpixel, "SHORT", Size(Counts(8, 2, 2), epochs=1))
    monkeypatch.setattr(superpixel, "WINDOWS", {**superpixel.WINDOWS, "width": 4, "batch_size": 2})
    monkeypatch.setenv("NOISYSEG_SEEDS", "1")
    yield data_dir
    for cached in (superpixel_case.windows, superpixel_case.noisy_case, superpixel_case._factor):
        cached.cache_clear()


@pytest.mark.long
def test_every_method_gets_the_same_windows_updates_and_two_networks(few: Path) -> None:
    rows = [
        superpixel._trained(few, superpixel.SHORT, Arm(m, "affine", 0.7, 0.7), {}, 0)
        for m in METHODS
    ]
    assert len({(row["windows"], row["steps"]) for row in rows}) == 1
    assert rows[0]["windows"] == 8
    for name in METHODS:
        config: Any = config_of(name, {})
        weights = registry.load(name)(config, "cpu", 0).weights()
        nets = {key.split(".")[0] for key in weights}
        assert len(nets) == 2, name
    rules = [config_of(name, {}).model_dump() for name in METHODS]
    for key in ("lr", "lr_schedule", "weight_decay", "average_weights", "batch_size", "net"):
        assert len({rule[key] for rule in rules}) == 1, key


def test_agreement_is_weighed_alike_and_chosen_on_windows_that_are_not_scored(
    few: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, float, bool]] = []

    def trained(data, size, arm, settings, seed, scored=True):
        seen.append((arm.method, settings.get("balance", 0.0), scored))
        return {"dice_near": 0.6, "dice": 0.5 + (settings.get("balance") == 0.3) / 10, "steps": 1,
                "label_before": 0.7, "label_after": 0.8, "noise_rate": 0.1}  # fmt: skip

    monkeypatch.setattr(superpixel, "_trained", trained)
    report = superpixel.noise(few, full=False)
    tried = [(m, b) for m, b, scored in seen if not scored]
    assert tried == [(m, b) for m in ("superpixel", "jocor") for b in superpixel.BALANCES]
    used = {(m, b) for m, b, scored in seen if scored}
    assert {b for m, b in used if m in ("superpixel", "jocor")} == {0.3}
    assert report.figures["balance_jocor"] == 0.3
    assert "dice_supervised_clean" in report.figures
    assert {f"dice_{m}_nuclei_0.7_0.7" for m in METHODS} <= report.figures.keys()
    row = next(r for r in report.rows if r["key"] == "dice_jocor_affine_0.7_0.7")
    assert (row["paper"], row["seeds"]) == (0.7905, 1)


def test_windows_of_the_choice_are_neither_trained_on_nor_scored(few: Path) -> None:
    case = superpixel_case.windows(few, Counts(8, 4, 4))
    every = (case.train, case.far, case.near, case.choice)
    assert [len(part) for part in every] == [8, 4, 4, 4]
    assert len({rgb.tobytes() for part in every for rgb in part.rgb}) == 20
    assert not set(case.far.image) & set(case.train.image)
    assert set(case.near.image) <= {0, 2, 4}
    # the presets were chosen before there was `near`, by the first of these windows
    before = many_nuclei(superpixel_case.load(few), "partial", counts=Counts(8, 4, 4))
    assert (case.choice.rgb == before.meta.rgb).all()
