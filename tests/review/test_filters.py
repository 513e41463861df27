"""Filters of a review: each says what it says, together they say all of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_noisyseg.review.filters import Filter, kind_of, kinds
from napari_noisyseg.review.queue import ReviewItem, ReviewQueue
from napari_noisyseg.slides import Box
from napari_noisyseg.store.records import Candidate, Outline

OUTLINE = Outline(Box(10, 10, 20, 20), np.ones((10, 10), bool))
FOUND = Candidate("a", 1, 15.0, 15.0, OUTLINE, 0.4, "", "run-1", 6.25)
ITEM = ReviewItem("i", FOUND, "large: 3.1 × the usual area", 0.6)


@pytest.mark.parametrize(
    ("yes", "no"),
    [
        ({"image": "i"}, {"image": "j"}),
        ({"state": "unreviewed"}, {"state": "accepted"}),
        ({"class_name": ""}, {"class_name": "tumour"}),
        ({"run": "run-1"}, {"run": ""}),
        ({"smallest": 6.25, "largest": 6.25}, {"smallest": 7}),
        ({}, {"largest": 6}),
        ({"field": Box(0, 0, 16, 16)}, {"field": Box(0, 0, 15, 16)}),
        ({"reason": "large"}, {"reason": "small"}),
    ],
)
def test_each_part_says_yes_and_no(yes, no) -> None:
    assert Filter(**yes).passes(ITEM)
    assert not Filter(**no).passes(ITEM)
    assert not Filter(**{**yes, **no}).passes(ITEM)
    assert Filter(**no).active


def test_without_any_part_all_pass() -> None:
    assert not Filter().active
    assert Filter().passes(ITEM)


def test_a_named_nucleus_is_found_by_its_class() -> None:
    named = replace(ITEM, candidate=replace(FOUND, class_name="tumour"))
    assert Filter(class_name="tumour").passes(named)
    assert not Filter(class_name="").passes(named)


def test_reasons_are_counted_without_their_figures() -> None:
    assert kind_of("confidence 71 %") == "confidence"
    assert kind_of("nothing stands out") == "nothing stands out"
    other = replace(ITEM, reason="large: 4.0 × the usual area")
    assert kinds([ITEM, other, replace(ITEM, reason="the edge is faint")]) == [
        ("large", 2), ("the edge is faint", 1),
    ]  # fmt: skip


def test_a_filter_finds_what_passes_it(project) -> None:
    queue = ReviewQueue(project)
    queue.decide([item.id for item in queue.items[3:9]], "accepted")
    queue.decide([item.id for item in queue.items[20:22]], "rejected")
    project.nuclei.set_class([item.id for item in queue.items[:5]], "tumour")
    queue.refresh()
    some = queue.items[2:30]
    usual = float(np.median([item.candidate.area_um2 for item in queue.items]))
    parts = [
        {"image": "tnbc"}, {"image": "other"}, {"field": Box(0, 0, 200, 300)},
        {"class_name": "tumour"}, {"class_name": ""}, {"run": "run-1"}, {"run": ""},
        {"state": "accepted"}, {"state": "unreviewed"}, {"reason": "the edge is faint"},
        {"smallest": usual}, {"largest": usual}, {"ids": {item.id for item in some}},
    ]  # fmt: skip
    for one in parts:
        for other in parts:
            wanted = Filter(**one | other)
            for items in (queue.items, some):
                expected = [row for row, item in enumerate(items) if wanted.passes(item)]
                assert wanted.rows(items).tolist() == expected
