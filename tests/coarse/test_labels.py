"""The labels kept up to date click by click are those of the full computation."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_noisyseg.coarse import CoarseLabels, chosen_in
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box

SIDE = 80
COORDINATES = st.integers(-3, SIDE + 2).map(float) | st.floats(-2, SIDE + 2) | st.just(SIDE - 0.5)
PLACES = st.tuples(COORDINATES, COORDINATES) | st.just((40.0, 40.0))
POINTS = st.dictionaries(st.integers(1, 9), PLACES, max_size=7)
ACTIONS = st.lists(
    st.tuples(st.sampled_from(["add", "move", "remove"]), st.integers(1, 9), PLACES), max_size=10
)
PLANES = ("cells", "voronoi", "cluster", "local", "instances")


@pytest.fixture(scope="module")
def field(tnbc):
    """A corner of real tissue, (80, 80, 3), the points of its nuclei and what is known of it."""
    rgb, labels = tnbc
    part = labels[100 : 100 + SIDE, 60 : 60 + SIDE]
    points = {}
    for serial in np.unique(part[part > 0]).tolist():
        rows, columns = np.nonzero(part == serial)
        points[serial] = (float(rows.mean()), float(columns.mean()))
    known = np.ones((SIDE, SIDE), bool)
    known[:, 66:] = False
    return np.ascontiguousarray(rgb[100 : 100 + SIDE, 60 : 60 + SIDE]), points, known


@pytest.fixture(scope="module")
def fit(field):
    rgb, points, known = field
    return CoarseLabels(rgb, points, known, 0.25).fit


def act(labels, places, action, serial, place) -> Box | None:
    """One action, left out where it makes no sense."""
    if action == "add" and serial not in places:
        places[serial] = place
        return labels.add(serial, *place)
    if action == "move" and serial in places:
        places[serial] = place
        return labels.move(serial, *place)
    if action == "remove" and serial in places:
        del places[serial]
        return labels.remove(serial)
    return None


def planes(labels):
    return {plane: np.array(getattr(labels, plane)) for plane in PLANES}


def outside(box: Box, array):
    rest = array.copy()
    rest[box.slices] = 0
    return rest


@settings(max_examples=120, deadline=None)
@given(start=POINTS, actions=ACTIONS)
def test_incremental_equals_full(field, fit, start, actions) -> None:
    rgb, _, known = field
    places = dict(start)
    labels = CoarseLabels(rgb, places, known, 0.25, fit=fit)
    before = planes(labels)
    for action in actions:
        box = act(labels, places, *action)
        after = planes(labels)
        if box is not None:
            for plane in PLANES:
                np.testing.assert_array_equal(
                    outside(box, before[plane]), outside(box, after[plane]), plane
                )
        before = after
    fresh = planes(CoarseLabels(rgb, places, known, 0.25, fit=fit))
    for plane in PLANES:
        np.testing.assert_array_equal(before[plane], fresh[plane], plane)


@settings(max_examples=30, deadline=None)
@given(start=POINTS, actions=ACTIONS)
def test_incremental_equals_full_at_other_resolutions_without_a_fit(field, start, actions) -> None:
    rgb, _, known = field
    places = dict(start)
    labels = CoarseLabels(rgb, places, known, 0.5)
    planes(labels)
    for action in actions:
        act(labels, places, *action)
    fresh = CoarseLabels(rgb, places, known, 0.5, fit=labels.fit)
    for plane in PLANES:
        np.testing.assert_array_equal(getattr(labels, plane), getattr(fresh, plane), plane)


def test_everything_is_unknown_without_points_and_outside_fields(field, fit) -> None:
    rgb, points, known = field
    empty = CoarseLabels(rgb, {}, known, 0.25)
    for plane in ("voronoi", "cluster", "local"):
        assert (getattr(empty, plane) == 2).all()
    assert not empty.cells.any()
    assert empty.fit == {}
    labels = CoarseLabels(rgb, points, known, 0.25, fit=fit)
    for plane in ("voronoi", "cluster", "local"):
        assert (getattr(labels, plane)[~known] == 2).all()
        assert set(np.unique(getattr(labels, plane)[known])) == {0, 1, 2}


def test_known_can_change(field, fit) -> None:
    rgb, points, known = field
    labels = CoarseLabels(rgb, points, known, 0.25, fit=fit)
    planes(labels)
    labels.set_known(~known)
    fresh = CoarseLabels(rgb, points, ~known, 0.25, fit=fit)
    for plane in PLANES:
        np.testing.assert_array_equal(getattr(labels, plane), getattr(fresh, plane), plane)


def test_the_fit_is_stored_and_made_anew_only_when_asked(field) -> None:
    rgb, points, known = field
    labels = CoarseLabels(rgb, points, known, 0.25)
    first = labels.fit
    assert json.loads(json.dumps(first)) == first
    assert not labels.stale
    labels.cluster  # noqa: B018
    for k in range(len(points) // 5 + 1):
        labels.add(100 + k, 5.0 + 6 * k, 70.0)
    assert labels.fit == first
    assert labels.stale
    assert labels.refit() == Box(0, 0, SIDE, SIDE)
    assert labels.fit != first
    assert not labels.stale
    fresh = CoarseLabels(rgb, labels.places, known, 0.25, fit=labels.fit)
    np.testing.assert_array_equal(labels.cluster, fresh.cluster)


def test_the_radius_and_the_smallest_nucleus_can_be_set(field) -> None:
    rgb, points, known = field
    measured = CoarseLabels(rgb, points, known, 0.25)
    larger = CoarseLabels(rgb, points, known, 0.25, fit={"radius_um": 8.0})
    assert larger.fit["radius"] == 32.0 > measured.fit["radius"]
    assert (larger.cluster == 1).sum() > 1.2 * (measured.cluster == 1).sum()
    assert chosen_in(larger.fit) == {"radius_um": 8.0}
    assert chosen_in(measured.fit) == {}
    larger.refit()
    assert larger.fit["radius"] == 32.0
    none = CoarseLabels(rgb, points, known, 0.25, fit={**measured.fit, "smallest_um2": 400.0})
    assert none.fit["radius"] == measured.fit["radius"]
    assert not (none.cluster == 1).any()
    same = CoarseLabels(rgb, points, known, 0.25, fit={**measured.fit, "smallest_um2": 30 / 16})
    np.testing.assert_array_equal(same.cluster, measured.cluster)


def test_a_set_radius_is_in_um_at_any_resolution(field) -> None:
    rgb, points, known = field
    labels = CoarseLabels(rgb, points, known, 0.5, fit={"radius_um": 4.0})
    assert labels.fit["radius"] == 8.0
    empty = CoarseLabels(rgb, {}, known, 0.5, fit={"radius_um": 4.0})
    assert empty.fit == {}
    assert (empty.cluster == 2).all()
    empty.add(7, 40, 40)
    assert empty.fit["radius"] == 8.0


def test_the_first_point_fits(field) -> None:
    rgb, _, known = field
    labels = CoarseLabels(rgb, {}, known, 0.25)
    assert (labels.cluster == 2).all()
    labels.add(7, 40, 40)
    assert labels.fit["count"] == 1
    assert (labels.cluster != 2).any()


def test_arrays_are_live_and_read_only(field, fit) -> None:
    rgb, points, known = field
    labels = CoarseLabels(rgb, points, known, 0.25, fit=fit)
    seen = {plane: getattr(labels, plane) for plane in PLANES}
    labels.add(999, 40.2, 12.7)
    for plane, array in seen.items():
        np.testing.assert_array_equal(array, getattr(labels, plane))
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = 1


def test_kinds_can_be_left_out(field) -> None:
    rgb, points, known = field
    labels = CoarseLabels(rgb, points, known, 0.25, kinds=("voronoi",))
    assert labels.fit == {}
    with pytest.raises(ValueError, match="local was left out"):
        labels.local  # noqa: B018


def test_points_outside_have_no_say_until_they_come_in(field, fit) -> None:
    rgb, points, known = field
    labels = CoarseLabels(rgb, points, known, 0.25, fit=fit)
    before = planes(labels)
    assert labels.add(500, -0.6, 10).empty
    assert labels.add(501, 10, SIDE - 0.5).empty
    for plane, array in before.items():
        np.testing.assert_array_equal(array, getattr(labels, plane))
    assert not labels.move(500, -0.5, 10).empty
    assert labels.cells[0, 10] == 500


@pytest.mark.parametrize("mpp", [0, -1, float("nan"), float("inf")])
def test_a_resolution_must_be_a_number_above_zero(field, mpp) -> None:
    rgb, points, known = field
    with pytest.raises(NoisySegError, match="resolution"):
        CoarseLabels(rgb, points, known, mpp)


def test_what_makes_no_sense_is_refused(field) -> None:
    rgb, points, known = field
    labels = CoarseLabels(rgb, points, known, 0.25)
    with pytest.raises(NoisySegError, match="finite"):
        labels.add(600, float("nan"), 3)
    with pytest.raises(ValueError, match="start at 1"):
        labels.add(0, 3, 3)
    with pytest.raises(ValueError, match="there already"):
        labels.add(min(points), 3, 3)
    with pytest.raises(KeyError):
        labels.remove(12345)
    with pytest.raises(ValueError, match="uint8"):
        CoarseLabels(rgb.astype(float), points, known, 0.25)


@pytest.mark.parametrize("shade", [255, 0, 128])
def test_flat_images_break_nothing(shade) -> None:
    rgb = np.full((60, 50, 3), shade, np.uint8)
    labels = CoarseLabels(rgb, {1: (10, 10), 2: (40, 30)}, np.ones((60, 50), bool), 0.25)
    planes(labels)
    labels.add(3, 20, 44)
    assert set(np.unique(labels.instances)) - {0} == {1, 2, 3}
