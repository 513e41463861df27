from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from napari_noisyseg import stains
from napari_noisyseg.training.refine import Evidence, Found, further, judge, outlines

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


def test_a_crisp_nucleus_is_surer_than_a_faint_or_a_disputed_one() -> None:
    probability = np.where(LABELS > 0, 0.95, 0.05)
    probability[LABELS == 2] = 0.3
    doubt = np.zeros(LABELS.shape)
    doubt[56:84, 6:34] = 0.5
    found = by_label(judge(evidence(probability, doubt), LABELS))
    assert found[1].score == pytest.approx(0.9, abs=0.01)
    assert found[4].score == pytest.approx(found[1].score)
    assert found[2].score < 0.3
    assert 0.4 < found[3].score < 0.5
    assert found[1].reason == "nothing stands out"
    assert found[2].reason == "the network hardly sees a nucleus here"
    assert found[3].reason == "the two networks disagree along the outline"


def test_what_all_nuclei_share_is_no_reason() -> None:
    probability = np.where(LABELS > 0, 0.4, 0.2)
    probability[LABELS == 2] = 0.25
    found = by_label(judge(evidence(probability), LABELS))
    assert found[1].reason == "nothing stands out"
    assert found[2].reason in ("the edge is faint", "the network hardly sees a nucleus here")
    assert found[2].score < found[1].score < 0.25


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
    assert crowded[5].reason == "hard to part from its neighbours"


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
    labels = outlines(seen, points, serials)
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
