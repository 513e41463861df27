"""A mouse and a keyboard in the real window: every event goes where Qt would send a person's."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QScrollArea, QWidget

from napari_noisyseg.gui.canvas import layers, tissue
from napari_noisyseg.gui.panel import Panel
from napari_noisyseg.gui.window.keyfilter import canvases, window_of

LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton
PLAIN = Qt.KeyboardModifier.NoModifier
Spot = tuple[int, int]


class Hands:
    """Spots are (x, y) of the canvas in screen pixels, worlds (y, x)."""

    def __init__(self, panel: Panel) -> None:
        self.panel, self.session = panel, panel.session
        self.viewer = panel.session.viewer
        window = window_of(self.viewer)
        assert window is not None
        self.window: QWidget = window
        (self.canvas,) = canvases(self.viewer)

    # --- places --------------------------------------------------------------------------------

    def world(self, spot: Spot) -> Any:
        """What lies under a spot, in the world."""
        camera = self.viewer.scene.camera
        size = np.array([self.canvas.height(), self.canvas.width()])
        offset = (np.array(spot[::-1]) - size / 2) / camera.zoom
        return np.asarray(camera.center)[-2:] + offset

    def spot(self, layer: Any, place: tuple[float, float]) -> Spot:
        """Where a place (y, x) in a layer's pixels is seen."""
        camera = self.viewer.scene.camera
        world = np.asarray(layer.data_to_world(place))[-2:]
        offset = (world - np.asarray(camera.center)[-2:]) * camera.zoom
        return (
            round(self.canvas.width() / 2 + offset[1]),
            round(self.canvas.height() / 2 + offset[0]),
        )

    def within(self, spot: Spot) -> Spot:
        """The spot of the canvas that is nearest to a spot."""
        width, height = self.canvas.width(), self.canvas.height()
        return min(max(spot[0], 2), width - 3), min(max(spot[1], 2), height - 3)

    def under(self, spot: Spot) -> str | None:
        """The image of the project whose pixels are seen at a spot; "" for a stranger's."""
        layer = tissue.under(self.viewer, self.world(spot))
        return None if layer is None else layers.image_name(layer) or ""

    # --- the canvas ----------------------------------------------------------------------------

    def click(self, spot: Spot, button: Any = LEFT) -> None:
        """Press and let go."""
        at = QPoint(*spot)
        QTest.mouseMove(self.canvas, at)
        QTest.mousePress(self.canvas, button, PLAIN, at)
        QTest.mouseRelease(self.canvas, button, PLAIN, at)

    def double(self, spot: Spot) -> None:
        """Two fast clicks."""
        self.click(spot)
        QTest.mouseDClick(self.canvas, LEFT, PLAIN, QPoint(*spot))

    def drag(self, spots: list[Spot], button: Any = LEFT) -> None:
        """Press at the first, go along them, let go at the last."""
        QTest.mouseMove(self.canvas, QPoint(*spots[0]))
        QTest.mousePress(self.canvas, button, PLAIN, QPoint(*spots[0]))
        for spot in spots[1:]:
            QTest.mouseMove(self.canvas, QPoint(*spot))
            QApplication.processEvents()
        QTest.mouseRelease(self.canvas, button, PLAIN, QPoint(*spots[-1]))

    def wheel(self, spot: Spot, turns: int) -> None:
        """Turn the wheel."""
        at = QPointF(*spot)
        event = QWheelEvent(
            at, QPointF(self.canvas.mapToGlobal(QPoint(*spot))), QPoint(0, 0),
            QPoint(0, 120 * turns), Qt.MouseButton.NoButton, PLAIN,
            Qt.ScrollPhase.NoScrollPhase, False,
        )  # fmt: skip
        QApplication.sendEvent(self.canvas, event)

    # --- widgets -------------------------------------------------------------------------------

    def press(self, widget: QWidget, at: QPoint | None = None) -> bool:
        """Click a widget, or what a person would hit there; False where it cannot be seen."""
        self.bring(widget)
        at = at if at is not None else widget.rect().center()
        if not widget.isVisible() or not widget.isEnabled():
            return False
        spot = widget.mapTo(self.window, at)
        hit = self.window.childAt(spot)
        if hit is None:
            return False
        QTest.mouseClick(hit, LEFT, PLAIN, hit.mapFrom(self.window, spot))
        return True

    def bring(self, widget: QWidget) -> None:
        """Scroll the panel to a widget."""
        parent = widget.parentWidget()
        while parent is not None:
            if isinstance(parent, QScrollArea):
                parent.ensureWidgetVisible(widget)
                QApplication.processEvents()
            parent = parent.parentWidget()

    @property
    def focus(self) -> QWidget:
        """Who gets the keys."""
        found: QWidget | None = QApplication.focusWidget()
        # a virtual display has nobody who would give the focus back when a list has closed
        if found is None or not found.isVisible() or found.window() is not self.window:
            self.window.activateWindow()
            found = self.window.focusWidget()
        return found or self.canvas

    def key(self, key: Any, modifiers: Any = PLAIN) -> None:
        """Press a key and let go, wherever the focus is."""
        QTest.keyClick(self.focus, key, modifiers)
