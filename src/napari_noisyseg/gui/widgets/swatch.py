"""A colour as a spot, as points are drawn."""

from __future__ import annotations

from qtpy.QtGui import QColor, QIcon, QPainter, QPixmap

SWATCH = 14
EDGE = "#10131a"


def swatch(color: str) -> QIcon:
    """An icon of one colour."""
    picture = QPixmap(SWATCH, SWATCH)
    picture.fill(QColor(0, 0, 0, 0))
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(QColor(color))
    painter.setPen(QColor(EDGE))
    painter.drawEllipse(1, 1, SWATCH - 3, SWATCH - 3)
    painter.end()
    return QIcon(picture)
