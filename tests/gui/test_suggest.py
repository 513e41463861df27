"""“Suggest the rest” in the real window: asked, kept and dropped by key, undone, remembered."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from scipy.ndimage import center_of_mass

from napari_noisyseg.gui.canvas import layers
from napari_noisyseg.gui.docks.annotate.dock import AnnotateDock
from napari_noisyseg.gui.panel import Panel
from napari_noisyseg.gui.window.keyfilter import canvases
from napari_noisyseg.slides import Box

LEFT = Qt.MouseButton.LeftButton
PATIENCE = 60_000


@pytest.fixture
def dock(panel: Panel, tnbc: Any, qtbot: QtBot) -> AnnotateDock:
    """Every third nucleus clicked."""
    found: Any = panel.docks["annotate"]
    session = panel.session
    with session.acting():
        name = session.require_image().name
        serials = np.unique(tnbc[1])[1::3]
        places = center_of_mass(tnbc[1] > 0, tnbc[1], serials)
        session.require_project().nuclei.add_many(name, places)
    qtbot.wait(20)
    assert isinstance(found, AnnotateDock)
    return found


def asked(dock: AnnotateDock, qtbot: QtBot) -> list[Any]:
    qtbot.mouseClick(dock.suggest.ask, LEFT)
    assert not dock.suggest.ask.isEnabled()
    qtbot.waitUntil(lambda: not dock.suggest.tool.busy, timeout=PATIENCE)
    return list(dock.suggest.tool.open)


def press(dock: AnnotateDock, qtbot: QtBot, key: Qt.Key, shift: bool = False) -> None:
    modifier = Qt.KeyboardModifier.ShiftModifier if shift else Qt.KeyboardModifier.NoModifier
    qtbot.keyClick(canvases(dock.session.viewer)[0], key, modifier)
    qtbot.wait(20)


def test_suggestions_are_kept_and_dropped_by_key(dock: AnnotateDock, qtbot: QtBot) -> None:
    tool, project = dock.suggest.tool, dock.session.require_project()
    before = project.nuclei.counts().points
    found = asked(dock, qtbot)
    assert len(found) > 20
    assert project.nuclei.counts().points == before
    layer = layers.find(dock.session.viewer, "tissue", "suggested")
    assert layer.name == "tissue · suggested"
    assert len(layer.data) == len(found)
    press(dock, qtbot, Qt.Key.Key_K)
    assert project.nuclei.counts().points == before + 1
    assert tool.current == found[1]
    press(dock, qtbot, Qt.Key.Key_D)
    assert len(project.nuclei.dropped("tissue")) == 1
    assert tool.open == found[2:]
    assert len(layer.data) == len(found) - 2
    again = asked(dock, qtbot)
    places = {(s.y, s.x) for s in again}
    assert (found[0].y, found[0].x) not in places
    assert (found[1].y, found[1].x) not in places


@pytest.mark.long
def test_the_camera_goes_to_each_at_the_same_zoom(dock: AnnotateDock, qtbot: QtBot) -> None:
    found = asked(dock, qtbot)
    camera = dock.session.viewer.scene.camera
    zoom = camera.zoom
    np.testing.assert_allclose(camera.center[-2:], (found[0].y * 0.25, found[0].x * 0.25))
    press(dock, qtbot, Qt.Key.Key_Right)
    np.testing.assert_allclose(camera.center[-2:], (found[1].y * 0.25, found[1].x * 0.25))
    press(dock, qtbot, Qt.Key.Key_K)
    np.testing.assert_allclose(camera.center[-2:], (found[2].y * 0.25, found[2].x * 0.25))
    assert camera.zoom == zoom


@pytest.mark.long
def test_all_above_are_kept_at_once_and_undone_at_once(dock: AnnotateDock, qtbot: QtBot) -> None:
    nuclei = dock.session.require_project().nuclei
    before = nuclei.counts().points
    found = asked(dock, qtbot)
    dock.suggest.least.setValue(0.5)
    sure = sum(s.score >= 0.5 for s in found)
    assert dock.suggest.all.text() == f"Keep {sure}"
    press(dock, qtbot, Qt.Key.Key_K, shift=True)
    assert nuclei.counts().points == before + sure
    assert len(dock.suggest.tool.open) == len(found) - sure
    dock.session.undo()
    qtbot.wait(20)
    assert nuclei.counts().points == before
    assert dock.suggest.tool.open == found


def test_without_points_the_starter_suggests(panel: Panel, qtbot: QtBot) -> None:
    dock: Any = panel.docks["annotate"]
    found = asked(dock, qtbot)
    assert len(found) > 20
    assert dock.suggest.ask.isEnabled()
    press(dock, qtbot, Qt.Key.Key_K)
    assert dock.session.require_project().nuclei.counts().points == 1


@pytest.mark.long
def test_a_layer_deleted_by_hand_comes_back(dock: AnnotateDock, qtbot: QtBot) -> None:
    found = asked(dock, qtbot)
    viewer = dock.session.viewer
    viewer.layers.remove(layers.find(viewer, "tissue", "suggested"))
    press(dock, qtbot, Qt.Key.Key_D)
    assert len(layers.find(viewer, "tissue", "suggested").data) == len(found) - 1


def test_where_nuclei_lie_is_learned_from_complete_fields_at_a_press_and_taken_back(
    dock: AnnotateDock, tnbc: Any, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_noisyseg.coarse.starter import CENTRES, model_weights, packed
    from napari_noisyseg.gui.tools import suggesting
    from napari_noisyseg.worker.lessons.adapting import Lesson

    weights = packed(model_weights(CENTRES), {"network": CENTRES})
    asked_for: list[str] = []

    def learned(path: Any, stopping: Any, subject: str) -> tuple[Lesson, bytes]:
        asked_for.append(subject)
        return Lesson(True, 60, 0.02, 100.0, "learned where nuclei lie from 60 nuclei"), weights

    monkeypatch.setattr(suggesting, "learn_beside", learned)
    row, project = dock.suggest, dock.session.require_project()
    assert row.teach.isHidden()  # no field is declared complete yet
    with dock.session.acting():
        record = dock.session.require_image()
        serials = np.setdiff1d(np.unique(tnbc[1])[1:], np.unique(tnbc[1])[1::3])
        places = center_of_mass(tnbc[1] > 0, tnbc[1], serials)
        project.nuclei.add_many(record.name, places)
        project.nuclei.add_field(record.name, Box(0, 0, record.height, record.width))
    qtbot.waitUntil(lambda: not row.teach.isHidden())
    qtbot.mouseClick(row.teach, LEFT)
    qtbot.waitUntil(lambda: project.learned.of(CENTRES) is not None)
    assert asked_for == ["places"]
    assert not row.tool.learning
    dock.session.undo()
    assert project.learned.of(CENTRES) is None
