from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage, stats

from napari_noisyseg import stains
from napari_noisyseg.training.refine import (
    TEMPERATURE,
    Evidence,
    Found,
    bolder,
    corrected,
    further,
    judge,
    outlines,
)

Tissue = tuple[NDArray[np.uint8], NDArray[np.int32]]


def disks(*centres_radii: tuple[int, int, int], shape: tuple[int, int] = (96, 96)) -> NDArray:
    y, x = np.indices(shape)
    labels = np.zeros(shape, np.int32)
    for i, (cy, cx, r) in enumerate(centres_radii):
        labels[(y - cy) ** 2 + (x - cx) ** 2 <= r * r] = i + 1
    return labels


def evidence(probability: NDArray, uncertainty: NDArray | None = None) -> Evidence:
    shape = probability.shape
    unsure = np.zeros(shape) if uncertainty is None else uncertainty
    blank = np.full((*shape, 3), 200, np.uint8)
    return Evidence(
        probability.astype(np.float32), unsure.astype(np.float32),
        probability.astype(np.float32), blank, 0.25,
    )  # fmt: skip


def by_label(found: list[Found]) -> dict[int, Found]:
    return {f.label: f for f in found}


LABELS = disks((20, 20, 8), (20, 70, 8), (70, 20, 8), (70, 70, 8))


def chance(odds: float) -> float:
    return 1 / (1 + math.exp(-odds))


def test_confidence_by_hand() -> None:
    """-1.5, 2.5 clicked, 3 contrast, 2 edge, 1.5 ln(area / median), -2 crowded, -2 doubt."""
    probability = np.where(LABELS > 0, 0.95, 0.05)
    probability[LABELS == 2] = 0.5
    doubt = np.zeros(LABELS.shape)
    doubt[56:84, 6:34] = 0.5
    found = by_label(judge(evidence(probability, doubt), LABELS, clicked=[4]))
    assert found[1].score == pytest.approx(chance(-1.5 + 3 + 2), abs=1e-6)
    assert found[2].score == pytest.approx(chance(-1.5 + 5 * 0.45 / 0.9), abs=1e-6)
    assert found[3].score == pytest.approx(chance(-1.5 + 5 - 2 * 0.5), abs=1e-6)
    assert found[4].score == pytest.approx(chance(-1.5 + 5 + 2.5), abs=1e-6)


def test_small_and_crowded_ones_are_less_sure() -> None:
    labels = disks((20, 20, 8), (20, 70, 8), (70, 20, 4))
    labels[60:80, 60:70], labels[60:80, 70:80] = 4, 5
    found = by_label(judge(evidence(labels > 0), labels))
    areas = np.bincount(labels.ravel())[1:]
    small = math.log(areas[2] / np.median(areas))
    assert found[3].score == pytest.approx(chance(3.5 + 1.5 * small), abs=1e-6)
    # 20 of the 56 pixels of the outline of a 20x10 block lie against the other
    smaller = math.log(200 / np.median(areas))
    crowded = -2 * 20 / 56 + min(0, 1.5 * smaller)
    assert found[4].score == pytest.approx(chance(3.5 + crowded), abs=1e-6)


def test_reasons_name_what_is_faint_or_disputed() -> None:
    probability = np.where(LABELS > 0, 0.95, 0.05)
    probability[LABELS == 2] = 0.3
    doubt = np.zeros(LABELS.shape)
    doubt[56:84, 6:34] = 0.5
    found = by_label(judge(evidence(probability, doubt), LABELS))
    assert found[2].score < found[3].score < found[1].score
    assert found[1].score == pytest.approx(found[4].score)
    assert found[1].reason == "nothing stands out"
    assert found[2].reason == "the network hardly sees a nucleus here"
    assert found[3].reason == "the two networks disagree along the outline"


def test_what_all_nuclei_share_is_no_reason_and_no_doubt() -> None:
    probability = np.where(LABELS > 0, 0.4, 0.2)
    probability[LABELS == 2] = 0.25
    found = by_label(judge(evidence(probability), LABELS))
    assert found[1].reason == "nothing stands out"
    assert found[2].reason in ("the edge is faint", "the network hardly sees a nucleus here")
    assert found[2].score < found[1].score
    assert found[1].score == pytest.approx(chance(3.5), abs=1e-6)


