import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage as ndi

from napari_noisyseg import metrics
from napari_noisyseg.coarse.evidence import evidence
from napari_noisyseg.instances import from_points
from napari_noisyseg.instances.centres import MOST, recentred
from napari_noisyseg.stains import FIXED, densities


def assert_every_point_has_one_whole_nucleus(labels, points):
    for k, (y, x) in enumerate(np.floor(np.asarray(points) + 0.5).astype(int)):
        mask = labels == k + 1
        if not (0 <= y < labels.shape[0] and 0 <= x < labels.shape[1]):
            assert not mask.any()
            continue
        assert ndi.label(mask)[1] == 1
        assert (ndi.binary_fill_holes(mask) == mask).all()
    assert labels.max() <= len(points)


def inner_points(labels):
    points = []
    for k, box in enumerate(ndi.find_objects(labels), 1):
        if box is not None:
            depth = ndi.distance_transform_edt(np.pad(labels[box] == k, 1))
            y, x = np.unravel_index(depth.argmax(), depth.shape)
            points.append((y - 1 + box[0].start, x - 1 + box[1].start))
    return np.array(points, float)


def disc(shape, y, x, radius):
    rows, columns = np.indices(shape)
    return np.hypot(rows - y, columns - x) <= radius


coordinates = st.tuples(st.floats(-8, 50), st.floats(-8, 60))


@settings(max_examples=80, deadline=None)
@given(st.lists(coordinates, max_size=14), st.integers(0, 9), st.sampled_from([0.12, 0.25, 1.0]))
def test_any_points_on_any_evidence(points, seed, mpp):
    rng = np.random.default_rng(seed)
    blur = ndi.gaussian_filter(rng.random((42, 52)), seed / 3)
    probability = np.clip((blur - blur.mean()) / max(blur.std(), 1e-6) + 0.5, 0, 1)
    points = np.array(points, float).reshape(-1, 2)
    rgb = rng.integers(0, 255, (42, 52, 3), dtype=np.uint8) if seed % 2 else None
    labels = from_points(probability, points, rng.random((42, 52)), mpp, rgb=rgb)
    assert labels.dtype == np.int32
    assert_every_point_has_one_whole_nucleus(labels, points)


def test_points_in_one_pixel_and_a_point_inside_a_crowd_all_get_their_own():
    flat = np.full((40, 40), 0.5)
    points = [(20, 20), (20.2, 19.9), (20, 21), (19, 20), (21, 20), (20, 19), (-3, 5), (39.4, 0)]
    labels = from_points(flat, np.array(points), flat, 0.25)
    assert_every_point_has_one_whole_nucleus(labels, points)
    assert set(np.unique(labels)) == {0, 1, 2, 3, 4, 5, 6, 8}
    assert labels[20, 20] == 1


@pytest.mark.parametrize("mpp", [0.125, 0.25, 0.5])
def test_a_disc_is_found_at_every_resolution(mpp):
    scale = 0.25 / mpp
    shape = (round(120 * scale), round(120 * scale))
    y, x, radius = 60 * scale, 50 * scale, 13 * scale
    truth = disc(shape, y, x, radius)
    rng = np.random.default_rng(0)
    density = truth + rng.normal(0, 0.1, shape)
    labels = from_points(np.full(shape, 0.5), np.array([[y + 2, x - 1]]), density, mpp)
    assert metrics.iou(labels, truth.astype(int)) > 0.8


def test_touching_discs_are_parted_between_their_points():
    a, b = disc((80, 100), 40, 35, 14), disc((80, 100), 40, 62, 14)
    points = np.array([[40, 35], [40, 62]])
    labels = from_points(np.where(a | b, 0.9, 0.1), points, (a | b).astype(float), 0.25)
    truth = np.where(a, 1, np.where(b, 2, 0))
    assert metrics.aji(labels, truth) > 0.8
    assert labels[40, 40] == 1
    assert labels[40, 57] == 2


