"""Centres and nuclei that the starter finds by itself. It learned from the field used here."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from scipy.spatial import KDTree

from napari_noisyseg import metrics
from napari_noisyseg.coarse import centres as module
from napari_noisyseg.coarse.centres import centres, maps, segment
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.samples import FIELD


@pytest.fixture(scope="module")
def found(tnbc):
    return centres(tnbc[0], 0.25)


@pytest.fixture(scope="module")
def middles(tnbc):
    labels = tnbc[1]
    return np.array(ndimage.center_of_mass(labels > 0, labels, np.unique(labels)[1:]))


def f1(points, middles):
    away, _ = KDTree(middles).query(points)
    missed, _ = KDTree(points).query(middles)
    precision, recall = (away <= 6).mean(), (missed <= 6).mean()
    return 2 * precision * recall / (precision + recall)


def test_most_nuclei_are_found_and_little_else(found, middles):
    assert f1(found.points, middles) > 0.7


def test_the_surest_come_first_and_all_lie_inside(tnbc, found):
    assert (np.diff(found.scores) <= 0).all()
    assert module.LEAST <= found.scores.min() <= found.scores.max() <= 1
    assert (found.points >= 0).all()
    assert (found.points <= np.array(tnbc[0].shape[:2]) - 1).all()


def test_the_same_image_gives_the_same(tnbc, found):
    again = centres(tnbc[0], 0.25)
    np.testing.assert_array_equal(again.points, found.points)
    np.testing.assert_array_equal(again.scores, found.scores)


def test_a_higher_score_leaves_the_surest(tnbc, found):
    some = centres(tnbc[0], 0.25, least=0.4)
    np.testing.assert_array_equal(some.points, found.points[found.scores >= 0.4])


def test_a_coarser_image_of_it_has_the_same_centres(tnbc, found, middles):
    half = np.asarray(Image.fromarray(tnbc[0]).resize((256, 256), Image.Resampling.BOX))
    points = centres(half, 0.5).points
    assert points.max() <= 255
    assert f1(points * 2 + 0.5, middles) > 0.6


@pytest.mark.parametrize("shape", [(1, 1), (7, 40), (100, 131)])
def test_maps_are_of_any_size(tnbc, shape):
    part = tnbc[0][: shape[0], : shape[1]]
    depth, nucleus = maps(part, 0.25)
    assert depth.shape == nucleus.shape == shape
    for plane in (depth, nucleus):
        assert 0 <= plane.min() <= plane.max() <= 1


@pytest.mark.long
def test_tiles_and_blocks_change_little(tnbc, found, monkeypatch):
    whole = maps(tnbc[0], 0.25)
    monkeypatch.setattr(module, "TILE", 384)
    parts = maps(tnbc[0], 0.25)
    assert np.abs(parts.depth - whole.depth).mean() < 0.01
    monkeypatch.setattr(module, "BLOCK", 300)
    points = centres(tnbc[0], 0.25).points
    assert (KDTree(points).query(found.points)[0] < 6).mean() > 0.85
    assert len(np.unique(points, axis=0)) == len(points)
    labels = segment(tnbc[0], 0.25)
    assert set(np.unique(labels)) <= set(range(len(points) + 1))


def test_nuclei_lie_over_the_true_ones(tnbc, found):
    labels = segment(tnbc[0], 0.25)
    assert labels.dtype == np.int32
    assert labels.max() == len(found.points)
    assert metrics.aji(labels, tnbc[1]) > 0.5


def test_a_look_of_ones_own_draws_the_outlines(tnbc):
    squares = []

    def nothing(crops):
        squares.append(len(crops))
        return np.zeros((len(crops), 64, 64), np.float32)

    labels = segment(tnbc[0][:200, :200], 0.25, nothing)
    assert sum(squares) == labels.max() > 0
    assert np.bincount(labels.ravel())[1:].max() == 1


def test_empty_glass_has_none():
    glass = np.full((200, 300, 3), (246, 240, 226), np.uint8)
    assert len(centres(glass, 0.25).points) == 0
    assert not segment(glass, 0.25).any()


def test_grey_and_dark_images_are_refused_in_words():
    for level, words in ((128, "no colours"), (5, "fluorescence")):
        with pytest.raises(NoisySegError, match=words):
            segment(np.full((64, 64, 3), level, np.uint8), 0.25)


def test_torch_is_not_needed():
    code = (
        "import sys\n"
        "sys.modules['torch'] = None\n"
        "from napari_noisyseg.coarse.centres import segment\n"
        "from napari_noisyseg.slides import Box, open_image\n"
        "import sys; rgb = open_image(sys.argv[1]).read(Box(0, 0, 128, 128))\n"
        "assert segment(rgb, 0.25).any()\n"
    )
    subprocess.run([sys.executable, "-c", code, str(FIELD)], check=True, timeout=120)


def test_another_network_has_a_say_in_the_outlines(tnbc):
    rgb, truth = tnbc[0][:160, :160], tnbc[1][:160, :160]
    wide = ndimage.binary_dilation(truth > 0, iterations=3)
    tight = ndimage.binary_erosion(truth > 0, iterations=2)
    sizes = []
    for inside in (tight, wide):
        drawn = segment(rgb, 0.25, beside=np.where(inside, 0.97, 0.03).astype(np.float32))
        sizes.append(np.median(np.bincount(drawn[drawn > 0])[1:]))
    assert sizes[1] > 1.25 * sizes[0]
