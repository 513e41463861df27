"""A preview that replaces another: only the pixels that differ are drawn, and rightly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_noisyseg.events import Previewed
from napari_noisyseg.gui.canvas import layers
from napari_noisyseg.gui.controllers.previews import show_map
from napari_noisyseg.gui.session import Session


@pytest.fixture
def shown(bare: Session, tnbc: Any) -> Any:
    """The `refined` layer with real nuclei, in contours as a person sees them."""
    record = bare.require_image()
    bare.look(step="train")
    event = Previewed(record.name, "1.npz", 0)
    show_map(bare.viewer, record, event, "refined", tnbc[1].astype(np.int32))
    return layers.find(bare.viewer, record.name, "refined")


def later(labels: Any) -> Any:
    """The same nuclei, but for one that is gone and one that has grown."""
    found = labels.astype(np.int32)
    found[found == 5] = 0
    found[100:120, 100:130] = 7
    return found


def test_the_picture_is_that_of_a_layer_made_anew(bare: Session, shown: Any, tnbc: Any) -> None:
    record, wanted, heard = bare.require_image(), later(tnbc[1]), []
    shown.events.set_data.connect(heard.append)
    show_map(bare.viewer, record, Previewed(record.name, "2.npz", 1), "refined", wanted)
    np.testing.assert_array_equal(shown.data, wanted)
    drawn = np.array(shown._slice.image.view)
    assert heard == []
    shown.refresh()
    np.testing.assert_array_equal(drawn, shown._slice.image.view)


def test_what_is_as_before_is_not_drawn(bare: Session, shown: Any, tnbc: Any) -> None:
    heard: list[Any] = []
    shown.events.labels_update.connect(heard.append)
    shown.events.set_data.connect(heard.append)
    assert layers.repaint_changed(shown, tnbc[1].astype(np.int32))
    assert heard == []
    assert layers.repaint_changed(shown, later(tnbc[1]))
    assert heard


def test_another_size_or_place_is_shown_as_a_whole(bare: Session, shown: Any) -> None:
    record = bare.require_image()
    small = np.ones((64, 64), np.int32)
    assert not layers.repaint_changed(shown, small)
    event = Previewed(record.name, "3.npz", 2, origin=(100.5, 40.5), scale=2.0)
    show_map(bare.viewer, record, event, "refined", small)
    np.testing.assert_array_equal(shown.data, small)
    np.testing.assert_allclose(shown.scale, (0.5, 0.5))
    moved = event.__class__(record.name, "4.npz", 3, origin=(10.0, 20.0), scale=2.0)
    show_map(bare.viewer, record, moved, "refined", small)
    np.testing.assert_allclose(shown.translate, (2.5, 5.0))
