"""The four rows of the panel: number, name, one line of truth, a mark drawn by shape and colour."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QFontMetrics, QPainter, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_noisyseg.gui.summary import Summary
from napari_noisyseg.gui.widgets.flags import number
from napari_noisyseg.gui.widgets.theme import Palette

HEIGHT = 34
TITLE_X, LINE_X, MARK_W = 32, 112, 40


class StepRow(QWidget):  # type: ignore[misc]
    """A step's row; a click, Space or Return opens the step."""

    opened = Signal()

    def __init__(self, number: int, title: str, palette: Palette) -> None:
        super().__init__()
        self.number, self.title, self.palette_ = number, title, palette
        self.state = Summary("")
        self.is_open = False
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        self.setAccessibleName(title)

    def sizeHint(self) -> QSize:
        """Qt: as wide as it gets, one line high."""
        return QSize(320, HEIGHT)

    def show_state(self, state: Summary) -> None:
        """Show a new line of truth."""
        if state != self.state:
            self.state = state
            self.setToolTip(f"{self.number}  {self.title}: {state.text}")
            self.setAccessibleDescription(state.text)
            self.update()

    def set_open(self, is_open: bool) -> None:
        """Show whether the step's controls are the ones below."""
        self.is_open = is_open
        self.update()

    def mousePressEvent(self, event: Any) -> None:
        """Qt: a click opens the step."""
        if event.button() == Qt.MouseButton.LeftButton:
            self.opened.emit()

    def keyPressEvent(self, event: Any) -> None:
        """Qt: Space and Return open the step."""
        if event.key() in (Qt.Key.Key_Space, Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.opened.emit()
        else:
            super().keyPressEvent(event)

    def paintEvent(self, event: Any) -> None:
        """Qt: draw the row."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_ground(painter)
        self._paint_words(painter)
        _paint_mark(painter, self.state, self.palette_, self._mark_area())

    def _mark_area(self) -> QRectF:
        return QRectF(self.width() - MARK_W, 0, MARK_W - 10, self.height())

    def _paint_ground(self, painter: QPainter) -> None:
        p = self.palette_
        if self.is_open or self.underMouse() or self.hasFocus():
            ground = QColor(p.accent if self.is_open else p.text)
            ground.setAlpha(34 if self.is_open else 16)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(ground)
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(2, 1, -2, -1), 4, 4)
        if self.is_open:
            painter.setBrush(QColor(p.accent))
            painter.drawRoundedRect(QRectF(2, 7, 3, self.height() - 14), 1.5, 1.5)

    def _paint_words(self, painter: QPainter) -> None:
        p, base = self.palette_, painter.font()
        bold = painter.font()
        bold.setBold(True)
        painter.setPen(QColor(p.accent if self.is_open else p.quiet))
        painter.setFont(bold)
        middle = number(Qt.AlignmentFlag.AlignVCenter)
        painter.drawText(QRectF(14, 0, 16, self.height()), middle, str(self.number))
        painter.setPen(QColor(p.text))
        painter.drawText(QRectF(TITLE_X, 0, LINE_X - TITLE_X, self.height()), middle, self.title)
        painter.setFont(base)
        room = self.width() - LINE_X - MARK_W
        words = QFontMetrics(base).elidedText(self.state.text, Qt.TextElideMode.ElideRight, room)
        painter.setPen(QColor(p.warn if self.state.mark == "warn" else p.quiet))
        painter.drawText(QRectF(LINE_X, 0, room, self.height()), middle, words)


def _paint_mark(painter: QPainter, state: Summary, p: Palette, area: QRectF) -> None:
    right, middle = area.right(), area.center().y()
    if state.mark == "done":
        pen = QPen(QColor(p.good), 2)
        pen.setCapStyle(Qt.PenCapStyle.RoundCap)
        painter.setPen(pen)
        tick = ((right - 12, middle), (right - 8, middle + 4), (right, middle - 5))
        painter.drawPolyline(QPolygonF([QPointF(*place) for place in tick]))
    elif state.mark == "busy":
        _paint_progress(painter, state.fraction, p, QRectF(right - 28, middle - 3, 28, 6))
    elif state.mark in ("stale", "warn"):
        painter.setPen(QPen(QColor(p.warn), 2))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawEllipse(QPointF(right - 5, middle), 4, 4)


def _paint_progress(painter: QPainter, fraction: float | None, p: Palette, area: QRectF) -> None:
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(p.line))
    painter.drawRoundedRect(area, 3, 3)
    filled = QRectF(area)
    filled.setWidth(area.width() * (0.33 if fraction is None else min(max(fraction, 0.05), 1)))
    painter.setBrush(QColor(p.accent))
    painter.drawRoundedRect(filled, 3, 3)
