"""A line of words that changes often: it is painted, and never asks for another layout."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QRect, QSize, Qt
from qtpy.QtGui import QColor, QFontMetrics, QPainter
from qtpy.QtWidgets import QLabel, QSizePolicy, QWidget

from napari_noisyseg.gui.widgets.flags import number

MANY = 10_000
PAD = 2
INDENT = 5
"""pixels at the left, as a label has them"""


class StillLine(QWidget):  # type: ignore[misc]
    """One line of text, cut where there is no room; `wrap` shows all of it on several lines.

    A QLabel lays its whole window out again for each new text, which is then drawn a second time.
    """

    def __init__(self) -> None:
        super().__init__()
        self._text, self._wrap = "", False
        self._color: str | None = None
        self._like = QLabel(self)  # for its font, which the theme sets
        self._like.hide()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def text(self) -> str:
        """The words shown."""
        return self._text

    def setText(self, text: str) -> None:
        """Show other words."""
        if text == self._text:
            return
        self._text = text
        self.setAccessibleName(text)
        if self._wrap:
            self._fit()
        self.update()

    def set_wrap(self, wrap: bool) -> None:
        """All of the words on several lines, or one line."""
        if wrap != self._wrap:
            self._wrap = wrap
            self._fit()

    def set_color(self, color: str | None) -> None:
        """Another colour than the text has elsewhere; None for that."""
        if color != self._color:
            self._color = color
            self.update()

    def _fit(self) -> None:
        self.setFixedHeight(self._height())

    def _height(self) -> int:
        metrics = self._metrics()
        if not self._wrap:
            return int(metrics.height()) + 2 * PAD
        room = QRect(0, 0, max(self.width() - INDENT, 100), MANY)
        return int(metrics.boundingRect(room, self._flags(), self._text).height()) + 2 * PAD

    def _metrics(self) -> QFontMetrics:
        self._like.ensurePolished()
        return self._like.fontMetrics()

    def _flags(self) -> int:
        flags = number(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        return flags | number(Qt.TextFlag.TextWordWrap) if self._wrap else flags

    def sizeHint(self) -> QSize:
        """Qt: a line high."""
        return QSize(100, self._height())

    def resizeEvent(self, event: Any) -> None:
        """Qt: what is wrapped needs another height in another width."""
        super().resizeEvent(event)
        if self._wrap and event.size().width() != event.oldSize().width():
            self._fit()

    def paintEvent(self, event: Any) -> None:
        """Qt: draw the words."""
        painter, metrics = QPainter(self), self._metrics()
        painter.setFont(self._like.font())
        color = QColor(self._color) if self._color else self.palette().windowText().color()
        painter.setPen(color)
        room, words = self.rect().adjusted(INDENT, 0, 0, 0), self._text
        if not self._wrap:
            words = metrics.elidedText(words, Qt.TextElideMode.ElideRight, room.width())
        painter.drawText(room, self._flags(), words)
