"""Noise transition matrices and densities against values worked out by hand, and on real tissue."""

from __future__ import annotations

import numpy as np
import pytest

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.noise import transition

TRUE = np.array([[0, 0, 0, 1], [0, 1, 1, 1]])
NOISY = np.array([[0, 1, 0, 1], [0, 0, 1, 1]])


def test_counts_and_matrix_are_those_counted_by_hand():
    np.testing.assert_array_equal(transition.pairs(NOISY, TRUE), [[3, 1], [1, 3]])
    np.testing.assert_allclose(transition.estimate(NOISY, TRUE), [[0.75, 0.25], [0.25, 0.75]])
    left = np.array([[True, True, False, False]] * 2)
    np.testing.assert_allclose(transition.estimate(NOISY, TRUE, left), [[2 / 3, 1], [1 / 3, 0]])


def test_a_class_that_does_not_occur_is_not_known():
    found = transition.estimate(NOISY, np.zeros_like(TRUE))
    np.testing.assert_allclose(found[:, 0], [0.5, 0.5])
    assert np.isnan(found[:, 1]).all()


def test_labels_of_other_sizes_or_classes_are_refused():
    with pytest.raises(ValueError, match="differ in size"):
        transition.pairs(NOISY, TRUE[:1])
    with pytest.raises(ValueError, match="0 to 1"):
        transition.pairs(NOISY + 1, TRUE)
    with pytest.raises(NoisySegError, match="from 0 to 1"):
        transition.flip_matrix(1.2)


def test_synthetic_matrices_of_the_paper():
    np.testing.assert_allclose(transition.flip_matrix(0.45), [[0.55, 0.45], [0.45, 0.55]])
    np.testing.assert_allclose(transition.flip_matrix(0.5, 3)[:, 1], [0.25, 0.5, 0.25])
    np.testing.assert_allclose(transition.sample_matrix(0.1), [[1, 0.9], [0, 0.1]])
    np.testing.assert_allclose(transition.random_matrix(0.3), [[0.7, 0.7], [0.3, 0.3]])
    for made in (transition.flip_matrix(0.5, 4), transition.sample_matrix(0.2, 3)):
        np.testing.assert_allclose(made.sum(axis=0), 1)


@pytest.mark.parametrize(
    ("matrix", "rank", "distance"),
    [
        (np.eye(2), 2, 2.0),
        (transition.flip_matrix(0.45), 2, 0.2),
        (transition.flip_matrix(0.5), 1, 0.0),
        (transition.sample_matrix(0.1), 2, 0.2),
        (transition.random_matrix(0.3), 1, 0.0),
    ],
)
def test_rank_and_complete_randomization_distance(matrix, rank, distance):
    assert transition.rank(matrix) == rank
    assert transition.randomization_distance(matrix) == pytest.approx(distance)


def test_distance_of_two_of_three_classes():
    matrix = np.array([[0.7, 0.2, 0.2], [0.2, 0.5, 0.5], [0.1, 0.3, 0.3]])
    assert transition.randomization_distance(matrix, 0, 1) == pytest.approx(0.5 + 0.3 + 0.2)
    assert transition.randomization_distance(matrix, 1, 2) == 0
    assert transition.rank(matrix) == 2


def test_what_is_drawn_is_estimated_again(tnbc):
    true = (tnbc[1] > 0).astype(np.int32)
    for matrix in (transition.flip_matrix(0.45), transition.sample_matrix(0.1)):
        noisy = transition.draw(true, matrix, seed=3)
        np.testing.assert_allclose(transition.estimate(noisy, true), matrix, atol=0.01)
        np.testing.assert_array_equal(noisy, transition.draw(true, matrix, seed=3))
    with pytest.raises(ValueError, match="probabilities"):
        transition.draw(true, np.array([[0.5, 0.5], [0.4, 0.5]]))


def test_three_classes_are_drawn_too(tnbc):
    true = np.minimum(tnbc[1], 2)
    matrix = transition.flip_matrix(0.6, 3)
    noisy = transition.draw(true, matrix)
    np.testing.assert_allclose(transition.estimate(noisy, true, classes=3), matrix, atol=0.03)


def test_perturbed_masks_change_the_border_alone():
    mask = np.zeros((9, 9), bool)
    mask[2:7, 2:7] = True
    grown, shrunk = (transition.perturbed(mask, kind, 1) for kind in ("dilate", "erode"))
    assert grown.sum() == 25 + 20
    assert shrunk.sum() == 9
    bar = np.zeros((9, 9), bool)
    bar[3:6, 1:8] = True
    thin = transition.perturbed(bar, "skeleton")
    assert 0 < thin.sum() <= 7
    assert not (thin & ~bar).any()
    full = np.ones((4, 4), bool)
    assert transition.perturbed(full, "erode", 1).all()


def test_a_perturbed_label_still_has_full_rank_but_another_matrix(tnbc):
    true = tnbc[1] > 0
    found = transition.estimate(
        transition.perturbed(true, "erode", 2).astype(int), true.astype(int)
    )
    assert found[1, 0] == 0
    assert 0.1 < found[0, 1] < 0.7
    assert transition.rank(found) == 2


def test_density_counts_the_pixels_in_the_window():
    labels = np.zeros((7, 7), int)
    labels[1, 1] = labels[2, 2] = labels[3, 3] = labels[6, 6] = 1
    found = transition.density(labels, 1, half=1)
    assert found[2, 2] == 3 / (2 * 4 * 1)
    assert found[0, 0] == 1 / (2 * 4 * 1)
    assert found[0, 6] == 0
    assert transition.heat(labels, 1, half=1)[2, 2] == pytest.approx(3 / 9)
    assert transition.heat(labels, 1, half=1)[6, 6] == pytest.approx(1 / 4)


def test_density_of_randomized_labels_is_the_expected_one(tnbc):
    true = (tnbc[1] > 0).astype(np.int32)
    matrix = transition.flip_matrix(0.3)
    noisy = transition.draw(true, matrix)
    expected = transition.expected_density(true, matrix, 1, half=8)
    found = transition.density(noisy, 1, half=8)
    error = np.abs(found - expected) * 2 * (noisy == 1).sum() * 8 / 17**2
    assert error.mean() < 0.035  # √(0.3·0.7/289) = 0.027 is the sampling error


def test_randomized_labels_keep_the_meta_structures_and_random_ones_do_not(tnbc):
    true = (tnbc[1] > 0).astype(np.int32)
    overlap = {}
    for name, matrix in (
        ("flip", transition.flip_matrix(0.3)),
        ("random", transition.random_matrix(0.3)),
    ):
        noisy = transition.draw(true, matrix)
        dense = transition.meta_structures(transition.density(noisy, 1, half=5), 2) == 1
        overlap[name] = 2 * (dense & (true == 1)).sum() / (dense.sum() + true.sum())
    assert overlap["flip"] > 0.8
    assert overlap["random"] < 0.5


def test_densities_that_are_all_alike_are_one_structure():
    assert not transition.meta_structures(np.full((5, 5), 0.2), 2).any()
