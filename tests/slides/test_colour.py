from __future__ import annotations

import numpy as np
import pytest

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import to_rgb

RGB = np.random.default_rng(3).integers(0, 256, (5, 7, 3), dtype=np.uint8)


def test_rgb_stays_as_it_is() -> None:
    assert np.array_equal(to_rgb(RGB, "x"), RGB)


@pytest.mark.parametrize("grey", [RGB[..., 0], RGB[..., :1]])
def test_grey_becomes_three_equal_channels(grey: np.ndarray) -> None:
    expected = np.dstack([RGB[..., 0]] * 3)
    assert np.array_equal(to_rgb(grey, "x"), expected)


def test_transparent_pixels_are_laid_on_white() -> None:
    pixels = np.zeros((1, 3, 4), np.uint8)
    pixels[0, :, 3] = (255, 0, 128)
    assert to_rgb(pixels, "x")[0, :, 0].tolist() == [0, 255, 127]
    assert to_rgb(pixels[..., [0, 3]], "x")[0, :, 2].tolist() == [0, 255, 127]


def test_16_bit_colours_over_the_full_range_are_scaled() -> None:
    sixteen = RGB.astype(np.uint16) * 257
    assert np.array_equal(to_rgb(sixteen, "x"), RGB)


def test_8_bit_colours_kept_in_16_bits_stay_as_they_are() -> None:
    assert np.array_equal(to_rgb(RGB.astype(np.uint16), "x"), RGB)


@pytest.mark.parametrize("pixels", [RGB, RGB[..., 0], RGB[..., :1]])
def test_colours_and_greys_in_0_to_1_are_scaled(pixels: np.ndarray) -> None:
    assert np.array_equal(to_rgb(pixels / 255, "x"), to_rgb(pixels, "x"))


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (RGB.astype(np.uint16) * 12, "full range is unclear"),
        (np.full((4, 4), 900, np.uint16), "fluorescence"),
        (np.ones((4, 4), bool), "mask"),
        (RGB / 100, "decimal numbers"),
        (RGB[..., 0] / 100, "decimal numbers from"),
        (np.where(np.arange(12) == 5, np.nan, 0.5).reshape(2, 2, 3), "which 1 are not finite"),
        (RGB.astype(np.int64), "8 bits per channel"),
        (np.zeros((9, 9, 7), np.uint8), "7 channels"),
        (np.zeros((3, 40, 70), np.uint8), "colours first"),
        (np.zeros((2, 4, 4, 3), np.uint8), "4 axes"),
        (np.zeros((0, 4, 3), np.uint8), "no pixels"),
        (np.zeros(4, np.uint8), "1 axes"),
    ],
)
def test_what_has_no_plain_meaning_is_refused(array: np.ndarray, said: str) -> None:
    with pytest.raises(NoisySegError, match=said) as caught:
        to_rgb(array, "layer A")
    assert "layer A" in str(caught.value)
