"""A noise transition matrix as a small picture: what the rough label says of each true state."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_noisyseg.gui.widgets.flags import number
from napari_noisyseg.gui.widgets.theme import palette

CELL = (86, 30)
LEFT, TOP = 128, 34
GAP = 2
STATES = ("background", "nucleus")


class MatrixView(QWidget):  # type: ignore[misc]
    """2 x 2: columns are the truth, rows the rough label; a fuller bar is a likelier label."""

    def __init__(self) -> None:
        super().__init__()
        self.matrix: NDArray[np.float64] | None = None
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(TOP + 2 * (CELL[1] + GAP) + 2)

    def sizeHint(self) -> QSize:
        """Qt: the picture and its words."""
        return QSize(LEFT + 2 * (CELL[0] + GAP), self.height())

    def show_matrix(self, matrix: NDArray[np.float64] | None) -> None:
        """Paint this one (2, 2), [rough, true]; None clears."""
        self.matrix = matrix
        self.setAccessibleDescription(self.words())
        self.setToolTip(self.words())
        self.update()

    def words(self) -> str:
        """The same as a sentence."""
        if self.matrix is None:
            return ""
        nucleus, ground = self.matrix[1, 1], self.matrix[0, 0]
        return (
            f"Around accepted nuclei the rough mask calls {nucleus:.0%} of nucleus pixels nucleus "
            f"and {ground:.0%} of background pixels background."
        )

    def paintEvent(self, event: Any) -> None:
        """Qt: cells, their shares, and what rows and columns are."""
        if self.matrix is None:
            return
        colours, painter = palette(self), QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QColor(colours.quiet))
        middle = number(Qt.AlignmentFlag.AlignCenter)
        right = number(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        painter.drawText(QRectF(LEFT, 0, 2 * CELL[0] + GAP, 16), middle, "true")
        for k, state in enumerate(STATES):
            painter.drawText(QRectF(self._x(k), 16, CELL[0], 16), middle, state)
            words = f"rough {state}"
            painter.drawText(QRectF(0, self._y(k), LEFT - 8, CELL[1]), right, words)
        for row in (0, 1):
            for column in (0, 1):
                self._cell(painter, row, column)

    def _cell(self, painter: QPainter, row: int, column: int) -> None:
        assert self.matrix is not None
        colours, share = palette(self), float(self.matrix[row, column])
        place = QRectF(self._x(column), self._y(row), *CELL)
        painter.setPen(QColor(colours.line))
        painter.setBrush(QColor(colours.raised))
        painter.drawRoundedRect(place, 3, 3)
        fill = QColor(colours.accent if row == column else colours.warn)
        fill.setAlpha(110)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(fill)
        painter.drawRoundedRect(QRectF(place.x(), place.y(), CELL[0] * share, CELL[1]), 3, 3)
        painter.setPen(QColor(colours.text))
        painter.drawText(place, number(Qt.AlignmentFlag.AlignCenter), f"{share:.0%}")

    @staticmethod
    def _x(column: int) -> float:
        return LEFT + column * (CELL[0] + GAP)

    @staticmethod
    def _y(row: int) -> float:
        return TOP + row * (CELL[1] + GAP)
