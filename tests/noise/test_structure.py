"""The parts of iterative ground-truth training, against values worked out another way."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage as ndi

from napari_noisyseg.noise import structure

P = np.array([[0.1, 0.2, 0.3, 0.9], [0.8, 0.2, 0.1, 0.2]])


def smooth(seed: int = 0, shape: tuple[int, int] = (40, 50)) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=shape)
    blurred = ndi.gaussian_filter(noise, 3)
    return (blurred - blurred.min()) / np.ptp(blurred)


def test_the_bank_goes_from_the_least_to_the_largest_value() -> None:
    assert np.allclose(structure.threshold_bank(P, 5), [0.1, 0.3, 0.5, 0.7, 0.9])
    bank = structure.threshold_bank(smooth(), 30)
    assert len(bank) == 30
    assert np.allclose(np.diff(bank), 1 / 29)


def test_the_joint_distribution_by_hand() -> None:
    q = structure.joint(np.array([0.9, 0.8, 0.1, 0.4]), np.array([1, 0, 0, 1]))
    assert np.allclose(q, [[1.3 / 4, 0.9 / 4], [0.7 / 4, 1.1 / 4]])
    assert q.sum() == pytest.approx(1)


@pytest.mark.parametrize("seed", range(4))
def test_the_chosen_mask_has_the_least_loss_of_the_bank(seed: int) -> None:
    """Eq. 3 by brute force: of all masks, not the one of largest -log |det Q|."""
    p = smooth(seed) ** 3
    losses = {}
    for threshold in structure.threshold_bank(p, 30)[:-1]:
        determinant = abs(np.linalg.det(structure.joint(p, p > threshold)))
        losses[threshold] = -np.log(determinant)
    chosen = structure.most_informative(p, 30)
    assert chosen == pytest.approx(min(losses, key=losses.__getitem__))
    # |det Q| is a covariance, largest for the cut at the mean
    assert abs(chosen - p.mean()) <= 1 / 29


@pytest.mark.parametrize("seed", range(4))
def test_the_correlated_choice_by_brute_force(seed: int) -> None:
    p = smooth(seed) ** 3
    thresholds = structure.threshold_bank(p, 30)[:-1]
    found = [abs(np.corrcoef(p.ravel(), (p > t).ravel())[0, 1]) for t in thresholds]
    chosen = structure.most_informative(p, 30, "correlation")
    assert chosen == pytest.approx(thresholds[int(np.argmax(found))])


def test_the_correlated_choice_does_not_widen_a_rare_soft_object() -> None:
    square = np.zeros((60, 60))
    square[20:36, 20:36] = 1
    p = ndi.gaussian_filter(square, 2)
    low, high = (structure.most_informative(p, 30, m) for m in ("dmi", "correlation"))
    assert (p > low).sum() > 1.5 * square.sum()
    assert (p > high).sum() == pytest.approx(square.sum(), rel=0.1)


def test_between_both_thresholds_nothing_is_said() -> None:
    signal = np.random.default_rng(0).uniform(0.005, 0.015, (20, 20))
    signal[2:5, 2:5] += 0.9
    signal[8:18, 8:18] += 0.12
    label = structure.sure_otsu(signal)
    assert (label[2:5, 2:5] == 1).all()
    assert np.isnan(label[8:18, 8:18]).mean() > 0.8  # the threshold may cut their brightest end
    assert (label[:, 19] == 0).mean() > 0.8


def test_a_constant_prediction_gives_an_empty_mask() -> None:
    blank = np.full((8, 8), 0.3)
    for measure in ("dmi", "correlation"):
        assert not (blank > structure.most_informative(blank, 30, measure)).any()


def test_the_skeleton_of_a_bar_is_shifted_by_at_most_the_radius() -> None:
    bar = np.zeros((15, 40), bool)
    bar[4:11, 3:37] = True
    rng = np.random.default_rng(0)
    still = structure.skeleton_shifted(bar, 0, rng)
    assert set(np.flatnonzero(still.any(axis=1))) <= {6, 7, 8}
    moved = structure.skeleton_shifted(bar, 1, rng)
    assert moved.sum() > 0.4 * still.sum()
    assert not np.array_equal(moved, still)
    assert (ndi.distance_transform_edt(~still)[moved] <= 1).all()


def test_a_skeleton_at_the_edge_stays_inside() -> None:
    line = np.zeros((5, 9), bool)
    line[0] = True
    for seed in range(5):
        moved = structure.skeleton_shifted(line, 3, np.random.default_rng(seed))
        assert moved.shape == line.shape


def test_widening_gives_disks_back_and_drops_bridges() -> None:
    y, x = np.mgrid[:60, :100]
    disks = ((y - 30) ** 2 + (x - 25) ** 2 < 15**2) | ((y - 30) ** 2 + (x - 75) ** 2 < 15**2)
    widened = structure.skeleton_widened(disks)
    assert not (widened & ~disks).any()
    assert widened.sum() > 0.93 * disks.sum()
    ragged = disks | (np.random.default_rng(0).random(disks.shape) < 0.1)
    cleaned = structure.skeleton_widened(structure.without_small(ragged, 20))
    assert (cleaned & ~disks).sum() < (ragged & ~disks).sum() / 4


def test_one_pixel_keeps_its_structure() -> None:
    one = np.zeros((7, 7), bool)
    one[3, 3] = True
    assert structure.skeleton_widened(one).sum() == 1
    assert structure.skeleton_shifted(one, 1, np.random.default_rng(1)).sum() == 1
    none = np.zeros((7, 7), bool)
    assert not structure.skeleton_widened(none).any()
    assert not structure.skeleton_shifted(none, 1, np.random.default_rng(1)).any()


def test_a_tenth_is_sampled() -> None:
    mask = np.zeros((200, 200), bool)
    mask[:100] = True
    kept = structure.sampled(mask, 0.1, np.random.default_rng(0))
    assert kept.sum() == pytest.approx(2000, rel=0.1)
    assert not kept[100:].any()


def test_small_pieces_and_holes_go() -> None:
    mask = np.zeros((20, 20), bool)
    mask[2:12, 2:12] = True
    mask[5, 5] = False
    mask[16:18, 16:18] = True
    cleaned = structure.without_small(mask, 5)
    assert cleaned[5, 5]
    assert not cleaned[16:18, 16:18].any()
    assert cleaned.sum() == 100
    assert np.array_equal(structure.without_small(mask, 0), mask)


def test_otsu_of_a_blank_image_finds_nothing() -> None:
    assert not structure.otsu(np.full((5, 5), 0.2)).any()
    assert structure.otsu(np.array([[0.1, 0.1], [0.9, 0.9]])).tolist() == [[False] * 2, [True] * 2]
