"""What the labels look like, and how right they are on real tissue."""

from __future__ import annotations

import numpy as np
import pytest

from napari_noisyseg.benchmarks.coarse import CROWDED, _quality
from napari_noisyseg.benchmarks.tissue import fields, inner_points
from napari_noisyseg.coarse import CoarseLabels
from napari_noisyseg.metrics import aji


@pytest.fixture(scope="module")
def sample(tnbc):
    rgb, truth = tnbc
    points = {s: (float(y), float(x)) for s, (y, x) in enumerate(inner_points(truth), 1)}
    return CoarseLabels(rgb, points, np.ones(truth.shape, bool), 0.25), truth


def test_voronoi_is_borders_and_disks() -> None:
    rgb = np.zeros((21, 30, 3), np.uint8)
    known = np.ones((21, 30), bool)
    plane = CoarseLabels(rgb, {1: (10, 7), 2: (10, 22)}, known, 0.25).voronoi
    expected = np.full((21, 30), 2)
    expected[:, 14:16] = 0
    rows, columns = np.mgrid[:21, :30]
    for x in (7, 22):
        expected[(rows - 10) ** 2 + (columns - x) ** 2 <= 4] = 1
    np.testing.assert_array_equal(plane, expected)
    half = CoarseLabels(rgb, {1: (10, 7)}, known, 0.5).voronoi
    assert (half == 1).sum() == 5


def test_points_that_touch_stay_apart() -> None:
    rgb = np.zeros((9, 12, 3), np.uint8)
    plane = CoarseLabels(rgb, {1: (4, 5), 2: (4, 7)}, np.ones((9, 12), bool), 0.25).voronoi
    assert plane[4].tolist()[3:10] == [1, 1, 1, 0, 1, 1, 1]  # a point's own pixel stays
    assert (plane[:, 6] == 0).all()
    assert plane[3, 7] == 0


def test_cluster_is_right_where_it_speaks(sample) -> None:
    labels, truth = sample
    plane = labels.cluster
    assert (truth[plane == 0] == 0).mean() > 0.97
    assert (truth[plane == 1] > 0).mean() > 0.85
    assert (plane == 2).mean() < 0.45
    assert (plane[truth > 0] == 1).mean() > 0.4


def test_local_outlines_nuclei(sample) -> None:
    labels, truth = sample
    assert aji(labels.instances, truth) > 0.70


def test_local_target_is_core_band_and_background(sample) -> None:
    labels, _ = sample
    nucleus = labels.instances > 0
    assert not (labels.local[~nucleus] == 1).any()
    assert not (labels.local[nucleus] == 0).any()
    assert 0.4 < (labels.local == 1).sum() / nucleus.sum() < 0.95


def test_a_crowded_field_of_other_tissue(data_dir) -> None:
    field = next(f for f in fields(data_dir, "monuseg") if f.stem == CROWDED)
    row = _quality(field)
    assert row["background_precision"] > 0.97
    assert row["nucleus_precision"] > 0.85
    assert row["ignored_share"] < 0.42
    assert row["local_aji"] > 0.66