def test_where_nothing_is_seen_nothing_is_sure() -> None:
    noise = np.random.default_rng(0).normal(0.5, 0.002, LABELS.shape)
    for found in judge(evidence(noise), LABELS):
        assert found.score < 0.25


@pytest.mark.parametrize("faintness", [1.0, 0.4])
def test_confidence_follows_how_right_outlines_of_real_tissue_are(
    tnbc: Tissue, faintness: float
) -> None:
    """However faintly a network sees the nuclei, what is rightly outlined is surer."""
    rgb, truth = tnbc
    density = stains.densities(rgb, stains.FIXED)[0]
    smooth = ndimage.gaussian_filter(density, 2)
    seen = faintness / (1 + np.exp(-6 * (smooth - np.median(smooth[truth > 0])) / smooth.std()))
    e = Evidence(seen.astype(np.float32), np.zeros_like(seen, np.float32), density, rgb, 0.25)
    labels = further(e, np.zeros_like(truth), np.zeros(truth.shape, bool))
    if faintness < 0.5:
        brighter = replace(e, probability=(seen / faintness).astype(np.float32))
        labels = further(brighter, np.zeros_like(truth), np.zeros(truth.shape, bool))
    found = judge(e, labels)
    sure = np.array([f.score for f in found])
    overlap = np.array([best_iou(labels == f.label, truth) for f in found])
    assert len(found) > 50
    assert stats.spearmanr(sure, overlap)[0] > 0.5
    high, low = overlap[sure >= np.quantile(sure, 0.75)], overlap[sure <= np.quantile(sure, 0.25)]
    assert (high >= 0.5).mean() > (low >= 0.5).mean() + 0.4
    assert abs(sure.mean() - (overlap >= 0.5).mean()) < 0.2


def best_iou(mask: NDArray[np.bool_], truth: NDArray[np.int32]) -> float:
    values = np.unique(truth[mask])
    ious = [(mask & (truth == v)).sum() / (mask | (truth == v)).sum() for v in values if v]
    return max(ious, default=0.0)


def test_centre_and_area_are_those_of_the_outline() -> None:
    (found,) = judge(evidence(LABELS == 1), np.where(LABELS == 1, 40_000, 0).astype(np.int32))
    assert (found.label, found.y, found.x) == (40_000, 20, 20)
    assert found.area_um2 == pytest.approx((LABELS == 1).sum() / 16)


def test_sizes_out_of_range_are_named() -> None:
    labels = disks((20, 20, 8), (20, 70, 8), (50, 48, 8), (75, 20, 3), (70, 72, 18))
    found = by_label(judge(evidence(labels > 0), labels))
    assert found[4].reason == "unusually small for this image"
    assert found[5].reason == "unusually large for this image"
    assert found[1].reason == "nothing stands out"


