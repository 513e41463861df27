import numpy as np
import pytest

from napari_noisyseg.instances import components, from_probability


def discs(shape, *circles):
    y, x = np.indices(shape)
    return np.max([(np.hypot(y - cy, x - cx) <= r) for cy, cx, r in circles], axis=0).astype(float)


def test_touching_discs_come_apart_and_a_lone_one_stays_whole():
    labels = from_probability(discs((80, 120), (30, 25, 14), (30, 49, 14), (50, 95, 14)), 0.25)
    assert labels.dtype == np.int32
    assert labels.max() == 3
    assert len({labels[30, 20], labels[30, 54], labels[50, 95]}) == 3
    assert (labels[discs((80, 120), (50, 95, 14)) > 0] == labels[50, 95]).all()


@pytest.mark.parametrize("mpp", [0.25, 0.5])
def test_sizes_are_meant_in_micrometres(mpp):
    scale = 0.25 / mpp
    scene = discs(
        (100, 100), (40 * scale, 30 * scale, 12 * scale), (40 * scale, 52 * scale, 12 * scale)
    )
    scene[90, 90] = 1
    assert from_probability(scene, mpp).max() == 2


def test_nothing_above_the_threshold_is_no_nucleus():
    assert not from_probability(np.full((20, 30), 0.4), 0.25).any()
    assert from_probability(np.ones((20, 30)), 0.25).max() == 1


@pytest.mark.parametrize("mpp", [0.25, 0.125])
def test_components_are_the_papers_inference(mpp):
    scene = np.zeros((40, 40))
    scene[2:12, 2:8] = 0.6  # touching: one
    scene[2:12, 8:14] = 0.9
    scene[5:7, 6:9] = 0.1  # a hole
    scene[20:24, 2:7] = 0.7  # 20 px stay
    scene[30:34, 2:7] = 0.7  # 19 px do not
    scene[33, 6] = 0
    scene[20:30, 20:30] = 0.5
    repeat = round(0.25 / mpp)
    scene = scene.repeat(repeat, axis=0).repeat(repeat, axis=1)
    labels = components(scene, mpp)
    expected = np.zeros((40, 40), int)
    expected[2:12, 2:14], expected[20:24, 2:7] = 1, 2
    np.testing.assert_array_equal(labels, expected.repeat(repeat, 0).repeat(repeat, 1))
    assert labels.dtype == np.int32
