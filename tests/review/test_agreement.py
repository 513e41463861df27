from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from napari_noisyseg.review.agreement import share, share_above, suggested_confidence


@dataclass
class Item:
    score: float
    state: str
    run: str = "run-1"


class Judged:
    """What is asked of the nuclei of a queue."""

    def __init__(self, *items: Item) -> None:
        self.scores = np.array([item.score for item in items])
        self.found = np.array([item.run != "" for item in items])
        self.are = lambda state: np.array([item.state == state for item in items])


@given(judged=st.integers(1, 500), part=st.floats(0, 1))
def test_the_interval_is_wilsons(judged, part):
    accepted = round(part * judged)
    found = share(accepted, judged)
    known = binomtest(accepted, judged).proportion_ci(method="wilson")
    assert found.low == pytest.approx(known.low, abs=1e-6)
    assert found.high == pytest.approx(known.high, abs=1e-6)
    assert found.value == accepted / judged


def test_nothing_judged_says_nothing():
    found = share(0, 0)
    assert (found.low, found.high, found.value) == (0, 1, None)
    assert found.words() == "none reviewed yet"
    assert share(28, 30).words() == "28 of 30 right (79–98 %)"


def test_share_above_counts_judged_ones_only():
    items = Judged(Item(0.9, "accepted"), Item(0.8, "rejected"), Item(0.95, "unsure"),
                   Item(0.99, "unreviewed"), Item(0.3, "rejected"))  # fmt: skip
    found = share_above(items, 0.8)
    assert (found.accepted, found.judged) == (1, 2)
    assert share_above(items, 0.85).value == 1


def test_what_no_run_found_says_nothing_of_it():
    brought = Item(1.0, "rejected", run="")
    assert share_above(Judged(brought, Item(0.9, "accepted")), 0.5).judged == 1


def test_the_suggestion_is_the_lowest_step_that_was_right_often_enough():
    good = [Item(0.72, "accepted")] * 19 + [Item(0.72, "rejected")]
    bad = [Item(0.6, "rejected")] * 20
    assert suggested_confidence(Judged(*good, *bad)) == 0.65
    assert suggested_confidence(Judged(*bad)) == 0.9
    assert suggested_confidence(Judged(*good[:9])) == 0.9
    assert suggested_confidence(Judged(*[Item(0.5, "accepted")] * 10)) == 0.5