def test_crowded_and_cut_nuclei_are_named() -> None:
    labels = disks((48, 40, 10), (92, 80, 9))
    labels[38:60, 41:52] = np.where(labels[38:60, 41:52] == 1, 3, labels[38:60, 41:52])
    found = by_label(judge(evidence(labels > 0), labels))
    assert found[2].reason == "cut off by the image's edge"
    labels = np.zeros((60, 60), np.int32)
    for i in range(9):
        labels[6 + 16 * (i // 3) :, 6 + 16 * (i % 3) :][:16, :16] = i + 1
    crowded = by_label(judge(evidence(labels > 0), labels))
    assert crowded[5].reason == "hard to separate from its neighbours"


def test_every_score_lies_between_zero_and_one() -> None:
    rng = np.random.default_rng(0)
    found = judge(evidence(rng.random((96, 96)), 3 * rng.random((96, 96))), LABELS)
    assert len(found) == 4
    assert all(0 <= f.score <= 1 for f in found)
    assert judge(evidence(np.zeros((9, 9))), np.zeros((9, 9), np.int32)) == []


def test_outlines_carry_the_serials_of_their_points(tnbc: Tissue) -> None:
    rgb, truth = tnbc[0][:200, :200], tnbc[1][:200, :200]
    numbers = np.unique(truth)[1:]
    points = np.array(ndimage.center_of_mass(truth > 0, truth, numbers))
    serials = 1000 + np.arange(len(points))[::-1]
    density = stains.densities(rgb, stains.FIXED)[0]
    seen = Evidence(
        (truth > 0).astype(np.float32), np.zeros(truth.shape, np.float32), density, rgb, 0.25
    )
    labels = outlines(seen, points, serials).labels
    assert set(np.unique(labels)) == {0, *serials}
    for (y, x), serial in zip(points, serials, strict=True):
        near = labels[max(0, int(y) - 3) : int(y) + 4, max(0, int(x) - 3) : int(x) + 4]
        assert serial in near


def test_further_nuclei_leave_fields_and_marked_ones_alone() -> None:
    probability = np.where(disks((20, 20, 8), (20, 70, 8), (70, 20, 8)) > 0, 0.95, 0.02)
    marked = np.where(disks((20, 20, 8)) > 0, 7, 0).astype(np.int32)
    known = np.zeros((96, 96), bool)
    known[60:, :40] = True
    labels = further(evidence(probability), marked, known)
    assert np.array_equal(labels == 7, marked == 7)
    assert labels[70, 20] == 0
    assert labels[20, 70] == 8
    assert set(np.unique(labels)) == {0, 7, 8}


def test_nuclei_that_a_rough_mask_lacks_are_outlined_anew(tnbc: Tissue) -> None:
    rgb, truth = tnbc[0][:240, :240], tnbc[1][:240, :240]
    lacking = np.isin(truth, np.unique(truth)[1::3])
    given = (truth > 0) & ~lacking
    believed = np.where(given, 0.9, 0.1).astype(np.float32)
    depth = ndimage.distance_transform_edt(truth > 0)
    predicted = np.where(depth > 4, 0.9, 0.1).astype(np.float32)
    seen = Evidence(predicted, 0 * predicted, stains.densities(rgb, stains.FIXED)[0], rgb, 0.25)
    nowhere = np.zeros(truth.shape, bool)
    labels = corrected(seen, believed, given, nowhere)

    def iou(mask: NDArray) -> float:
        mask, lacked = mask & ~given, lacking & ~given
        return float((mask & lacked).sum() / (mask | lacked).sum())

    assert iou(labels > 0) > iou(predicted > 0.5) + 0.1
    assert ((labels > 0) & given).sum() > 0.98 * given.sum()
    assert len(np.unique(labels[labels > 0])) > len(np.unique(labels[given & (labels > 0)]))
    whole = corrected(seen, believed, given, ~given)
    assert ((whole > 0) == given).mean() > 0.99


def test_nothing_unlikely_is_added(tnbc: Tissue) -> None:
    """A faint prediction without an edge, beside a sure one on a true nucleus."""
    rgb, truth = tnbc[0][:240, :240], tnbc[1][:240, :240]
    pale = ndimage.binary_erosion(truth == 0, iterations=12)
    y, x = np.argwhere(pale)[0]
    predicted = np.where(truth > 0, 0.9, 0.1).astype(np.float32)
    predicted[y - 6 : y + 7, x - 6 : x + 7] = 0.55
    seen = Evidence(predicted, 0 * predicted, stains.densities(rgb, stains.FIXED)[0], rgb, 0.25)
    nowhere = np.zeros(truth.shape, bool)
    labels = corrected(seen, np.zeros_like(predicted), nowhere, nowhere)
    assert labels[y, x] == 0
    assert ((labels > 0) & (truth > 0)).sum() > 0.5 * (truth > 0).sum()


def test_a_bolder_network_believes_the_same_more() -> None:
    timid = np.array([[0.2, 0.5, 0.9], [0.0, 1.0, 0.501]], np.float32)
    bold = bolder(timid)
    assert bold.dtype == np.float32
    odds = math.log(0.9 / 0.1) / TEMPERATURE
    assert bold[0].tolist() == pytest.approx([1 / (1 + 4 ** (1 / TEMPERATURE)), 0.5,
                                              1 / (1 + math.exp(-odds))], rel=1e-4)  # fmt: skip
    assert bold[1, 0] == pytest.approx(0, abs=1e-6)
    assert bold[1, 1] == pytest.approx(1, abs=1e-6)
    assert bold[1, 2] > timid[1, 2]
