"""What the colours of the coarse labels mean, told apart by lightness and pattern as well."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QRectF, QSize, Qt
from qtpy.QtGui import QBrush, QColor, QPainter, QPen
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_noisyseg.gui.canvas import looks
from napari_noisyseg.gui.widgets.flags import number

ENTRIES = (("nucleus", looks.NUCLEUS), ("background", looks.BACKGROUND), ("unknown", ""))
WIDTHS = (82, 104, 90)


class Legend(QWidget):  # type: ignore[misc]
    """Nucleus light, background dark, unknown clear (drawn hatched)."""

    def __init__(self) -> None:
        super().__init__()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setToolTip("Unknown pixels are left clear: training never takes them for background")

    def sizeHint(self) -> QSize:
        """Qt: one line."""
        return QSize(sum(WIDTHS), 22)

    def paintEvent(self, event: Any) -> None:
        """Qt: draw the swatches."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        text, x = self.palette().windowText().color(), 0
        middle = number(Qt.AlignmentFlag.AlignVCenter)
        for (words, colour), width in zip(ENTRIES, WIDTHS, strict=True):
            square = QRectF(x + 1, 4, 14, 14)
            hatch = QBrush(text, Qt.BrushStyle.BDiagPattern)
            painter.setBrush(QBrush(QColor(colour)) if colour else hatch)
            painter.setPen(QPen(text, 1))
            painter.drawRoundedRect(square, 2, 2)
            painter.drawText(QRectF(x + 21, 0, width, 22), middle, words)
            x += width
