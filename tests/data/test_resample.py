import numpy as np
import pytest

from napari_noisyseg.data.resample import (
    resize,
    resize_lines,
    resize_mask,
    resize_states,
    scale_points,
    working_shape,
)


def test_working_shape_scales_by_resolution_and_never_vanishes() -> None:
    assert working_shape((1000, 512), 0.25, 0.5) == (500, 256)
    assert working_shape((100, 100), 0.5, 0.25) == (200, 200)
    assert working_shape((1, 1), 0.25, 4.0) == (1, 1)


def test_pixels_shrink_by_area_average(rng: np.random.Generator) -> None:
    rgb = rng.integers(0, 256, (12, 8, 3), np.uint8)
    expected = rgb.reshape(6, 2, 4, 2, 3).mean(axis=(1, 3))
    # rounded once per axis
    assert np.abs(resize(rgb, (6, 4)) - expected).max() <= 1
    assert resize(rgb, (12, 8)) is rgb


def test_a_mask_keeps_pixels_that_are_half_covered() -> None:
    mask = np.zeros((4, 4), bool)
    mask[:2, :1] = True
    assert resize_mask(mask, (2, 2)).tolist() == [[True, False], [False, False]]


def test_states_are_voted_and_stay_states() -> None:
    states = np.full((4, 4), 2, np.uint8)
    states[:2, :2] = [[1, 1], [0, 2]]
    states[2:, 2:] = [[0, 0], [0, 1]]
    states[2, 0] = 1
    assert resize_states(states, (2, 2)).tolist() == [[1, 2], [2, 0]]


@pytest.mark.parametrize("side", [32, 16])
def test_a_line_one_pixel_wide_survives_shrinking(side: int) -> None:
    states = np.full((64, 64), 2, np.uint8)
    states[:, 17] = 0
    states[np.arange(64), np.arange(64)] = 0
    small = resize_lines(states, (side, side))
    assert (small == 0).any(axis=1).all()
    assert (small[:, 17 * side // 64] == 0).all()
    assert (small == 0).mean() < 0.2


def test_points_keep_their_place_in_the_image() -> None:
    # the centre of an image and the centre of its first pixel
    points = np.array([[49.5, 24.5], [0.0, 0.0]])
    scaled = scale_points(points, (100, 50), (50, 25))
    assert scaled.tolist() == [[24.5, 12.0], [-0.25, -0.25]]
    assert np.allclose(scale_points(scaled, (50, 25), (100, 50)), points)
