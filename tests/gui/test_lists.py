"""napari's own lists, folded away: its controls of a layer are made when they are looked at."""

from __future__ import annotations

from typing import Any

import numpy as np
from pytestqt.qtbot import QtBot

from napari_noisyseg.gui.canvas import layers
from napari_noisyseg.gui.panel import Panel
from napari_noisyseg.gui.window.lists import flip_lists, show_lists


def controls_of(panel: Panel) -> Any:
    return panel.session.viewer.window._qt_viewer.controls


def test_controls_are_made_when_they_are_looked_at(panel: Panel, qtbot: QtBot) -> None:
    viewer, controls = panel.session.viewer, controls_of(panel)
    (image,) = viewer.layers
    show_lists(viewer, False)
    added = viewer.add_labels(np.zeros((8, 8), int))
    assert added not in controls.widgets
    assert viewer.layers.selection.active is added
    flip_lists(viewer)
    qtbot.waitUntil(lambda: added in controls.widgets, timeout=3000)
    assert controls.currentWidget() is controls.widgets[added]
    viewer.layers.selection.active = image
    assert controls.currentWidget() is controls.widgets[image]
    viewer.layers.selection = {image, added}
    assert controls.panel is not None
    flip_lists(viewer)
    viewer.layers.remove(added)
    assert added not in controls.widgets
    assert controls.currentWidget() is controls.widgets[image]


def test_a_new_layer_of_ours_takes_no_selection(panel: Panel) -> None:
    viewer = panel.session.viewer
    (image,) = viewer.layers
    viewer.layers.selection.active = image
    chosen: list[Any] = []
    viewer.layers.selection.events.active.connect(lambda event: chosen.append(event.value))
    record = panel.session.require_image()
    layer = layers.show_labels(viewer, record, "rough", np.zeros((512, 512), np.int32))
    assert layer in viewer.layers
    assert viewer.layers.selection.active is image
    assert chosen == []
