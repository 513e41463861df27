"""The Annotate dock: fields that are complete or not, and classes, by real clicks and keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QApplication, QColorDialog, QInputDialog

from napari_noisyseg.gui.canvas import layers, looks
from napari_noisyseg.gui.docks.annotate.dock import AnnotateDock
from napari_noisyseg.gui.panel import Panel
from napari_noisyseg.gui.window.keyfilter import canvases
from napari_noisyseg.slides import Box
from napari_noisyseg.store import Project
from napari_noisyseg.store.records import Outline

LEFT = Qt.MouseButton.LeftButton
CONTROL = Qt.KeyboardModifier.ControlModifier
CHECKED = Qt.CheckState.Checked


@pytest.fixture
def dock(panel: Panel, qtbot: QtBot) -> AnnotateDock:
    """Two fields, three nuclei in the first and one in the second."""
    found: Any = panel.docks["annotate"]
    for box in (Box(20, 20, 220, 220), Box(240, 240, 440, 440)):
        found.kit.fields.add(box)
    for place in ((100.0, 120.0), (60.0, 40.0), (80.0, 40.0), (300.0, 320.0)):
        found.kit.points.add(*place)
    qtbot.wait(50)
    assert isinstance(found, AnnotateDock)
    return found


def project_of(dock: AnnotateDock) -> Project:
    return dock.session.require_project()


def complete(dock: AnnotateDock) -> list[bool]:
    return [field.complete for field in project_of(dock).nuclei.fields("tissue")]


def tick(dock: AnnotateDock, qtbot: QtBot, row: int) -> None:
    """Click the box at the front of a line."""
    rows = dock.fields.list
    place = rows.visualItemRect(rows.item(row)).center()
    place.setX(14)
    qtbot.mouseClick(rows.viewport(), LEFT, pos=place)
    qtbot.wait(20)


def choose(dock: AnnotateDock, qtbot: QtBot, row: int) -> None:
    rows = dock.fields.list
    qtbot.mouseClick(rows.viewport(), LEFT, pos=rows.visualItemRect(rows.item(row)).center())


def words_on_canvas(dock: AnnotateDock) -> list[str]:
    layer = dock.kit.fields.layer()
    assert layer is not None
    return list(layer.text.values)


class TestFields:
    def test_a_click_takes_the_promise_back_and_undo_gives_it_again(
        self, dock: AnnotateDock, panel: Panel, qtbot: QtBot
    ) -> None:
        assert complete(dock) == [True, True]
        tick(dock, qtbot, 1)
        assert complete(dock) == [True, False]
        assert dock.fields.list.item(1).checkState() != CHECKED
        assert "not all marked" in dock.fields.list.item(1).text()
        assert words_on_canvas(dock) == ["1", "2 · not all marked"]
        layer: Any = dock.kit.fields.layer()
        choose(dock, qtbot, 0)
        dock.kit.fields.choose(None)
        wanted = [QColor(c).getRgbF()[:3] for c in (looks.FIELD, looks.OPEN_FIELD)]
        np.testing.assert_allclose(layer.edge_color[:, :3], wanted, atol=0.01)
        assert dock.summary().text == "4 nuclei · 1 of 2 fields complete"
        qtbot.keyClick(canvases(panel.session.viewer)[0], Qt.Key.Key_Z, CONTROL)
        assert complete(dock) == [True, True]
        assert dock.fields.list.item(1).checkState() == CHECKED
        assert words_on_canvas(dock) == ["1", "2"]
        assert dock.summary().text == "4 nuclei · 2 fields"

    def test_it_is_on_the_disk_at_once(self, dock: AnnotateDock, qtbot: QtBot) -> None:
        tick(dock, qtbot, 0)
        with Project.open(project_of(dock).path, write=False) as again:
            assert [f.complete for f in again.nuclei.fields("tissue")] == [False, True]

    def test_keys_of_the_list(self, dock: AnnotateDock, qtbot: QtBot) -> None:
        choose(dock, qtbot, 0)
        qtbot.keyClick(dock.fields.list, Qt.Key.Key_C)
        assert complete(dock) == [False, True]
        qtbot.keyClick(dock.fields.list, Qt.Key.Key_C)
        assert complete(dock) == [True, True]
        choose(dock, qtbot, 1)
        qtbot.keyClick(dock.fields.list, Qt.Key.Key_Delete)
        assert [f.box for f in dock.kit.fields.fields] == [Box(20, 20, 220, 220)]
        assert dock.fields.list.count() == 1
        assert len(dock.kit.points.nuclei) == 4

    def test_list_and_canvas_choose_the_same_field(self, dock: AnnotateDock, qtbot: QtBot) -> None:
        choose(dock, qtbot, 0)
        assert dock.kit.fields.chosen == dock.kit.fields.fields[0].id
        dock.kit.fields.choose(dock.kit.fields.fields[1].id)
        assert dock.fields.list.currentRow() == 1
        canvas = canvases(dock.session.viewer)[0]
        qtbot.keyClick(canvas, Qt.Key.Key_F)
        qtbot.keyClick(canvas, Qt.Key.Key_Delete)
        assert [f.box for f in dock.kit.fields.fields] == [Box(20, 20, 220, 220)]

    def test_remove_button(self, dock: AnnotateDock, qtbot: QtBot) -> None:
        choose(dock, qtbot, 0)
        qtbot.mouseClick(dock.fields.remove, LEFT)
        assert [f.box for f in dock.kit.fields.fields] == [Box(240, 240, 440, 440)]
        dock.session.undo()
        # what comes back comes back to its place
        assert [f.box.y0 for f in dock.kit.fields.fields] == [20, 240]

    def test_without_a_complete_field_the_dock_says_so(
        self, dock: AnnotateDock, qtbot: QtBot
    ) -> None:
        tick(dock, qtbot, 0)
        tick(dock, qtbot, 1)
        assert dock.summary() == ("4 nuclei · 0 of 2 fields complete", "warn", None)
        assert "Tick a field" in dock.hint.text()

    def test_a_project_that_is_only_read_keeps_its_ticks(
        self, dock: AnnotateDock, qtbot: QtBot
    ) -> None:
        session, path = dock.session, project_of(dock).path
        session.close()
        with Project.open(path):
            session.open(path)
            assert not session.writable
            tick(dock, qtbot, 0)
            assert dock.fields.list.item(0).checkState() == CHECKED
            session.close()


def answering(monkeypatch: pytest.MonkeyPatch, **answers: Any) -> None:
    """Dialogs that are answered at once: text, item, color."""
    if "text" in answers:
        given = lambda *_, **__: (answers["text"], True)  # noqa: E731
        monkeypatch.setattr(QInputDialog, "getText", given)
    if "item" in answers:
        asked = lambda *_, **__: answers["item"]  # noqa: E731
        monkeypatch.setattr(QInputDialog, "getItem", asked)
    if "color" in answers:
        picked = lambda *_, **__: QColor(answers["color"])  # noqa: E731
        monkeypatch.setattr(QColorDialog, "getColor", picked)


def classes(dock: AnnotateDock) -> dict[str, str]:
    return {c.name: c.color for c in project_of(dock).nuclei.classes()}


class TestClasses:
    @pytest.fixture
    def named(self, dock: AnnotateDock, monkeypatch: pytest.MonkeyPatch) -> AnnotateDock:
        """Two classes; “tumour” is chosen, and one nucleus is of it."""
        for name in ("lymphocyte", "tumour"):
            answering(monkeypatch, text=name)
            dock.classes.actions_["new"].trigger()
        dock.kit.points.add(150.0, 150.0)
        return dock

    def test_new_points_are_of_the_chosen_class(self, named: AnnotateDock) -> None:
        assert list(classes(named)) == ["lymphocyte", "tumour"]
        names = [n.class_name for n in named.kit.points.nuclei.values()]
        assert names == [None] * 4 + ["tumour"]
        assert named.classes.choice.currentText() == "tumour   (1)"

    def test_rename_and_undo(self, named: AnnotateDock, monkeypatch: pytest.MonkeyPatch) -> None:
        answering(monkeypatch, text="carcinoma")
        named.classes.actions_["rename"].trigger()
        assert list(classes(named)) == ["lymphocyte", "carcinoma"]
        assert named.kit.points.class_name == "carcinoma"
        assert named.classes.choice.currentText() == "carcinoma   (1)"
        named.session.undo()
        assert list(classes(named)) == ["lymphocyte", "tumour"]
        assert named.kit.points.class_name is None

    def test_a_name_that_is_taken_is_refused_in_words(
        self, named: AnnotateDock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        said: list[str] = []
        named.session.noticed.connect(said.append)
        answering(monkeypatch, text="lymphocyte")
        named.classes.actions_["rename"].trigger()
        assert "is already a class" in said[-1]
        assert list(classes(named)) == ["lymphocyte", "tumour"]

    def test_recolour_reaches_the_canvas(
        self, named: AnnotateDock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        answering(monkeypatch, color="#ff00ff")
        named.classes.actions_["color"].trigger()
        assert classes(named)["tumour"] == "#ff00ff"
        layer: Any = named.kit.points.layer()
        assert layer.border_color[-1] == pytest.approx((1, 0, 1, 1))
        named.session.undo()
        assert layer.border_color[-1] != pytest.approx((1, 0, 1, 1))

    def test_remove_asks_what_its_nuclei_become(
        self, named: AnnotateDock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        answering(monkeypatch, item=("", False))
        named.classes.actions_["remove"].trigger()
        assert list(classes(named)) == ["lymphocyte", "tumour"]
        answering(monkeypatch, item=("lymphocyte", True))
        named.classes.actions_["remove"].trigger()
        assert list(classes(named)) == ["lymphocyte"]
        assert [n.class_name for n in named.kit.points.nuclei.values()][-1] == "lymphocyte"
        assert named.classes.choice.currentText() == "lymphocyte   (1)"
        named.session.undo()
        assert project_of(named).nuclei.class_sizes() == {"lymphocyte": 0, "tumour": 1}

    def test_an_empty_class_goes_unasked(
        self, named: AnnotateDock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def never(*_: Any, **__: Any) -> None:
            raise AssertionError("asked what no nuclei become")

        monkeypatch.setattr(QInputDialog, "getItem", never)
        named.classes.choice.setCurrentIndex(1)
        named.classes.choice.activated.emit(1)
        named.classes.actions_["remove"].trigger()
        assert list(classes(named)) == ["tumour"]
        assert not named.classes.actions_["remove"].isEnabled()

    def test_the_chosen_class_is_given_to_selected_points(
        self, named: AnnotateDock, qtbot: QtBot
    ) -> None:
        named.kit.points.select(min(named.kit.points.nuclei))
        qtbot.keyClicks(named.classes.choice, "l")
        QApplication.processEvents()
        named.classes.choice.activated.emit(1)
        first = named.kit.points.nuclei[min(named.kit.points.nuclei)]
        assert first.class_name == "lymphocyte"


def test_undo_and_redo_are_offered_where_they_do_something(
    dock: AnnotateDock, qtbot: QtBot
) -> None:
    assert (dock.undo.isEnabled(), dock.redo.isEnabled()) == (True, False)
    actions = len(project_of(dock).nuclei.history())
    for left in reversed(range(actions)):
        qtbot.mouseClick(dock.undo, LEFT)
        assert (dock.undo.isEnabled(), dock.redo.isEnabled()) == (left > 0, True)
    assert dock.undo.toolTip() == "Take back: nothing now (Ctrl+Z)"
    qtbot.mouseClick(dock.redo, LEFT)
    assert (dock.undo.isEnabled(), dock.redo.isEnabled()) == (True, True)
    assert dock.undo.toolTip() == "Take back: add the image tissue (Ctrl+Z)"
    dock.kit.points.add(50.0, 50.0)
    assert (dock.undo.isEnabled(), dock.redo.isEnabled()) == (True, False)


def test_rough_masks_need_no_field_whatever_a_review_adds(panel: Panel, qtbot: QtBot) -> None:
    nuclei = panel.session.require_project().nuclei
    mask = np.ones((20, 20), np.int32)
    with panel.session.acting():
        name = panel.session.require_image().name
        nuclei.paint(name, Box(40, 40, 60, 60), 0 * mask, mask)
        nuclei.add_outlined(name, 110.0, 110.0, Outline(Box(100, 100, 120, 120), mask > 0))
    steps = [panel.docks[step] for step in ("annotate", "coarse")]
    qtbot.waitUntil(lambda: steps[0].summary() == ("rough masks · 1 accepted", "done", None))
    assert steps[1].summary() == ("come with a field", "todo", None)
    panel.open_step("train")
    rough: Any = layers.find(panel.session.viewer, name, "rough")
    assert rough.visible  # what is trained on, until a run has found something better
    panel.open_step("annotate")
    panel.docks["annotate"].kit.points.add(300.0, 300.0)
    qtbot.wait(20)
    assert steps[0].summary() == ("2 nuclei · no field yet", "warn", None)
    assert steps[1].summary() == ("need a field", "warn", None)


def test_projects_of_two_windows_do_not_mix(dock: AnnotateDock, tmp_path: Path) -> None:
    """Another project has other classes; the chosen one of the last is not taken over."""
    with project_of(dock).nuclei.together("name"):
        project_of(dock).nuclei.add_class("tumour")
    dock.kit.points.class_name = "tumour"
    dock.session.create(tmp_path / "other.noisyseg")
    dock.session.require_image()
    dock.kit.points.add(50.0, 50.0)
    assert project_of(dock).nuclei.classes() == []
