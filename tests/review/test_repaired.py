"""Cutting, joining and drawing outlines: on the nuclei of real tissue."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import NDArray
from skimage.measure import label, regionprops

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.review import repair
from napari_noisyseg.slides import Box
from napari_noisyseg.store.records import ImageRecord, Outline

RECORD = ImageRecord("tissue", 512, 512, 0.25, False, None, "")


@pytest.fixture(scope="module")
def nuclei(tnbc: tuple[NDArray[np.uint8], NDArray[np.int32]]) -> list[Outline]:
    return [Outline(Box(*one.bbox), one.image) for one in regionprops(tnbc[1])]


def across(outline: Outline) -> NDArray[np.float64]:
    """A line through the middle, from far left to far right."""
    y, x = outline.middle()
    return np.array([(y, x - 60), (y, x + 60)])


def test_a_line_across_cuts_every_nucleus_in_two(nuclei: list[Outline]) -> None:
    for one in nuclei:
        parts = repair.cut(one, across(one))
        total = np.zeros((512, 512), int)
        for part in parts:
            total[part.box.slices] += part.mask
            largest = np.bincount(label(part.mask, connectivity=1).ravel())[1:].max()
            assert largest >= 0.9 * part.area
        assert len(parts) >= 2 or min(one.mask.shape) < 6
        assert np.array_equal(total, one.cut(Box(0, 0, 512, 512)))  # each pixel once


@given(
    pick=st.integers(0, 10_000),
    corners=st.lists(st.tuples(st.floats(-30, 30), st.floats(-30, 30)), min_size=2, max_size=6),
)
@settings(deadline=None, max_examples=60)
def test_whatever_the_line_no_pixel_is_lost(
    nuclei: list[Outline], pick: int, corners: list[tuple[float, float]]
) -> None:
    one = nuclei[pick % len(nuclei)]
    parts = repair.cut(one, np.array(corners) + one.middle())
    assert sum(part.area for part in parts) == one.area
    assert parts == [one] or len(parts) > 1


def test_a_line_beside_it_cuts_nothing(nuclei: list[Outline]) -> None:
    one = nuclei[0]
    assert repair.cut(one, across(one) + 200) == [one]


def test_what_was_cut_is_joined_again(nuclei: list[Outline]) -> None:
    for one in nuclei[::7]:
        parts = repair.cut(one, across(one))
        if len(parts) == 2:
            joined = repair.join(*parts, 0.25)
            assert joined.cut(one.box)[one.mask].all()


def test_a_gap_is_filled_and_a_wide_one_refused() -> None:
    def square(x: int) -> Outline:
        return Outline(Box(10, x, 30, x + 20), np.ones((20, 20), bool))

    joined = repair.join(square(10), square(34), 0.25)
    assert label(joined.mask, connectivity=1).max() == 1
    assert joined.mask[10].all()
    with pytest.raises(NoisySegError, match="more than 2 µm apart"):
        repair.join(square(10), square(60), 0.25)


def test_a_drawn_line_is_filled_and_cut_to_the_image() -> None:
    line = np.array([(10.0, 10.0), (10.0, 30.0), (20.0, 30.0), (20.0, 10.0)])
    found = repair.drawn(line, RECORD)
    assert found.area == pytest.approx(200, abs=31)
    assert found.holds(15, 20)
    assert repair.drawn(line - 15, RECORD).box.y0 == 0
    for bad in (line[:2], line[:1], line + 600):
        with pytest.raises(NoisySegError, match="encloses nothing"):
            repair.drawn(bad, RECORD)


def test_a_crossed_line_is_one_nucleus() -> None:
    eight = np.array([(10.0, 10.0), (30.0, 30.0), (10.0, 30.0), (30.0, 10.0)])
    assert label(repair.drawn(eight, RECORD).mask, connectivity=1).max() == 1


def test_places_inside_a_line() -> None:
    line = np.array([(0, 0), (0, 10), (10, 10), (10, 0)])
    places = np.array([(5, 5), (5, 15), (-1, 5)])
    assert repair.inside(line, places).tolist() == [True, False, False]
    assert not repair.inside(line[:2], places).any()
