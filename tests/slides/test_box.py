from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_noisyseg.slides import Box

numbers = st.integers(-30, 30)
boxes = st.builds(Box, numbers, numbers, numbers, numbers)


def mask(box: Box) -> np.ndarray:
    y, x = np.mgrid[-40:41, -40:41]
    return (y >= box.y0) & (y < box.y1) & (x >= box.x0) & (x < box.x1)


@given(boxes, boxes)
def test_intersect_holds_what_both_hold(a: Box, b: Box) -> None:
    assert np.array_equal(mask(a.intersect(b)), mask(a) & mask(b))


@given(boxes, st.integers(0, 20), st.integers(0, 20))
def test_clip_is_the_part_inside_the_image(box: Box, height: int, width: int) -> None:
    clipped = box.clip((height, width, 3))
    assert np.array_equal(mask(clipped), mask(box) & mask(Box(0, 0, height, width)))
    assert 0 <= clipped.y0 <= clipped.y1 <= height
    assert 0 <= clipped.x0 <= clipped.x1 <= width


def test_slices_cut_the_box_out_of_an_array() -> None:
    assert np.zeros((20, 30, 3))[Box(2, 5, 10, 11).slices].shape == (8, 6, 3)


def test_a_point_belongs_to_the_pixel_it_is_nearest_to() -> None:
    box = Box(2, 3, 4, 5)
    assert box.contains(1.5, 2.5)
    assert not box.contains(1.49, 3)
    assert box.contains(3.49, 4.49)
    assert not box.contains(3.5, 4)
    assert box.grow(1) == (1, 2, 5, 6)
    assert (box.height, box.width, box.empty) == (2, 2, False)
