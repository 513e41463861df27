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


pictures = st.integers(0, 6).flatmap(
    lambda h: st.integers(0, 6).flatmap(
        lambda w: st.lists(st.booleans(), min_size=h * w, max_size=h * w).map(
            lambda values: np.array(values, bool).reshape(h, w)
        )
    )
)
proper = st.builds(
    lambda y, x, h, w: Box(y, x, y + h, x + w), numbers, numbers, *[st.integers(0, 9)] * 2
)


@given(proper, proper)
def test_within_is_the_index_in_an_array_of_the_outer_box(a: Box, b: Box) -> None:
    inner, outer = a.intersect(b), b
    rows, columns = np.mgrid[outer.y0 : outer.y1, outer.x0 : outer.x1]
    part = inner.within(outer)
    assert rows[part].shape == columns[part].shape == inner.shape
    if not inner.empty:
        assert (rows[part].min(), columns[part].min()) == inner.origin
        assert (rows[part].max() + 1, columns[part].max() + 1) == (inner.y1, inner.x1)


@given(boxes, numbers, numbers)
def test_a_shifted_box_has_the_same_pixels_elsewhere(box: Box, dy: int, dx: int) -> None:
    moved = box.shift(dy, dx)
    assert moved.shape == box.shape
    assert moved.origin == (box.y0 + dy, box.x0 + dx)
    assert moved.shift(-dy, -dx) == box


@given(st.lists(boxes, max_size=5))
def test_around_is_the_smallest_box_that_holds_all(many: list[Box]) -> None:
    full = [box for box in many if not box.empty]
    around = Box.around(many)
    if not full:
        assert around == (0, 0, 0, 0)
        return
    assert all(around.intersect(box) == box for box in full)
    ends = list(zip(*full, strict=True))
    assert around == (min(ends[0]), min(ends[1]), max(ends[2]), max(ends[3]))


@given(pictures, numbers, numbers)
def test_of_mask_is_the_smallest_box_that_holds_what_is_set(
    picture: np.ndarray, y: int, x: int
) -> None:
    box = Box.of_mask(picture, (y, x))
    whole = Box(y, x, y + picture.shape[0], x + picture.shape[1])
    assert whole.intersect(box) == box
    part = picture[box.within(whole)]
    assert part.sum() == picture.sum()
    if picture.any():
        assert all(side.any() for side in (part[0], part[-1], part[:, 0], part[:, -1]))
    else:
        assert box == (y, x, y, x)


@given(proper)
def test_slices_and_back(box: Box) -> None:
    assert Box.of_slices(*box.slices) == box
