"""A person at the window: a mouse and a keyboard, and what can be seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QAbstractSpinBox, QFileDialog, QWidget

from napari_noisyseg.gui.canvas import layers
from napari_noisyseg.gui.panel import Panel
from napari_noisyseg.gui.window.keyfilter import canvases, window_of

LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton
NO_MODIFIER = Qt.KeyboardModifier.NoModifier
CONTROL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


class Hand:
    """Clicks on the canvas and on widgets, and types; places are (y, x) of an image's pixels.

    Keys go to the window, and so to whatever has the focus there.
    """

    def __init__(self, panel: Panel, qtbot: QtBot) -> None:
        self.panel, self.qtbot = panel, qtbot
        self.session = panel.session
        (self.canvas,) = canvases(self.session.viewer)
        self.window.activateWindow()
        qtbot.waitUntil(self.window.isActiveWindow, timeout=5000)

    @property
    def window(self) -> Any:
        """The viewer's window; held here it would outlive its test."""
        return window_of(self.session.viewer)

    # --- the canvas ----------------------------------------------------------------------------

    def at(self, place: tuple[float, float], layer: Any = None) -> QPoint:
        """Where on the canvas a place of an image is seen; the one in front by default."""
        image: Any = layer if layer is not None else self.session.image_layer()
        camera = self.session.viewer.scene.camera
        world = np.asarray(image.data_to_world(place))
        offset = (world - np.asarray(camera.center)[-2:]) * camera.zoom
        return QPoint(
            round(self.canvas.width() / 2 + offset[1]), round(self.canvas.height() / 2 + offset[0])
        )

    def click(
        self, place: tuple[float, float], button: Qt.MouseButton = LEFT, layer: Any = None
    ) -> None:
        at = self.at(place, layer)
        assert self.canvas.rect().contains(at), f"{place} is not on the screen"
        self.qtbot.mouseMove(self.canvas, at)
        self.qtbot.mousePress(self.canvas, button, pos=at)
        self.qtbot.mouseRelease(self.canvas, button, pos=at)
        self.qtbot.wait(20)

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        first, last = self.at(start), self.at(end)
        self.qtbot.mousePress(self.canvas, LEFT, pos=first)
        for share in (0.3, 0.7, 1.0):
            step = QPoint(
                round(first.x() + share * (last.x() - first.x())),
                round(first.y() + share * (last.y() - first.y())),
            )
            self.qtbot.mouseMove(self.canvas, step)
            self.qtbot.wait(10)
        self.qtbot.mouseRelease(self.canvas, LEFT, pos=last)
        self.qtbot.wait(20)

    # --- everything else -----------------------------------------------------------------------

    def key(self, key: Qt.Key, modifier: Any = NO_MODIFIER) -> None:
        QTest.keyClick(self.window.windowHandle(), key, modifier)
        self.qtbot.wait(10)

    def type(self, words: str) -> None:
        for letter in words:
            self.key(Qt.Key(ord(letter.upper())))

    def press(self, widget: QWidget, pos: QPoint | None = None) -> None:
        """Click a widget where it is seen."""
        assert widget.isVisible()
        assert widget.isEnabled()
        self.qtbot.mouseClick(widget, LEFT, pos=widget.rect().center() if pos is None else pos)
        self.qtbot.wait(20)

    def press_row(self, rows: Any, row: int, column: int = 0) -> None:
        """Click a row of a list or a table."""
        index = rows.model().index(row, column)
        rows.scrollTo(index)
        self.press(rows.viewport(), rows.visualRect(index).center())

    def open_step(self, step: str) -> None:
        """Click a step's row."""
        self.press(self.panel.rows[step])
        assert self.panel.step == step

    def choose(self, name: str) -> None:
        """Choose an image in the panel's list."""
        images = self.panel.header.images
        self.press(images)
        popup = images.view()
        self.qtbot.waitUntil(popup.isVisible, timeout=3000)
        self.qtbot.wait(400)  # Qt takes a click at once for the end of the one that opened it
        self.press_row(popup, images.findText(name))
        self.qtbot.waitUntil(lambda: not popup.isVisible(), timeout=3000)
        self.qtbot.wait(50)

    def menu(self, words: str) -> None:
        """Choose an entry of the panel's menu."""
        actions = self.panel.header.menu_button.menu().actions()
        next(action for action in actions if action.text().startswith(words)).trigger()
        self.qtbot.wait(50)

    def add_images(self, monkeypatch: Any, *paths: Path) -> None:
        """*Add images…*, with these chosen in the dialog."""
        chosen = lambda *_, **__: ([str(path) for path in paths], "")  # noqa: E731
        monkeypatch.setattr(QFileDialog, "getOpenFileNames", chosen)
        self.menu("Add images")

    def layer_list(self) -> Any:
        """napari's list of layers."""
        from napari._qt.containers.qt_layer_list import QtLayerList

        (found,) = self.window.findChildren(QtLayerList)
        return found

    def layer_buttons(self) -> Any:
        """The buttons over napari's list of layers."""
        from napari._qt.widgets.qt_viewer_buttons import QtLayerButtons

        (found,) = self.window.findChildren(QtLayerButtons)
        return found

    def press_layer(self, layer: Any) -> Any:
        """Click a layer's name in napari's list; the list."""
        rows = self.layer_list()
        model = rows.model()
        for row in range(model.rowCount()):
            index = model.index(row, 0)
            if model.data(index, Qt.ItemDataRole.DisplayRole) == layer.name:
                rows.scrollTo(index)
                self.press(rows.viewport(), rows.visualRect(index).center())
                return rows
        raise AssertionError(f"{layer.name} is not in the list")

    def spin_box(self, tip: str) -> Any:
        """A spin box of napari's controls of the layer that is selected."""
        boxes = self.window.findChildren(QAbstractSpinBox)
        return next(x for x in boxes if x.isVisible() and tip in x.toolTip())

    # --- what is seen --------------------------------------------------------------------------

    def seen(self) -> set[tuple[str, str]]:
        """Image and kind of every layer of ours that is visible."""
        notes = [layers.tag(x) for x in self.session.viewer.layers if x.visible]
        return {(note["image"], note["kind"]) for note in notes if "kind" in note}

    def shows(self, name: str) -> bool:
        """Whether canvas, panel and session have just this image in front, its points on it."""
        session, header = self.session, self.panel.header
        self.qtbot.wait(30)
        assert session.image == name
        assert header.images.currentText() == name
        assert {image for image, _ in self.seen()} == {name}
        assert (name, "image") in self.seen()
        assert layers.tag(layers.of_image(session.viewer, name)[0])["kind"] == "image"
        points = layers.find(session.viewer, name, "points")
        drawn = [] if points is None else points.data
        held = [] if session.project is None else session.project.nuclei.of(name)
        assert near(rounded(drawn), sorted((round(n.y), round(n.x)) for n in held))
        record: Any = session.record()
        # the header is drawn when the events are over, which a busy machine may put off
        stated = round(record.mpp, 4)
        self.qtbot.waitUntil(lambda: float(header.mpp.text()) == stated, timeout=2000)
        return True


def rounded(drawn: Any) -> list[tuple[int, int]]:
    return sorted((round(float(y)), round(float(x))) for y, x in drawn)


def places(panel: Panel, image: str | None = None) -> list[tuple[int, int]]:
    """Where the project has points, in the image in front or in another one."""
    project, image = panel.session.project, image or panel.session.image
    assert project is not None
    assert image is not None
    return sorted((round(n.y), round(n.x)) for n in project.nuclei.of(image))


def near(found: list[tuple[int, int]], wanted: list[tuple[int, int]]) -> bool:
    """Whether places agree as well as screen pixels allow."""
    if len(found) != len(wanted):
        return False
    return not found or bool(np.abs(np.subtract(found, wanted)).max() <= 1)
