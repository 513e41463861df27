"""Nuclei read with the starter's networks and a say of the prediction, or from that alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage as ndi

from napari_noisyseg import instances
from napari_noisyseg.coarse import CoarseLabels, centres, readers
from napari_noisyseg.coarse import starter as files
from napari_noisyseg.coarse.outline import OWN, SHARE, halfway, together
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.metrics import aji

MPP = 0.25


@pytest.fixture(scope="module")
def points(tnbc: Any) -> NDArray[np.float64]:
    serials = np.unique(tnbc[1])[1:]
    return np.array(ndi.center_of_mass(tnbc[1] > 0, tnbc[1], serials))


def flat(rgb: NDArray[np.uint8], value: float = 0.5) -> NDArray[np.float32]:
    """A prediction that says nothing."""
    return np.full(rgb.shape[:2], value, np.float32)


def read(rgb: Any, points: Any, probability: Any, splitting: Any) -> NDArray[np.int32]:
    density = np.zeros(rgb.shape[:2], np.float32)
    return instances.at_points(probability, points, density, rgb, MPP, splitting).labels


def test_at_points_a_prediction_that_says_nothing_leaves_the_outlines_at_the_clicks(
    tnbc: Any, points: Any
) -> None:
    found = read(tnbc[0], points, flat(tnbc[0]), "centres")
    clicks = {n: (y, x) for n, (y, x) in enumerate(points.tolist(), start=1)}
    known = np.ones(tnbc[1].shape, bool)
    alone = CoarseLabels(tnbc[0], clicks, known, MPP, kinds=("outline",)).outlines
    assert aji(found, np.asarray(alone)) > 0.95
    assert set(np.unique(found)) == {0, *clicks}


def test_at_points_the_prediction_has_a_say(tnbc: Any, points: Any) -> None:
    true, wrong = (tnbc[1] > 0).astype(np.float32), (tnbc[1] == 0).astype(np.float32)
    scores = [
        aji(read(tnbc[0], points, p, "centres"), tnbc[1]) for p in (true, flat(tnbc[0]), wrong)
    ]
    assert scores[0] > scores[1] > scores[2]


def test_at_points_first_weights_have_a_say_beside_the_trained_ones(tnbc: Any, points: Any) -> None:
    true, wrong = (tnbc[1] > 0).astype(np.float32), (tnbc[1] == 0).astype(np.float32)
    density = np.zeros(true.shape, np.float32)

    def score(trained: Any, first: Any) -> float:
        read = instances.at_points(trained, points, density, tnbc[0], MPP, "centres", first)
        return aji(read.labels, tnbc[1])

    alone = aji(read(tnbc[0], points, wrong, "centres"), tnbc[1])
    assert score(wrong, wrong) < alone < score(wrong, true) < score(true, true)


def test_halfway_is_the_middle_of_log_odds() -> None:
    one, other = np.array([0.9, 0.5], np.float32), np.array([0.1, 0.9], np.float32)
    np.testing.assert_allclose(halfway(one, other), [0.5, 0.75], rtol=1e-5)


def test_the_share_is_one_of_log_odds_and_none_far_from_the_click() -> None:
    own = np.array([0.01, 0.5, 0.9], np.float32)
    other = np.array([0.9, 0.9, 0.5], np.float32)
    found = together(own, other)
    assert found[0] == own[0]
    assert own[0] < OWN
    np.testing.assert_allclose(found[1], 9**SHARE / (1 + 9**SHARE), rtol=1e-5)
    np.testing.assert_allclose(found[2], 9 ** (1 - SHARE) / (1 + 9 ** (1 - SHARE)), rtol=1e-5)


def test_without_points_the_starter_finds_them_and_the_prediction_has_half_of_the_say(
    tnbc: Any,
) -> None:
    rgb, truth = tnbc
    with_truth = instances.nuclei((truth > 0).astype(np.float32), rgb, MPP, "centres")
    alone = centres.segment(rgb, MPP)
    nothing = instances.nuclei(flat(rgb, 0.0), rgb, MPP, "centres")
    assert aji(with_truth, truth) > aji(alone, truth)
    assert nothing.max() < alone.max()


@pytest.mark.parametrize("splitting", ["watershed", "components"])
def test_the_other_ways_look_at_the_prediction_alone(tnbc: Any, splitting: Any) -> None:
    rgb, truth = tnbc
    probability = (truth > 0).astype(np.float32)
    found = instances.nuclei(probability, rgb, MPP, splitting)
    other = instances.nuclei(probability, np.zeros_like(rgb), MPP, splitting)
    np.testing.assert_array_equal(found, other)


def test_an_image_without_colours_is_read_as_without_the_starter(tnbc: Any, points: Any) -> None:
    grey = np.repeat(tnbc[0].mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    probability = (tnbc[1] > 0).astype(np.float32)
    for way in (
        lambda s: instances.nuclei(probability, grey, MPP, s),
        lambda s: read(grey, points, probability, s),
    ):
        np.testing.assert_array_equal(way("centres"), way("watershed"))


def test_without_its_networks_it_falls_back(
    tnbc: Any, points: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> Any:
        raise NoisySegError("missing")

    monkeypatch.setattr(readers, "shipped", missing)
    monkeypatch.setattr(centres, "shipped", missing)
    probability = (tnbc[1] > 0).astype(np.float32)
    np.testing.assert_array_equal(
        instances.nuclei(probability, tnbc[0], MPP, "centres"),
        instances.nuclei(probability, tnbc[0], MPP, "watershed"),
    )
    np.testing.assert_array_equal(
        read(tnbc[0], points, probability, "centres"),
        read(tnbc[0], points, probability, "watershed"),
    )
    assert files.shipped is not missing


def test_no_points_are_no_nuclei(tnbc: Any) -> None:
    assert read(tnbc[0], np.zeros((0, 2)), flat(tnbc[0]), "centres").max() == 0


def test_rough_masks_are_redrawn_and_what_they_lack_is_found(tnbc: Any) -> None:
    rgb, truth = tnbc
    serials = np.unique(truth)[1:]
    clean = np.where(np.isin(truth, serials[:5]), truth, 0)
    rough = np.where(np.isin(truth, serials[5::2]), truth, 0)
    for name, box in enumerate(ndi.find_objects(rough), start=1):
        if box is not None:
            rough[box][rough[box] == 0] = name  # the box around it
    empty = np.zeros(truth.shape, bool)
    empty[:, :100] = clean[:, :100] == 0
    given = instances.Given(rough, clean, empty)
    found = instances.in_masks(flat(rgb), given, rgb, MPP, "centres")
    assert found is not None

    def iou(mask: Any) -> float:
        mask, true = (mask > 0) & ~empty, (truth > 0) & ~empty
        return float((mask & true).sum() / (mask | true).sum())

    assert iou(found) > iou(np.where(rough > 0, rough, clean)) + 0.1
    kept = [np.unique(found[clean == n]) for n in serials[:5]]
    assert all(len(one) == 1 and one[0] > 0 for one in kept)
    assert not found[empty].any()
    lacking = np.isin(truth, serials[6::2]) & ~empty
    assert (found[lacking] > 0).mean() > 0.4


def test_rough_masks_are_left_to_the_method_where_the_starter_has_no_say(tnbc: Any) -> None:
    nothing = np.zeros(tnbc[1].shape, np.int32)
    given = instances.Given(nothing, nothing, nothing > 0)
    assert instances.in_masks(flat(tnbc[0]), given, tnbc[0], MPP, "watershed") is None
    grey = np.repeat(tnbc[0].mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    assert instances.in_masks(flat(grey), given, grey, MPP, "centres") is None
