"""Noise that strikes images: all nuclei of one alike."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.noise import foreground_dice, ids_of, strike_images
from napari_noisyseg.noise.simulate import affine


@pytest.fixture
def windows(tnbc) -> list[NDArray[np.int32]]:
    """Windows of real tissue, nuclei at the border left out: nothing of them is cut off."""
    found = []
    for y in (0, 128, 256):
        for x in (0, 128, 256):
            window = tnbc[1][y : y + 160, x : x + 160].astype(np.int32)
            edge = np.concatenate([window[:40].ravel(), window[-40:].ravel()])
            edge = np.concatenate([edge, window[:, :40].ravel(), window[:, -40:].ravel()])
            found.append(np.where(np.isin(window, edge), 0, window))
    return [window for window in found if window.any()]


def shifts(truth: NDArray[np.int32], noisy: NDArray[np.int32]) -> NDArray[np.float64]:
    """How far the middle of each nucleus has moved, (n, 2)."""
    ids = np.intersect1d(ids_of(truth), ids_of(noisy))
    before, after = (
        np.array(ndimage.center_of_mass(labels > 0, labels, ids)) for labels in (truth, noisy)
    )
    return after - before


def test_all_nuclei_of_an_image_move_in_one_direction(windows) -> None:
    struck = strike_images(windows, "affine", 1.0, 0.7)
    spread, single = [], []
    for k, (truth, noisy) in enumerate(zip(windows, struck, strict=True)):
        for kind, labels in ((spread, noisy), (single, affine(truth, 0.7, 1.0, seed=k))):
            moved = shifts(truth, labels)
            unit = moved / np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), 1e-9)
            if len(unit) > 2:
                kind.append(np.linalg.norm(unit.mean(axis=0)))
    assert np.mean(spread) > 0.9
    assert np.mean(single) < 0.8


def test_all_nuclei_of_an_image_grow_or_all_shrink(windows) -> None:
    struck = strike_images(windows, "morph", 1.0, 0.7)
    signs = set()
    for truth, noisy in zip(windows, struck, strict=True):
        ids = ids_of(truth)
        before = np.bincount(truth.ravel(), minlength=ids.max() + 1)[ids]
        after = np.bincount(noisy.ravel(), minlength=ids.max() + 1)[ids]
        grown = after > before
        assert grown.all() or not grown.any()
        signs.add(bool(grown.all()))
    assert signs == {True, False}


@pytest.mark.parametrize("noise", ["affine", "morph"])
def test_a_share_of_the_images_is_struck_and_the_others_stay(windows, noise) -> None:
    many = windows * 6
    struck = strike_images(many, noise, 0.5, 0.7)
    same = [np.array_equal(a, b) for a, b in zip(many, struck, strict=True)]
    assert sum(same) == len(many) // 2
    assert all(
        np.array_equal(a, b)
        for a, b in zip(struck, strike_images(many, noise, 0.5, 0.7), strict=True)
    )
    assert np.mean([foreground_dice(a, b) for a, b in zip(struck, many, strict=True)]) < 0.9


def test_impossible_noise_is_refused(windows) -> None:
    with pytest.raises(NoisySegError, match="affine or morph"):
        strike_images(windows, "box", 0.5, 0.7)
    with pytest.raises(NoisySegError, match="give 0 to 1"):
        strike_images(windows, "affine", 1.5, 0.7)
