"""What an outline knows of its pixels."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_noisyseg.slides import Box
from napari_noisyseg.store import Outline

SIDE = 16
starts, lengths = st.integers(0, SIDE - 1), st.integers(1, 6)
boxes = st.builds(lambda y, x, h, w: Box(y, x, y + h, x + w), starts, starts, lengths, lengths)
outlines = boxes.flatmap(lambda box: arrays(bool, box.shape).map(lambda mask: Outline(box, mask)))


def everywhere(outline: Outline) -> np.ndarray:
    """The nucleus in a plane that holds any of the boxes."""
    plane = np.zeros((2 * SIDE, 2 * SIDE), bool)
    plane[outline.box.slices] = outline.mask
    return plane


@given(outlines, boxes)
def test_cut_is_the_part_of_any_box(outline: Outline, box: Box) -> None:
    assert np.array_equal(outline.cut(box), everywhere(outline)[box.slices])


@given(outlines)
def test_of_what_was_cut_is_the_same_nucleus_in_its_smallest_box(outline: Outline) -> None:
    again = Outline.of(outline.mask, outline.box)
    if not outline.area:
        assert again is None
        return
    assert again is not None
    assert np.array_equal(everywhere(again), everywhere(outline))
    assert again.area == outline.area == int(outline.mask.sum())
    assert again.box == Box.of_mask(everywhere(outline))
    assert Outline.of(again.mask, again.box) == again
    assert not np.shares_memory(again.mask, outline.mask)


@given(outlines, boxes, st.booleans(), st.randoms(use_true_random=False))
def test_paste_writes_the_part_in_the_box(outline, box, under, chance) -> None:
    before = np.array([[chance.randrange(3) for _ in range(box.width)] for _ in range(box.height)])
    labels = before.copy()
    outline.paste(labels, box, 9, under)
    inside = everywhere(outline)[box.slices]
    where = inside & (before == 0) if under else inside
    assert np.array_equal(labels, np.where(where, 9, before))
