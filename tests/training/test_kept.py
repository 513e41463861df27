"""Rough masks that agree with redrawn ones stay; clean nuclei tell how far they must agree."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage as ndi
from skimage.draw import disk

from napari_noisyseg.instances import Given, in_masks
from napari_noisyseg.training import kept
from napari_noisyseg.training.kept import Shared, least_overlap, with_kept

Labels = NDArray[np.int32]
MPP = 0.25


def squares(*places: tuple[int, int, int]) -> Labels:
    """1, 2, ... at the corners (y, x), so wide; int32 (40, 400)."""
    labels = np.zeros((40, 400), np.int32)
    for name, (y, x, side) in enumerate(places, start=1):
        labels[y : y + side, x : x + side] = name
    return labels


def ovals(*places: tuple[int, int, int]) -> Labels:
    """1, 2, ... with bounding boxes at the corners (y, x), so wide; int32 (40, 400)."""
    labels = np.zeros((40, 400), np.int32)
    for name, (y, x, side) in enumerate(places, start=1):
        middle = (side - 1) / 2
        labels[disk((y + middle, x + middle), side / 2, shape=labels.shape)] = name
    return labels


def never(given: Given) -> Labels:
    raise AssertionError("nothing was to be redrawn")


def bare(rough: Labels) -> Given:
    return Given(rough, np.zeros_like(rough), np.zeros(rough.shape, bool))


def test_overlaps_by_hand() -> None:
    shared = Shared.of(squares((0, 0, 10), (0, 20, 10)), 7 * squares((0, 5, 10), (20, 20, 10)))
    assert shared.best.tolist() == [0, 7, 0]
    assert shared.iou(np.array([1]), shared.best[[1]]).tolist() == [50 / 150]
    both = np.array([1, 2]), np.array([14, 0])
    assert shared.iou(*both).tolist() == [0, 0]
    nothing = Shared.of(squares((0, 0, 10)), squares())
    assert nothing.iou(np.array([1]), np.array([0])).tolist() == [0]


def test_without_clean_nuclei_masks_stay_that_agree() -> None:
    rough = ovals((0, 0, 10), (0, 20, 10), (0, 40, 10))
    redrawn = 5 * ovals((0, 1, 10), (0, 24, 10), (0, 60, 10))
    after = with_kept(redrawn, bare(rough), never)
    kept_, moved, beside = (after[:, 20 * n : 20 * n + 20] > 0 for n in (0, 1, 3))
    np.testing.assert_array_equal(kept_, rough[:, :20] > 0)  # IoU 0.75: as it was given
    np.testing.assert_array_equal(moved, redrawn[:, 20:40] > 0)  # IoU 0.32
    np.testing.assert_array_equal(beside, redrawn[:, 60:80] > 0)  # no mask is there
    assert not after[:10, 40:50].any()
    assert len(np.unique(after)) == 4


def test_what_is_settled_stays_as_it_was_redrawn() -> None:
    rough = ovals((0, 0, 10), (0, 20, 10))
    redrawn = ovals((0, 0, 9), (0, 20, 9))
    clean = np.where(rough == 1, 3, 0).astype(np.int32)
    empty = np.zeros(rough.shape, bool)
    empty[:, 20:22] = True
    redrawn[empty] = 0
    after = with_kept(redrawn, Given(rough, clean, empty), never)
    np.testing.assert_array_equal(after[:, :20], redrawn[:, :20])
    assert not after[empty].any()
    np.testing.assert_array_equal(after[:, 22:] > 0, rough[:, 22:] > 0)


def test_boxes_never_stay_also_where_a_neighbour_cuts_them() -> None:
    rough = squares((0, 0, 10), (0, 6, 10), (0, 40, 10))
    rough[:, 55:70] = ovals((0, 0, 10))[:, :15] * 4
    redrawn = rough.copy()
    redrawn[0] = 0
    after = with_kept(redrawn, bare(rough), never)
    np.testing.assert_array_equal(after[:, :55], redrawn[:, :55])
    np.testing.assert_array_equal(after[:, 55:] > 0, rough[:, 55:] > 0)


def test_the_overlap_is_the_one_that_meets_clean_nuclei_best() -> None:
    agreement = np.array([0.9, 0.9, 0.72, 0.72, 0.55, 0.55, 0.3, 0.3, 0.3])
    redrawn = np.full(9, 0.7)
    right = np.array([1, 1, 1, 1, 0.9, 0.9, 0.2, 0.2, 0.2])
    assert least_overlap(agreement, right, redrawn) == 0.5
    assert least_overlap(agreement, np.ones(9), redrawn) == 0.0
    assert least_overlap(agreement, np.full(9, 0.4), redrawn) > 1
    # no better than chance would have it: none stays
    assert least_overlap(agreement, redrawn + np.array([0.1, -0.1, 0] * 3), redrawn) > 1


def test_clean_nuclei_are_redrawn_as_if_nobody_knew_them() -> None:
    count = kept.FEWEST
    lone = (20, 60, 10)
    rough = ovals(*((0, 30 * n, 10) for n in range(count)), (20, 0, 10), (20, 30, 10), lone)
    clean = np.where((rough > 0) & (rough <= count), rough, 0).astype(np.int32)
    asked: list[Given] = []

    def off(given: Given, by: int = 6) -> Labels:
        asked.append(given)
        return np.roll(given.rough, by, 1)

    redrawn = np.where(clean > 0, clean, np.roll(np.where(clean > 0, 0, rough), 6, 1))
    redrawn[redrawn == rough.max()] = 0  # where nothing was found
    after = with_kept(redrawn, Given(rough, clean, clean < 0), off)
    (given,) = asked
    assert not given.clean.any()
    np.testing.assert_array_equal(given.rough > 0, clean > 0)
    # where clean nuclei tell, rough masks are right: all others stay as well
    np.testing.assert_array_equal(after > 0, rough > 0)
    # where clean nuclei tell, rough masks are wrong and redrawn ones right: none stays
    wrong = Given(np.roll(rough, 4, 1), clean, clean < 0)
    drawn = np.where(clean > 0, clean, rough)
    right = with_kept(drawn, wrong, lambda given: np.roll(given.rough, -4, 1))
    np.testing.assert_array_equal(right > 0, drawn > 0)


@pytest.mark.parametrize(("told", "least"), [(False, 0.05), (True, 0.1)])
def test_masks_that_are_right_come_back_more_like_themselves(
    tnbc: Any, told: bool, least: float
) -> None:
    rgb, truth = tnbc
    serials = np.unique(truth)[1:]
    clean = np.where(np.isin(truth, serials[::4]) & told, truth, 0).astype(np.int32)
    given = Given(truth, clean, np.zeros(truth.shape, bool))
    flat = np.full(truth.shape, 0.5, np.float32)

    def redraw(given: Given) -> Labels | None:
        return in_masks(flat, given, rgb, MPP, "centres")

    def iou(labels: Labels) -> float:
        return float(((labels > 0) & (truth > 0)).sum() / ((labels > 0) | (truth > 0)).sum())

    redrawn = redraw(given)
    assert redrawn is not None
    assert iou(with_kept(redrawn, given, redraw)) > iou(redrawn) + least


def test_boxes_do_not_stay(tnbc: Any) -> None:
    rgb, truth = tnbc
    rough = np.zeros_like(truth)
    for name, box in enumerate(ndi.find_objects(truth), start=1):
        if box is not None:
            wide = tuple(slice(max(s.start - 3, 0), s.stop + 3) for s in box)
            rough[wide][rough[wide] == 0] = name
    clean = np.where(np.isin(truth, np.unique(truth)[1::4]), truth, 0).astype(np.int32)
    given = Given(rough, clean, np.zeros(truth.shape, bool))
    redraw = partial(
        in_masks, np.full(truth.shape, 0.5, np.float32), rgb=rgb, mpp=MPP, splitting="centres"
    )
    redrawn = redraw(given)
    assert redrawn is not None
    after = with_kept(redrawn, given, redraw)
    np.testing.assert_array_equal(after, redrawn)
    np.testing.assert_array_equal(with_kept(redrawn, bare(rough), never), redrawn)
