"""Stain separation: the equations, the estimate, and images that have no two stains."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_noisyseg.stains import FIXED, StainMatrix, densities, estimate, hematoxylin, tissue

RGB = NDArray[np.uint8]


def stained(amounts: NDArray[np.float64], matrix: StainMatrix = FIXED) -> RGB:
    """x = x0·exp(−W·D) for D of (H, W, 2), rounded to grey levels."""
    return np.rint(matrix.x0 * np.exp(-amounts @ matrix.W.T)).astype(np.uint8)


def test_fixed_columns_are_ruifroks_of_unit_length() -> None:
    np.testing.assert_allclose(np.linalg.norm(FIXED.W, axis=0), 1.0)
    np.testing.assert_allclose(FIXED.W[:, 0] / FIXED.W[0, 0], [1, 0.704 / 0.65, 0.286 / 0.65])
    np.testing.assert_allclose(FIXED.W[:, 1] / FIXED.W[1, 1], [0.072 / 0.99, 1, 0.105 / 0.99])


def test_densities_undo_the_law() -> None:
    amounts = np.random.default_rng(0).uniform(0.05, 1.2, (40, 50, 2))
    got = densities(stained(amounts), FIXED)
    assert got.dtype == np.float32
    assert got.shape == (2, 40, 50)
    np.testing.assert_allclose(np.moveaxis(got, 0, -1), amounts, atol=0.03)


def test_hematoxylin_is_equation_two() -> None:
    amounts = np.zeros((4, 4, 2))
    amounts[..., 0] = 0.7
    np.testing.assert_allclose(hematoxylin(stained(amounts)), np.exp(-0.7), atol=0.01)


def test_densities_solve_non_negative_least_squares() -> None:
    from scipy.optimize import nnls

    rgb = np.random.default_rng(1).integers(1, 256, (12, 10, 3), dtype=np.uint8)
    got = densities(rgb, FIXED).reshape(2, -1).T
    optical = np.log(255.0 / rgb.reshape(-1, 3))
    expected = np.array([nnls(FIXED.W, pixel)[0] for pixel in optical])
    np.testing.assert_allclose(got, expected, atol=1e-4)


def test_estimate_finds_the_stains_of_a_made_image() -> None:
    w = np.array([[0.55, 0.15], [0.73, 0.95], [0.41, 0.27]])
    other = StainMatrix(w / np.linalg.norm(w, axis=0), np.full(3, 255.0), "fixed")
    amounts = np.random.default_rng(0).exponential(0.5, (150, 150, 2))
    found = estimate(stained(amounts, other))
    assert found.source == "estimated"
    assert ((found.W * other.W).sum(axis=0) > 0.99).all()


def test_estimate_separates_tissue_better_than_chance(tnbc: tuple[RGB, NDArray[np.int32]]) -> None:
    rgb, nuclei = tnbc
    matrix = estimate(rgb)
    assert matrix.source == "estimated"
    assert matrix.W[0, 0] > matrix.W[0, 1]  # hematoxylin first: it takes more of the red
    density = densities(rgb, matrix)[0]
    assert density[nuclei > 0].mean() > 1.5 * density[nuclei == 0].mean()


def test_estimate_is_repeatable(tnbc: tuple[RGB, NDArray[np.int32]]) -> None:
    first, second = estimate(tnbc[0]), estimate(tnbc[0])
    np.testing.assert_array_equal(first.W, second.W)
    np.testing.assert_array_equal(first.x0, second.x0)


def _grey_noise() -> RGB:
    return np.repeat(np.random.default_rng(0).integers(0, 255, (90, 90, 1), np.uint8), 3, axis=2)


def _one_stain(column: int) -> RGB:
    amounts = np.zeros((90, 90, 2))
    amounts[..., column] = np.random.default_rng(0).uniform(0, 1.5, (90, 90))
    return stained(amounts)


@pytest.mark.parametrize(
    "rgb",
    [
        np.full((90, 90, 3), 255, np.uint8),
        np.zeros((90, 90, 3), np.uint8),
        np.full((90, 90, 3), 128, np.uint8),
        np.full((1, 1, 3), 90, np.uint8),
        _grey_noise(),
        _one_stain(0),
        _one_stain(1),
    ],
    ids=["white", "black", "grey", "one pixel", "grey noise", "hematoxylin only", "eosin only"],
)
def test_images_without_two_stains_fall_back(rgb: RGB) -> None:
    matrix = estimate(rgb)
    assert matrix.source == "fixed"
    component = hematoxylin(rgb, matrix)
    assert np.isfinite(component).all()
    assert component.min() >= 0
    assert component.max() <= 1


def test_tissue_is_neither_glass_nor_padding() -> None:
    rgb = np.full((3, 10, 3), 245, np.uint8)
    rgb[1] = (120, 70, 150)
    rgb[2] = 0
    assert tissue(rgb).any(axis=1).tolist() == [False, True, False]
