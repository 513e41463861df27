"""The labels kept up to date click by click are those of the full computation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from napari_noisyseg.coarse import CoarseLabels

SIDE = 72
PLACES = st.tuples(
    st.integers(-3, SIDE + 2).map(float) | st.sampled_from([0.0, -0.5, SIDE - 1.0, SIDE - 0.5]),
    st.integers(-3, SIDE + 2).map(float) | st.floats(-2, SIDE + 2),
)
ACTIONS = st.lists(
    st.tuples(st.sampled_from(["add", "move", "remove"]), st.integers(1, 9), PLACES),
    max_size=14,
)
PLANES = ("cells", "voronoi", "cluster", "local", "instances")


@pytest.fixture(scope="module")
def field(tnbc: tuple[NDArray[np.uint8], NDArray[np.int32]]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(tnbc[0][100 : 100 + SIDE, 60 : 60 + SIDE])


def act(labels: CoarseLabels, places: dict, action: str, serial: int, place) -> None:
    """One action, skipped where it makes no sense."""
    if action == "add" and serial not in places:
        labels.add(serial, *place)
        places[serial] = place
    elif action == "move" and serial in places:
        labels.move(serial, *place)
        places[serial] = place
    elif action == "remove" and serial in places:
        labels.remove(serial)
        del places[serial]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(start=st.dictionaries(st.integers(1, 9), PLACES, max_size=6), actions=ACTIONS)
def test_incremental_equals_full(field, start, actions) -> None:
    known = np.ones((SIDE, SIDE), bool)
    known[:, 60:] = False
    places = dict(start)
    labels = CoarseLabels(field, places, known, 0.25)
    for plane in PLANES:
        getattr(labels, plane)
    for action in actions:
        act(labels, places, *action)
    fresh = CoarseLabels(field, places, known, 0.25, fit=labels.fit)
    for plane in PLANES:
        np.testing.assert_array_equal(getattr(labels, plane), getattr(fresh, plane), plane)
