from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_noisyseg import benchmarks, registry
from napari_noisyseg.benchmarks import mmc
from napari_noisyseg.benchmarks.mmc import MODES, Arm, Size, config_of, scores, table2, table4
from napari_noisyseg.benchmarks.patches import Counts, Patches, Tissue, alone, load, single_nuclei
from napari_noisyseg.method import Prediction


@pytest.fixture(scope="module")
def tissue(data_dir: Path) -> Tissue:
    whole = load(data_dir)
    return Tissue(whole.rgb[:4], whole.truth[:4])


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch, tissue: Tissue) -> None:
    """Few patches of real tissue and one short epoch."""
    counts = Counts(32, 8, 8)

    def single(data: Path, noise: Any) -> Any:
        return single_nuclei(tissue, noise, counts=counts)

    monkeypatch.setenv("NOISYSEG_SEEDS", "1")
    monkeypatch.setattr(mmc, "_single", single)
    monkeypatch.setattr(mmc, "_tissue", lambda data: tissue)
    monkeypatch.setattr(mmc, "SHORT_MULTI", Counts(8, 4, 4))
    monkeypatch.setattr(mmc, "SMALL", {**mmc.SMALL, "width": 4, "batch_size": 4})
    monkeypatch.setattr(mmc, "_size", lambda full: Size(1, 1, "small", "cpu"))


@pytest.mark.slow
def test_every_arm_of_table_2_trains_as_long_as_the_others(few: None, data_dir: Path) -> None:
    report = table2(data_dir, full=False)
    names = {f"dice_{n}_{m}" for n in ("box", "dilate", "partial") for m in mmc.METHODS}
    assert names | {"dice_clean", "dice_few", "complete"} <= report.figures.keys()
    assert all(0 <= value <= 1 for value in report.figures.values())
    assert len({row["steps"] for row in report.rows}) == 1
    assert {row["key"]: row["paper"] for row in report.rows}["box_mmc"] == 0.6887


@pytest.mark.slow
def test_table_4_has_three_depths(few: None, data_dir: Path) -> None:
    report = table4(data_dir, full=False)
    assert {"dice_31", "dice_331", "dice_351"} <= report.figures.keys()


@pytest.mark.parametrize("name", mmc.METHODS)
def test_arms_share_network_and_schedule(name: str) -> None:
    shared = ("width", "encoder", "stem", "lr", "lr_schedule", "batch_size", "crop", "input")
    configs = [
        config_of(registry.load(n), "small", Arm(n, "box"), {}).model_dump()
        for n in (name, "finetune")
    ]
    assert [configs[0][key] for key in shared] == [configs[1][key] for key in shared]
    assert (configs[0]["tile"], configs[0]["tile_overlap"]) == (64, 0)


@pytest.mark.parametrize("arm", [mmc.CLEAN, mmc.FEW])
def test_true_masks_need_no_fine_tuning(arm: Arm) -> None:
    config: Any = config_of(registry.load("finetune"), "small", arm, {})
    assert config.clean_share == 0


def test_the_control_sees_the_clean_patches_alone_and_as_often(tissue: Tissue) -> None:
    whole = single_nuclei(tissue, "partial", counts=Counts(20, 8, 8))
    few = alone(whole).train
    assert len(few) == len(whole.train)
    assert np.array_equal(few.rgb[:16], np.concatenate([whole.meta.rgb] * 2))
    assert np.array_equal(few.noisy[:8], whole.meta.truth)


class Halves:
    """Predicts the upper half of every patch."""

    def predict(self, image: torch.Tensor, hematoxylin: torch.Tensor) -> Prediction:
        probability = torch.zeros(len(image), *image.shape[-2:])
        probability[:, : image.shape[-2] // 2] = 1
        return Prediction(probability)


def test_scores_are_equations_8_and_9() -> None:
    truth = np.zeros((2, 8, 8), np.int32)
    truth[0, :4] = 1
    truth[1, :, :4] = 3
    rgb = np.full((2, 8, 8, 3), 128, np.uint8)
    patches = Patches(rgb, truth, truth, np.zeros(2, np.int64))
    config = registry.load("finetune").Config.from_preset("small")
    method: Any = Halves()
    assert scores(method, config, patches, "cpu") == {
        "dice": pytest.approx((1 + 0.5) / 2, abs=1e-4),
        "iou": pytest.approx((1 + 1 / 3) / 2, abs=1e-4),
    }


def test_are_listed() -> None:
    assert {"mmc-table2", "mmc-table4", "mmc-modes"} <= set(benchmarks.names())
    assert benchmarks.load("mmc-table2") is table2


def test_modes_differ_in_nothing_but_the_way_to_the_meta_gradient() -> None:
    arm = Arm("mmc", "partial")
    method = registry.load("mmc")
    configs = {k: config_of(method, "small", arm, v).model_dump() for k, v in MODES.items()}
    way = {"meta_gradient", "meta_point", "meta_every"}
    rest = [{k: v for k, v in c.items() if k not in way} for c in configs.values()]
    assert all(other == rest[0] for other in rest)
    assert configs["exact"]["meta_gradient"] == "exact"
    users: Any = method.Config.from_preset("small")
    assert configs["default"]["meta_every"] == users.meta_every


def test_every_method_of_table_2_takes_as_many_meta_steps() -> None:
    configs: list[Any] = [
        config_of(registry.load(n), "small", Arm(n, "box"), {}) for n in mmc.METHODS
    ]
    assert {c.meta_every for c in configs if hasattr(c, "meta_every")} == {1}


@pytest.mark.parametrize("name", ["spatial-reweighting", "mcpm"])
def test_pixel_weights_follow_the_whole_network_and_not_its_decoder_alone(name: str) -> None:
    """The decoder's part of v had cosines down to 0.53 to the exact gradient in this setting."""
    arm = Arm(name, "box")
    config: Any = config_of(registry.load(arm.method), "small", arm, {})
    assert config.meta_gradient == "difference"


def test_the_clean_part_of_fine_tuning_has_batches_as_large_as_the_rest() -> None:
    config: Any = config_of(registry.load("finetune"), "small", Arm("finetune", "box"), {})
    assert config.meta_batch_size == config.batch_size
