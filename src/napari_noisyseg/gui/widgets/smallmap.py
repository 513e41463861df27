"""A small map in a corner of the picture: press or drag in it to go there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QPointF, QRectF, QSize, Qt, QTimer, Signal
from qtpy.QtGui import QBrush, QColor, QImage, QPainter, QPen, QPixmap
from qtpy.QtWidgets import QToolButton, QWidget

from napari_noisyseg.gui.widgets.theme import Palette

PAD, TITLE, LINE = 7, 20, 16
"""screen pixels: round everything, of the title, of a line below the map"""
NARROWEST = 148
"""of the picture's place, so that the lines below it have room"""
MARK = 10
DARK, LIGHT = "#10131a", "#ffffff"
"""of the frame that shows the view: one of them is seen on any tissue"""
ROUNDING = 5.0
SMALLEST = 3.0


@dataclass(frozen=True, slots=True)
class Outlined:
    """A rectangle on the map (x, y, width, height), and its colour."""

    rect: tuple[float, float, float, float]
    color: str


@dataclass(frozen=True, slots=True)
class Line:
    """A line below the map; before its words a mark: a frame, an area, or none."""

    words: str
    mark: Literal["frame", "area", ""] = ""
    color: str = ""


class SmallMap(QWidget):  # type: ignore[misc]
    """Draws what it is given. Places on it are pixels from the picture's top left corner."""

    sought = Signal(float, float)
    """a person wants to go to x, y; the last of several that came at once"""
    closed = Signal()

    def __init__(self, parent: QWidget, title: str, tip: str, close_tip: str) -> None:
        super().__init__(parent)
        self._title = title
        self._picture = QPixmap()
        self._size = QSize(NARROWEST, NARROWEST)
        self._view: tuple[float, float, float, float] | None = None
        self._outlined: Sequence[Outlined] = ()
        self._lines: Sequence[Line] = ()
        self._colours: Palette | None = None
        self._held: QPointF | None = None
        self._dragging = False
        self.setToolTip(tip)
        self.setAccessibleName(title)
        self.setMouseTracking(True)
        self.close_button = QToolButton(self, text="×")
        self.close_button.setToolTip(close_tip)
        self.close_button.setCursor(Qt.CursorShape.ArrowCursor)
        self.close_button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.close_button.clicked.connect(lambda: self.closed.emit())
        self._soon = QTimer(self, singleShot=True, interval=0)
        self._soon.timeout.connect(self._tell)

    # --- what it shows -------------------------------------------------------------------------

    def restyle(self, colours: Palette) -> None:
        """Take on a theme's colours."""
        self._colours = colours
        self.close_button.setStyleSheet(
            f"QToolButton {{ background: transparent; border: none; color: {colours.quiet};"
            f" font-weight: 600; padding: 0; }} QToolButton:hover {{ color: {colours.text}; }}"
        )
        self.update()

    def show_size(self, height: int, width: int) -> None:
        """Give the picture so many screen pixels."""
        if (self._size.height(), self._size.width()) != (height, width):
            self._size = QSize(width, height)
            self.clear_picture()
        self._lay_out()

    def show_picture(self, rgb: NDArray[np.uint8]) -> None:
        """The picture, uint8 (h, w, 3); it may have more pixels than the screen."""
        height, width = rgb.shape[:2]
        rgb = np.ascontiguousarray(rgb)
        image = QImage(rgb.data, width, height, 3 * width, QImage.Format.Format_RGB888)
        self._picture = QPixmap.fromImage(image)
        self.update()

    def clear_picture(self) -> None:
        """Show no picture: what comes next is of something else."""
        self._picture = QPixmap()
        self.update()

    def show_outlined(self, outlined: Sequence[Outlined]) -> None:
        """Rectangles on the picture."""
        self._outlined = tuple(outlined)
        self.update()

    def show_view(self, rect: tuple[float, float, float, float] | None) -> None:
        """The frame of what is seen now."""
        if rect != self._view:
            self._view = rect
            self.update()

    def show_lines(self, lines: Sequence[Line]) -> None:
        """What is said below."""
        if tuple(lines) != self._lines:
            self._lines = tuple(lines)
            self._lay_out()

    @property
    def lines(self) -> Sequence[Line]:
        """What is said below."""
        return self._lines

    @property
    def view(self) -> tuple[float, float, float, float] | None:
        """The frame of what is seen now."""
        return self._view

    @property
    def outlined(self) -> Sequence[Outlined]:
        """Rectangles on the picture."""
        return self._outlined

    @property
    def pictured(self) -> bool:
        """Whether there is a picture."""
        return not self._picture.isNull()

    # --- Qt ------------------------------------------------------------------------------------

    def place(self) -> QRectF:
        """Where the picture lies in the widget."""
        wide = max(NARROWEST, self._size.width())
        left = PAD + (wide - self._size.width()) / 2
        return QRectF(left, TITLE, float(self._size.width()), float(self._size.height()))

    def _lay_out(self) -> None:
        wide = max(NARROWEST, self._size.width()) + 2 * PAD
        high = TITLE + self._size.height() + PAD + LINE * len(self._lines)
        high += PAD // 2 if self._lines else 0
        self.resize(wide, high)
        self.close_button.setGeometry(wide - TITLE - 1, 1, TITLE, TITLE - 2)
        self.update()

    def paintEvent(self, event: Any) -> None:
        """Qt: draw it."""
        if self._colours is None:
            return
        painter, colours, place = QPainter(self), self._colours, self.place()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.setPen(QPen(QColor(colours.line), 1.0))
        painter.setBrush(QBrush(QColor(colours.base)))
        whole = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        painter.drawRoundedRect(whole, ROUNDING, ROUNDING)
        font = self.font()
        font.setPixelSize(11)
        painter.setFont(font)
        painter.setPen(QColor(colours.quiet))
        left = int(Qt.AlignmentFlag.AlignVCenter.value)
        painter.drawText(QRectF(PAD, 0.0, whole.width(), float(TITLE)), left, self._title)
        if self._picture.isNull():
            painter.fillRect(place, QColor(colours.raised))
        else:
            painter.drawPixmap(place, self._picture, QRectF(self._picture.rect()))
        painter.save()
        painter.setClipRect(place)
        self._draw_rects(painter, place)
        painter.restore()
        self._draw_lines(painter, place, colours)
        painter.end()

    def _draw_rects(self, painter: QPainter, place: QRectF) -> None:
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for one in self._outlined:
            x, y, width, height = one.rect
            painter.setPen(QPen(QColor(one.color), 1.6))
            painter.drawRect(
                QRectF(place.x() + x, place.y() + y, max(width, SMALLEST), max(height, SMALLEST))
            )
        if self._view is not None:
            x, y, width, height = self._view
            frame = QRectF(place.x() + x, place.y() + y, width, height).adjusted(1, 1, -1, -1)
            for color, wide in ((DARK, 3.4), (LIGHT, 1.6)):
                painter.setPen(QPen(QColor(color), wide))
                painter.drawRect(frame)

    def _draw_lines(self, painter: QPainter, place: QRectF, colours: Palette) -> None:
        y = place.bottom() + PAD / 2
        for line in self._lines:
            x = float(PAD)
            mark = QRectF(x, y + (LINE - MARK) / 2, float(MARK), float(MARK))
            if line.mark == "frame":
                painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.setPen(QPen(QColor(line.color), 1.6))
                painter.drawRect(mark.adjusted(1, 1, -1, -1))
            elif line.mark == "area":
                painter.setBrush(QBrush(QColor(line.color)))
                painter.setPen(QPen(QColor(colours.quiet), 1.0))
                painter.drawRect(mark.adjusted(0.5, 0.5, -0.5, -0.5))
            x += MARK + 5 if line.mark else 0
            painter.setPen(QColor(colours.text if line.mark else colours.quiet))
            words = QRectF(x, y, self.width() - x - PAD, float(LINE))
            painter.drawText(words, int(Qt.AlignmentFlag.AlignVCenter.value), line.words)
            y += LINE

    # --- the mouse -----------------------------------------------------------------------------

    def mousePressEvent(self, event: Any) -> None:
        """Qt: go there; what is under the map hears nothing of it."""
        event.accept()
        if event.button() == Qt.MouseButton.LeftButton and self.place().contains(event.position()):
            self._dragging = True
            self._seek(event.position())

    def mouseMoveEvent(self, event: Any) -> None:
        """Qt: drag on."""
        event.accept()
        over = self._dragging or self.place().contains(event.position())
        shape = Qt.CursorShape.PointingHandCursor if over else Qt.CursorShape.ArrowCursor
        self.setCursor(shape)
        if self._dragging:
            self._seek(event.position())

    def mouseReleaseEvent(self, event: Any) -> None:
        """Qt: let go."""
        event.accept()
        self._dragging = False

    def mouseDoubleClickEvent(self, event: Any) -> None:
        """Qt: a fast second click is one like any other."""
        self.mousePressEvent(event)

    def wheelEvent(self, event: Any) -> None:
        """Qt: not for the picture below."""
        event.accept()

    def _seek(self, at: QPointF) -> None:
        self._held = at - self.place().topLeft()
        self._soon.start()

    def _tell(self) -> None:
        if self._held is not None:
            self.sought.emit(self._held.x(), self._held.y())
