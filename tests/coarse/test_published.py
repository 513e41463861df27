"""The paper's and the published cluster label, against a straight full-frame version of each."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import measure, morphology
from sklearn.cluster import KMeans

from napari_noisyseg.benchmarks.tissue import inner_points
from napari_noisyseg.coarse import CoarseLabels
from napari_noisyseg.coarse.published import cluster_label


def label(rgb, points, known, recipe, mpp=0.25):
    coarse = CoarseLabels(rgb, points, known, mpp, kinds=())
    return cluster_label(rgb, coarse.cells, coarse.places.values(), known, 0.25 / mpp, recipe)


def straight(rgb, points, cells, recipe):
    """Nothing shared with the code under test but the cells: all pixels, each step in full."""
    shape = rgb.shape[:2]
    rows, columns = np.indices(shape)
    squared = [(rows - y) ** 2 + (columns - x) ** 2 for y, x in points.values()]
    distance = np.sqrt(np.min(squared, axis=0))
    features = np.dstack([rgb / 10.0, np.clip(distance, 0, 20)]).reshape(-1, 4)
    clusters = KMeans(3, n_init=10, random_state=0).fit_predict(features).reshape(shape)
    at_points = [clusters[y, x] for y, x in points.values()]
    nucleus = max(range(3), key=at_points.count)
    others = [k for k in range(3) if k != nucleus]
    if recipe == "published":
        background = min(
            others, key=lambda k: ((distance[clusters == k] <= 5).sum(), -rgb[clusters == k].mean())
        )
    else:
        background = max(others, key=lambda k: rgb[clusters == k].mean())
    pieces = measure.label(clusters == nucleus, connectivity=1)
    sizes = np.bincount(pieces.ravel())
    large = (pieces > 0) & (sizes[pieces] >= 30)
    plane = np.full(shape, 2)
    plane[(clusters == background) & (distance > 10)] = 0
    for serial in points:
        part = np.pad(large & (cells == serial), 8)
        if recipe == "published":
            part = morphology.dilation(part, morphology.disk(5))
            part = morphology.erosion(filled(part), morphology.disk(7))
        else:
            part = morphology.erosion(part, morphology.disk(2))
            part = filled(morphology.dilation(part, morphology.disk(2)))
        plane[part[8:-8, 8:-8]] = 1
    return plane


def filled(mask):
    holes = measure.label(~mask, connectivity=1)
    return holes != holes[0, 0]


@pytest.fixture(scope="module")
def tissue(tnbc):
    rgb, truth = (np.ascontiguousarray(a[60:300, 40:300]) for a in tnbc)
    points = {s: (int(y), int(x)) for s, (y, x) in enumerate(inner_points(truth), 1)}
    return rgb, points


@pytest.mark.parametrize("recipe", ["paper", "published"])
def test_real_tissue_is_labelled_as_the_recipe_says(tissue, recipe) -> None:
    rgb, points = tissue
    known = np.ones(rgb.shape[:2], bool)
    cells = CoarseLabels(rgb, points, known, 0.25).cells
    found, expected = label(rgb, points, known, recipe), straight(rgb, points, cells, recipe)
    assert set(np.unique(found)) == {0, 1, 2}
    assert (found == expected).mean() > 0.98


CENTRES = [(40, 40), (40, 120), (120, 40), (120, 120)]


def picture(near: int, far: int):
    """Dark disks of radius 9, each in a ring of one shade, all else of another; (160, 160, 3)."""
    rows, columns = np.indices((160, 160))
    away = np.sqrt(np.min([(rows - y) ** 2 + (columns - x) ** 2 for y, x in CENTRES], axis=0))
    shades = np.where(away <= 9, 0, np.where(away <= 24, near, far))
    return np.repeat(shades[..., None], 3, axis=2).astype(np.uint8), away


def test_nuclei_by_hand() -> None:
    rgb, away = picture(near=130, far=255)
    known = np.ones(away.shape, bool)
    points = dict(enumerate(CENTRES, 1))
    paper = label(rgb, points, known, "paper")
    np.testing.assert_array_equal(paper == 1, away <= 9)
    published = label(rgb, points, known, "published")
    assert (away[published == 1] <= 9).all()
    radius = np.sqrt((published == 1).sum() / 4 / np.pi)
    assert radius == pytest.approx(7, abs=0.5)  # 9 + 5 - 7
    for plane in (paper, published):
        np.testing.assert_array_equal(plane == 0, away > 24)


def test_bright_surroundings_of_a_point_are_background_to_the_paper_alone() -> None:
    rgb, away = picture(near=255, far=130)
    known = np.ones(away.shape, bool)
    points = {s: (y, x + 6) for s, (y, x) in enumerate(CENTRES, 1)}  # disks of 5 reach the ring
    rows, columns = np.indices(away.shape)
    clear = np.min([np.hypot(rows - y, columns - x) for y, x in points.values()], axis=0) > 10
    ring, beyond = (away > 9) & (away <= 24) & clear, away > 24
    paper = label(rgb, points, known, "paper")
    np.testing.assert_array_equal(paper == 0, ring)
    published = label(rgb, points, known, "published")
    np.testing.assert_array_equal(published == 0, beyond)


def test_lengths_follow_the_resolution(tissue) -> None:
    rgb, points = tissue
    twice = rgb.repeat(2, axis=0).repeat(2, axis=1)
    places = {s: (2 * y + 0.5, 2 * x + 0.5) for s, (y, x) in points.items()}
    small = label(rgb, points, np.ones(rgb.shape[:2], bool), "published")
    large = label(twice, places, np.ones(twice.shape[:2], bool), "published", mpp=0.125)
    assert (large[::2, ::2] == small).mean() > 0.95


def test_only_fields_count(tissue) -> None:
    rgb, points = tissue
    known = np.zeros(rgb.shape[:2], bool)
    known[:, :130] = True
    plane = label(rgb, points, known, "published")
    assert (plane[~known] == 2).all()
    inside = {s: p for s, p in points.items() if known[p]}
    scrambled = np.where(known[..., None], rgb, 255 - rgb)
    np.testing.assert_array_equal(label(scrambled, points, known, "published"), plane)
    assert (plane == 1).any()
    assert 0 < len(inside) < len(points)
    assert (label(rgb, {}, known, "paper") == 2).all()
    assert (label(rgb, {1: (5, 200)}, known, "paper") == 2).all()


def test_flat_images_break_nothing() -> None:
    rgb = np.full((60, 50, 3), 128, np.uint8)
    plane = label(rgb, {1: (10, 10), 2: (40, 30)}, np.ones((60, 50), bool), "published")
    assert plane.shape == (60, 50)
