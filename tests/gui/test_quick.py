"""The two forms that go from layers to layers, in a real window."""

from __future__ import annotations

import numpy as np
import pytest

import napari_noisyseg as ns
from napari_noisyseg.gui import quick

pytestmark = pytest.mark.gui


def _layer(viewer, qtbot, name: str) -> np.ndarray:
    qtbot.waitUntil(lambda: name in viewer.layers, timeout=20_000)
    return viewer.layers[name]


def test_points_of_another_scale_are_outlined_in_their_place(make_napari_viewer, qtbot, tnbc):
    viewer = make_napari_viewer()
    rgb = tnbc[0][:160, :160]
    places = np.array([[40.0, 60.0], [100.0, 30.0]])
    viewer.add_image(rgb, name="a", scale=(0.25, 0.25), translate=(5, 7))
    viewer.add_points(places * 0.25 + (5, 7), name="p")
    _, widget = viewer.window.add_plugin_dock_widget("napari-noisyseg", "Outline nuclei at points")
    assert widget.image.value is viewer.layers["a"]
    assert widget.mpp.value == 0.25
    widget()
    made = _layer(viewer, qtbot, "a outlines")
    assert np.array_equal(made.data, ns.outline(rgb, places, mpp=0.25))
    assert np.allclose(made.scale, 0.25)
    assert np.allclose(made.translate, (5, 7))


def test_nuclei_are_found(make_napari_viewer, qtbot, tnbc):
    viewer = make_napari_viewer()
    viewer.add_image(tnbc[0][:128, :128], name="a")
    _, widget = viewer.window.add_plugin_dock_widget("napari-noisyseg", "Find nuclei in H&E")
    widget()
    assert _layer(viewer, qtbot, "a nuclei").data.max() > 3


def test_what_cannot_be_done_is_told(make_napari_viewer, qtbot, tnbc, monkeypatch):
    told: list[str] = []
    monkeypatch.setattr(quick, "show_error", told.append)
    viewer = make_napari_viewer()
    viewer.add_image([tnbc[0], tnbc[0][::2, ::2]], name="slide", multiscale=True)
    _, widget = viewer.window.add_plugin_dock_widget("napari-noisyseg", "Find nuclei in H&E")
    widget()
    qtbot.waitUntil(lambda: bool(told), timeout=10_000)
    assert "slide is a slide" in told[0]
    assert len(viewer.layers) == 1
