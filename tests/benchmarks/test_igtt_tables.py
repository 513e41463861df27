"""The benchmarks of labels without annotation: their images, their labels, what they add up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_noisyseg.benchmarks import cells, igtt, structure
from napari_noisyseg.learning.settings.igtt import IGTTConfig
from napari_noisyseg.method import Progress
from napari_noisyseg.methods.igtt import IGTT

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
    larger, smaller = (structure.LABELS[f"dice_{k}"](MASK, rng) for k in ("dilate_1", "erode_1"))
    assert (larger & MASK).sum() == MASK.sum() < larger.sum()
    assert (smaller & MASK).sum() == smaller.sum() < MASK.sum()


@pytest.mark.long
def test_the_yardstick_learns_the_masks_it_is_given() -> None:
    rgb = np.where(MASK[:128, :128, None], 90, 15).astype(np.uint8).repeat(3, axis=2)
    some = cells.Cells((rgb,), (MASK[:128, :128],))
    config = IGTTConfig.from_preset("small", width=8, tile=64, crop=64)
    # the ground is what is to be learned: no threshold and no polarity would say so
    labels = [(~some.truth[0]).astype(np.float32)]
    method = cells.Taught(config, 0, lambda epoch: labels)
    cells.train(method, cells.images_of(some, config, 1), 6)
    found = cells.probability(method, config, rgb) > 0.5
    assert cells.dice(found, ~some.truth[0]) > 0.9


def test_figures_name_scores_and_deviations() -> None:
    rows = [
        {"key": "igtt", "dice": 0.9, "auc": 0.97, "acc": 0.95, "std": 0.02, "worst": 0.88},
        {"key": "never-revised", "dice": 0.89, "auc": 0.96, "acc": 0.94, "std": 0.01, "worst": 0.8},
        {"key": "otsu", "dice": 0.8, "auc": 0.9, "acc": 0.91},
    ]
    figures = igtt._figures(rows)
    assert (figures["dice_igtt"], figures["dice_igtt_std"]) == (0.9, 0.02)
    assert (figures["dice_igtt_worst"], figures["auc_igtt"]) == (0.88, 0.97)
    assert figures["dice_never_revised"] == 0.89
    assert {"dice_otsu", "auc_otsu", "acc_otsu"} <= set(figures)
    assert "dice_otsu_std" not in figures


def test_little_light_makes_a_threshold_as_poor_as_in_the_paper(data_dir: Path) -> None:
    bright, faint = cells.load(data_dir)[0], cells.faint(data_dir)[0]
    few = cells.spread(len(bright.rgb), 30)
    dice = {
        name: np.mean([
            cells.dice(igtt._above_otsu(blur, images.rgb[k]), images.truth[k]) for k in few
        ])
        for name, images, blur in (("bright", bright, 0.0), ("faint", faint, 0.0),
                                   ("blurred", faint, 1.0))
    }  # fmt: skip
    assert dice["faint"] < 0.8 * dice["bright"]
    assert dice["blurred"] > 0.95 * dice["bright"]
    assert all(a is b for a, b in zip(bright.truth, faint.truth, strict=True))


def test_the_arm_that_is_never_revised_keeps_its_first_labels() -> None:
    settings = igtt.VARIANTS["never-revised"]
    config = IGTTConfig.from_preset("small", width=8, tile=64, crop=64, **settings)
    method = IGTT(config, "cpu", 0)
    for epoch in range(1, igtt.FULL.epochs):
        assert list(method.revise(Progress(epoch, igtt.FULL.epochs, 0, 0.5), ())) == []


def test_scores_are_those_of_table_6() -> None:
    truth = np.array([[True, True, False, False]])
    found = np.array([[0.9, 0.4, 0.6, 0.1]], np.float32)
    dice, auc, acc = igtt.scores_of(found, truth)
    assert (dice, acc) == (0.5, 0.5)
    assert auc == 0.75  # of four pairs of a nucleus and a background pixel three are in order
    assert np.isnan(igtt.scores_of(found, np.zeros_like(truth))[1])


def test_randomized_labels_are_drawn_anew_in_every_epoch() -> None:
    flip = structure.LABELS["dice_flip"]
    first, second = (structure.labels_of([MASK], flip, True, 0, epoch)[0] for epoch in (0, 1))
    assert (first != second).mean() > 0.4
    kept = [structure.labels_of([MASK], flip, False, 0, epoch)[0] for epoch in (0, 1)]
    assert np.array_equal(*kept)


@pytest.mark.parametrize("radius", [1, 2, 3])
def test_the_radius_says_how_much_is_perturbed(radius: int) -> None:
    grown = structure.LABELS[f"dice_dilate_{radius}"](MASK, np.random.default_rng(0))
    assert grown[100].sum() == MASK[100].sum() + 2 * radius


def test_patterns_of_each_label_are_compared_with_those_of_clean_ones(data_dir: Path) -> None:
    train = cells.load(data_dir)[0]
    config = IGTTConfig.from_preset("small", width=4)
    images = cells.images_of(train, config, 1)
    method = cells.Taught(config, 0, lambda epoch: [])
    scales = structure._patterns(method, images[0])
    assert len(scales) == structure.SCALES
    assert sum(scales) == pytest.approx(1, abs=1e-4)
    rows = [{"key": k, **{f"scale_{n}": v for n, v in enumerate(values)}}
            for k, values in {"dice_clean": scales, "dice_flip": scales[::-1]}.items()]  # fmt: skip
    found = structure._alike(rows)
    assert found["pattern_clean"] == pytest.approx(1, abs=1e-3)
    assert found["pattern_flip"] < 1
