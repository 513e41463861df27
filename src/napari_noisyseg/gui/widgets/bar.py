"""A thin progress bar that is drawn when Qt draws, never at once as QProgressBar is."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_noisyseg.gui.widgets.theme import palette


class Bar(QWidget):  # type: ignore[misc]
    """Shows a fraction in 0..1 in the theme's accent."""

    def __init__(self, height: int = 5) -> None:
        super().__init__()
        self._height = height
        self.fraction = 0.0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        """Qt: thin."""
        return QSize(100, self._height)

    def set_fraction(self, fraction: float) -> None:
        """Show this much; cheap, also when nothing changed."""
        fraction = min(max(fraction, 0.0), 1.0)
        if fraction != self.fraction:
            self.fraction = fraction
            self.setToolTip(f"{100 * fraction:.0f} %")
            self.update()

    def paintEvent(self, event: Any) -> None:
        """Qt: draw it."""
        colours, half = palette(self), self._height / 2
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        whole = QRectF(0, 0, self.width(), self._height)
        painter.setBrush(QColor(colours.line))
        painter.drawRoundedRect(whole, half, half)
        if self.fraction:
            whole.setWidth(max(self._height, self.width() * self.fraction))
            painter.setBrush(QColor(colours.accent))
            painter.drawRoundedRect(whole, half, half)
