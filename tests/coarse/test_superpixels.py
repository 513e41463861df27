from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from napari_noisyseg.coarse.superpixels import superpixels

Tissue = tuple[NDArray[np.uint8], NDArray[np.int32]]


def test_as_many_as_squares_of_their_size(tnbc: Tissue) -> None:
    rgb = tnbc[0]
    ids = superpixels(rgb, 0.25)
    squares = rgb.shape[0] * rgb.shape[1] * (0.25 / 3.2) ** 2
    assert ids.dtype == np.int32
    assert np.array_equal(np.unique(ids), np.arange(1, ids.max() + 1))
    assert 0.7 * squares < ids.max() < 1.3 * squares


def test_each_is_one_piece_and_the_same_again(tnbc: Tissue) -> None:
    rgb = tnbc[0][:160, :160]
    ids = superpixels(rgb, 0.25)
    assert np.array_equal(ids, superpixels(rgb, 0.25))
    assert all(ndimage.label(ids == k)[1] == 1 for k in range(1, ids.max() + 1))


def test_they_follow_nuclei_better_than_squares(tnbc: Tissue) -> None:
    """Share of pixels that a majority vote within each part calls rightly."""
    rgb, nuclei = tnbc
    side = round(3.2 / 0.25)
    rows, columns = (np.arange(n) // side for n in nuclei.shape)
    squares = rows[:, None] * (columns.max() + 1) + columns

    def right(parts: NDArray[np.integer]) -> float:
        inside = np.bincount(parts.ravel(), (nuclei > 0).ravel())
        share = inside / np.maximum(np.bincount(parts.ravel()), 1)
        return float(((share > 0.5)[parts] == (nuclei > 0)).mean())

    assert right(superpixels(rgb, 0.25)) > right(squares) + 0.01


@pytest.mark.parametrize("shape", [(1, 40), (3, 3), (2, 200)])
def test_tiny_images_have_some(shape: tuple[int, int]) -> None:
    ids = superpixels(np.zeros((*shape, 3), np.uint8), 0.25)
    assert ids.shape == shape
    assert ids.min() >= 1