def test_the_network_finds_what_the_stain_does_not_show():
    truth = disc((90, 90), 45, 45, 14)
    rng = np.random.default_rng(1)
    density = ndi.gaussian_filter(rng.random((90, 90)), 3)
    points = np.array([[45.0, 45.0]])
    blind = from_points(np.full((90, 90), 0.5), points, density, 0.25)
    led = from_points(np.where(truth, 0.99, 0.01), points, density, 0.25)
    assert metrics.iou(led, truth.astype(int)) > metrics.iou(blind, truth.astype(int))


def test_no_point_in_the_image_is_no_nucleus():
    flat = np.zeros((20, 30))
    assert not from_points(flat, np.zeros((0, 2)), flat, 0.25).any()
    assert not from_points(flat, np.array([[-5.0, 3], [4, 30.0]]), flat, 0.25).any()


def test_real_tissue_without_a_network(tnbc):
    rgb, truth = tnbc
    points = inner_points(truth)
    density = densities(rgb, FIXED)[0]
    labels = from_points(np.full(truth.shape, 0.5), points, density, 0.25, rgb=rgb)
    assert_every_point_has_one_whole_nucleus(labels, points)
    assert metrics.aji(labels, truth) > 0.75


def from_clicks(rgb, shape, points):
    return from_points(np.full(shape, 0.5), points, densities(rgb, FIXED)[0], 0.25, rgb=rgb)


@pytest.mark.parametrize(("by", "loss"), [(4, 0.06), pytest.param(8, 0.09, marks=pytest.mark.long)])
def test_imprecise_clicks_on_real_tissue_cost_little(tnbc, by, loss):
    rgb, truth = tnbc
    exact = inner_points(truth)
    best = metrics.aji(from_clicks(rgb, truth.shape, exact), truth)
    for seed in range(3):
        moves = np.random.default_rng(seed).uniform(-by, by, exact.shape)
        points = np.clip(exact + moves, 0, np.array(truth.shape) - 1)
        labels = from_clicks(rgb, truth.shape, points)
        assert_every_point_has_one_whole_nucleus(labels, points)
        assert metrics.aji(labels, truth) > best - loss


def test_middles_come_nearer_to_the_nuclei_than_careless_clicks(tnbc):
    rgb, truth = tnbc
    seen, threshold = evidence(rgb, 1.0)
    exact = inner_points(truth)
    clicks = np.clip(exact + np.random.default_rng(0).uniform(-8, 8, exact.shape), 0, 511)
    middles, careless = recentred(seen, threshold, clicks, 1.0)
    assert careless > 0.8
    assert np.hypot(*(middles - clicks).T).max() <= MOST + 1e-6
    off, was = (np.hypot(*(place - exact).T) for place in (middles, clicks))
    assert np.sqrt((off**2).mean()) < 0.85 * np.sqrt((was**2).mean())


def test_careful_clicks_stay_and_so_do_sparse_ones(tnbc):
    rgb, truth = tnbc
    seen, threshold = evidence(rgb, 1.0)
    exact = inner_points(truth)
    middles, careless = recentred(seen, threshold, exact, 1.0)
    assert careless < 0.1
    assert np.hypot(*(middles - exact).T).max() < 1
    some = exact[::3]
    np.testing.assert_array_equal(recentred(seen, threshold, some, 1.0)[0], some)


def test_without_stain_clicks_stay():
    points = np.array([[3.0, 4.0], [10.0, 12.0]])
    middles, careless = recentred(np.zeros((20, 30), np.float32), 0.0, points, 1.0)
    np.testing.assert_array_equal(middles, points)
    assert careless == 0


def test_seven_hundred_nuclei_in_a_megapixel_take_at_most_three_seconds():
    y, x = np.mgrid[20:1000:37, 20:1000:37]
    points = np.stack([y.ravel(), x.ravel()], axis=1).astype(float)
    rows, columns = np.indices((1000, 1000))
    density = (np.hypot((rows - 20) % 37 - 18, (columns - 20) % 37 - 18) > 14).astype(float)
    start = time.process_time()
    labels = from_points(density * 0.8 + 0.1, points, density, 0.25)
    assert time.process_time() - start < 3
    assert labels.max() == len(points) > 700
