"""Digital Voronoi cells against every pixel compared with every point."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_noisyseg.coarse.cells import FAR, NOBODY, Cells

SHAPE = (19, 26)
PIXELS = st.tuples(st.integers(0, SHAPE[0] - 1), st.integers(0, SHAPE[1] - 1))
POINTS = st.dictionaries(st.integers(1, 12), PIXELS, max_size=9)
WIDE = (70, 90)


def compared(shape, points):
    """Owner and squared distance, every point in order of serial, so that ties go to the lower."""
    owner = np.full(shape, NOBODY, np.int32)
    squared = np.full(shape, FAR, np.int32)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    for serial in sorted(points):
        y, x = points[serial]
        distance = (rows - y) ** 2 + (columns - x) ** 2
        owner[distance < squared] = serial
        squared = np.minimum(squared, distance)
    return owner, squared


def check(cells, points, shape=SHAPE):
    owner, squared = compared(shape, points)
    np.testing.assert_array_equal(cells.owner, owner)
    np.testing.assert_array_equal(cells.squared, squared)


@settings(max_examples=150, deadline=None)
@given(points=POINTS)
def test_all_at_once(points) -> None:
    check(Cells(SHAPE, points), points)


@settings(max_examples=150, deadline=None)
@given(points=POINTS, actions=st.lists(st.tuples(st.integers(1, 12), PIXELS), max_size=12))
def test_one_by_one(points, actions) -> None:
    cells = Cells(SHAPE, points)
    points = dict(points)
    for serial, pixel in actions:
        before = cells.owner.copy()
        if serial in points:
            box, _ = cells.remove(serial)
            del points[serial]
        else:
            box, _ = cells.add(serial, pixel)
            points[serial] = pixel
        changed = before != cells.owner
        changed[box.slices] = False
        assert not changed.any()
    check(cells, points)


def test_large_sparse_and_crowded() -> None:
    rng = np.random.default_rng(3)
    for spread in (0, 6, 60):
        points = {
            s: (min(35 + int(rng.integers(-spread, spread + 1)) // 2, 69), int(rng.integers(0, 90)))
            for s in range(1, 40)
        }
        cells = Cells(WIDE, points)
        for serial in (5, 39, 1):
            cells.remove(serial)
            points.pop(serial)
        cells.add(100, (0, 89))
        points[100] = (0, 89)
        check(cells, points, WIDE)


def test_a_lower_serial_takes_ties_and_hides_who_stands_on_the_same_pixel() -> None:
    cells = Cells((5, 7), {2: (2, 1), 1: (2, 5), 3: (2, 5)})
    assert cells.owner[2, 3] == 1
    assert 3 not in cells.owner
    cells.remove(1)
    assert cells.owner[2, 3] == 2
    assert cells.owner[2, 5] == 3
