"""The benchmarks of labels without annotation: their images, their labels, what they add up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_noisyseg.benchmarks import cells, igtt, structure
from napari_noisyseg.methods.igtt import IGTTConfig

MASK = np.zeros((200, 200), bool)
MASK[50:150, 50:150] = True


def test_a_hundred_images_are_held_out_and_none_trains(data_dir: Path) -> None:
    train, test = cells.load(data_dir)
    assert (len(train.rgb), len(test.rgb)) == (150, 100)
    assert max(max(rgb.shape[:2]) for rgb in train.rgb) == cells.WINDOW
    assert max(max(rgb.shape[:2]) for rgb in test.rgb) > cells.WINDOW
    for part in (train, test):
        assert all(
            rgb.shape[:2] == truth.shape for rgb, truth in zip(part.rgb, part.truth, strict=True)
        )


def test_images_are_spread_over_the_set() -> None:
    assert cells.spread(150, 4) == [0, 50, 99, 149]
    assert cells.spread(3, 10) == [0, 1, 2]


@pytest.mark.parametrize(
    ("kind", "in_nuclei", "in_background"),
    [
        ("dice_clean", 1, 0), ("dice_flip", 0.55, 0.45), ("dice_sample", 0.1, 0),
        ("dice_random", 0.1, 0.1), ("dice_rank1", 0.55, 0.55),
    ],
)  # fmt: skip
def test_labels_follow_their_transition_matrix(
    kind: str, in_nuclei: float, in_background: float
) -> None:
    label = structure.LABELS[kind](MASK, np.random.default_rng(0))
    assert label[MASK].mean() == pytest.approx(in_nuclei, abs=0.02)
    assert label[~MASK].mean() == pytest.approx(in_background, abs=0.02)


def test_perturbed_labels_are_larger_or_smaller() -> None:
    rng = np.random.default_rng(0)
    larger, smaller = (structure.LABELS[f"dice_{k}"](MASK, rng) for k in ("dilate", "erode"))
    assert (larger & MASK).sum() == MASK.sum() < larger.sum()
    assert (smaller & MASK).sum() == smaller.sum() < MASK.sum()


def test_the_yardstick_learns_the_masks_it_is_given() -> None:
    rgb = np.where(MASK[:128, :128, None], 90, 15).astype(np.uint8).repeat(3, axis=2)
    some = cells.Cells((rgb,), (MASK[:128, :128],))
    config = IGTTConfig.from_preset("small", width=8, tile=64, crop=64)
    # the ground is what is to be learned: no threshold and no polarity would say so
    method = cells.Taught(config, 0, [(~some.truth[0]).astype(np.float32)])
    cells.train(method, cells.images_of(some, config, 1), 6)
    found = cells.probability(method, config, rgb) > 0.5
    assert cells.dice(found, ~some.truth[0]) > 0.9


def test_figures_are_means_over_seeds_and_each_variant() -> None:
    dice = {"otsu": 0.8, "adaptive": 0.7, "supervised": 0.93, "random-seed": 0.85}
    rows = [{"key": k, "dice": v} for k, v in dice.items()]
    rows += [{"key": f"igtt-{i}", "dice": v} for i, v in enumerate((0.9, 0.92, 0.88))]
    figures = igtt._figures(rows)
    assert figures["dice_igtt"] == pytest.approx(0.9)
    assert figures["dice_igtt_std"] == pytest.approx(np.std([0.9, 0.92, 0.88]), abs=1e-4)
    assert figures["dice_igtt_worst"] == 0.88
    assert figures["dice_random_seed"] == 0.85
    assert {"dice_otsu", "dice_adaptive", "dice_supervised"} <= set(figures)
