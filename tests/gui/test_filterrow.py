"""The choices that narrow a review down."""

from __future__ import annotations

import numpy as np
import pytest

from napari_noisyseg.gui.docks.review.filterrow import FilterRow
from napari_noisyseg.review.filters import Filter
from napari_noisyseg.review.queue import ReviewQueue
from napari_noisyseg.slides import Box
from napari_noisyseg.store.project import Project

pytestmark = pytest.mark.gui


def choose(row: FilterRow, name: str, index: int) -> None:
    """As a person does."""
    row.boxes[name].setCurrentIndex(index)
    row.boxes[name].activated.emit(index)


def test_a_field_is_chosen_with_its_image_and_goes_with_it(qtbot, many: Project) -> None:
    many.add_array(np.full((64, 64, 3), 200, np.uint8), "other", 0.5)
    box = many.nuclei.add_field("i", Box(0, 0, 32, 32)).box
    queue, row = ReviewQueue(many), FilterRow()
    qtbot.addWidget(row)
    row.list_choices(many, queue, "i")
    choose(row, "field", 1)
    assert row.filter == Filter(image="i", field=box)
    row.list_choices(many, queue, "other")  # which came to the front
    assert [row.boxes[name].currentText() for name in ("image", "field")] == ["i", "field 1"]
    choose(row, "image", 2)
    assert row.filter == Filter(image="other")
    row.list_choices(many, queue, "other")
    choose(row, "image", 1)
    row.list_choices(many, queue, "other")
    choose(row, "field", 1)
    choose(row, "image", 0)
    assert row.filter == Filter()
