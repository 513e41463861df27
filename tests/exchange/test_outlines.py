from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from skimage.draw import polygon2mask

from napari_noisyseg.exchange.outlines import Polygon, bounds, fill, trace
from napari_noisyseg.slides import Box

masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9))


def as_shapely(polygons: list[Polygon]) -> shapely.MultiPolygon:
    return shapely.MultiPolygon([(p[0], p[1:]) for p in polygons])


@given(masks, st.integers(-50, 50), st.integers(0, 10**6))
def test_a_mask_comes_back_exactly(mask: np.ndarray, y: int, x: int) -> None:
    polygons = trace(mask, (y, x))
    height, width = mask.shape
    assert np.array_equal(fill(polygons, Box(y, x, y + height, x + width)), mask)
    around = fill(polygons, Box(y - 2, x - 3, y + height + 1, x + width + 4))
    assert np.array_equal(around, np.pad(mask, ((2, 1), (3, 4))))


@given(masks)
def test_polygons_are_valid_and_as_large_as_the_mask(mask: np.ndarray) -> None:
    polygons = trace(mask)
    for polygon in polygons:
        assert shapely.Polygon(polygon[0], polygon[1:]).is_valid
        assert all((ring == np.round(ring)).all() for ring in polygon)
        assert all(np.array_equal(ring[0], ring[-1]) for ring in polygon)
    assert as_shapely(polygons).area == mask.sum()


def test_real_nuclei_come_back_exactly(tnbc: tuple[np.ndarray, np.ndarray]) -> None:
    labels = tnbc[1]
    for label in np.unique(labels)[1:]:
        mask = labels == label
        assert np.array_equal(fill(trace(mask), Box(0, 0, *mask.shape)), mask)


def test_one_pixel_is_its_square() -> None:
    (polygon,) = trace(np.ones((1, 1), bool), (3, 7))
    (ring,) = polygon
    assert set(map(tuple, ring)) == {(7, 3), (8, 3), (8, 4), (7, 4)}
    assert len(ring) == 5
    assert bounds([polygon]) == (3, 7, 4, 8)


def test_straight_edges_have_no_vertices_between() -> None:
    ((ring,),) = trace(np.ones((30, 40), bool))
    assert len(ring) == 5


def test_holes_are_rings_of_their_own() -> None:
    mask = np.ones((5, 5), bool)
    mask[2, 2] = False
    ((outer, hole),) = trace(mask)
    assert shapely.Polygon(outer).area == 25
    assert shapely.Polygon(hole).area == 1


@pytest.mark.parametrize("seed", range(5))
def test_filling_agrees_with_another_rasteriser(seed: int) -> None:
    generator = np.random.default_rng(seed)
    ring = generator.uniform(-5, 45, (7, 2))
    mine = fill([(np.vstack([ring, ring[:1]]),)], Box(0, 0, 40, 40))
    theirs = polygon2mask((40, 40), ring[:, ::-1] - 0.5)
    assert np.array_equal(mine, theirs)


def test_neighbours_never_share_a_pixel() -> None:
    left = np.array([[0, 0], [5.5, 0], [5.5, 9], [0, 9], [0, 0]])
    right = np.array([[5.5, 0], [10, 0], [10, 9], [5.5, 9], [5.5, 0]])
    box = Box(0, 0, 9, 10)
    a, b = fill([(left,)], box), fill([(right,)], box)
    assert not (a & b).any()
    assert (a | b).all()


def test_an_unclosed_ring_is_closed() -> None:
    ring = np.array([[1.0, 1], [4, 1], [4, 3], [1, 3]])
    assert fill([(ring,)], Box(0, 0, 5, 5)).sum() == 6
