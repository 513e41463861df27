"""What the colours on the canvas mean, told apart by lightness and pattern as well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from napari.utils.colormaps import ensure_colormap
from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QBrush, QColor, QLinearGradient, QPainter, QPen
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_noisyseg.gui.widgets.pens import CASING, CASING_OPACITY, EDGE, RING, Dot, Pen

ROW = 22
GAP = 6
"""pixels between a mark and its words"""
APART = 14
"""pixels between two entries"""
SQUARE, STROKE, SHORTEST = 14, 36, 56
"""width of a swatch, of a piece of line, and of a ramp at least"""
TISSUE = "#d9a3c0"
"""behind a piece of line: the pink on which it will be seen"""


@dataclass(frozen=True, slots=True)
class Swatch:
    """An area; without a colour it is hatched, for what is left clear."""

    words: str
    color: str = ""


@dataclass(frozen=True, slots=True)
class Stroke:
    """A line as it is drawn on the canvas."""

    words: str
    pen: Pen


@dataclass(frozen=True, slots=True)
class Mark:
    """A dot as it is drawn on the canvas."""

    words: str
    dot: Dot


@dataclass(frozen=True, slots=True)
class Ramp:
    """A colour map (one of napari's, by name) with words for its two ends."""

    colormap: str
    low: str
    high: str


Entry = Swatch | Stroke | Mark | Ramp


class Legend(QWidget):  # type: ignore[misc]
    """Entries in a line, wrapped to the width there is; a ramp has a line to itself."""

    def __init__(self, entries: Sequence[Entry], tip: str = "") -> None:
        super().__init__()
        self._entries = tuple(entries)
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.setToolTip(tip)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """What it says."""
        return self._entries

    def set_entries(self, entries: Sequence[Entry]) -> None:
        """Say something else."""
        self._entries = tuple(entries)
        self.updateGeometry()
        self.update()

    # --- Qt ------------------------------------------------------------------------------------

    def hasHeightForWidth(self) -> bool:
        """Qt: the narrower, the more lines."""
        return True

    def heightForWidth(self, width: int) -> int:
        """Qt: pixels that the lines need."""
        return int(max((place.bottom() for _, place in self._places(width)), default=0.0))

    def sizeHint(self) -> QSize:
        """Qt: as much as a narrow panel has."""
        return QSize(276, self.heightForWidth(self.width() or 276))

    def minimumSizeHint(self) -> QSize:
        """Qt: the widest entry."""
        widest = max((self._width(entry) for entry in self._entries), default=0.0)
        return QSize(int(min(widest, 276.0)), ROW)

    def resizeEvent(self, event: Any) -> None:
        """Qt: another width may need more lines."""
        if self.height() != self.heightForWidth(self.width()):
            self.updateGeometry()
        super().resizeEvent(event)

    def paintEvent(self, event: Any) -> None:
        """Qt: draw the entries."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        text = self.palette().windowText().color()
        for entry, place in self._places(self.width()):
            painter.setPen(QPen(text, 1.0))
            if isinstance(entry, Ramp):
                self._ramp(painter, entry, place)
                continue
            mark = _room(entry)
            words = place.adjusted(mark + GAP, 0.0, 0.0, 0.0)
            painter.drawText(words, int(Qt.AlignmentFlag.AlignVCenter.value), entry.words)
            if isinstance(entry, Swatch):
                _swatch(painter, entry.color, place, text)
            elif isinstance(entry, Mark):
                _dot(painter, entry.dot, place)
            else:
                _stroke(painter, entry.pen, place)
        painter.end()

    # --- where things go -----------------------------------------------------------------------

    def _places(self, width: int) -> list[tuple[Entry, QRectF]]:
        found: list[tuple[Entry, QRectF]] = []
        x = y = 0.0
        for entry in self._entries:
            wide = isinstance(entry, Ramp)
            needed = self._width(entry)
            if x and (wide or x + needed > width):
                x, y = 0.0, y + ROW
            lines = 2 if wide and needed > width else 1
            place = QRectF(x, y, float(width) if wide else needed, float(lines * ROW))
            found.append((entry, place))
            x = 0.0 if wide else x + needed + APART
            y += lines * ROW if wide else 0
        return found

    def _width(self, entry: Entry) -> float:
        """Pixels that an entry needs to be on one line."""
        if isinstance(entry, Ramp):
            return self._long(entry.low) + self._long(entry.high) + 2 * GAP + SHORTEST
        return _room(entry) + GAP + self._long(entry.words)

    def _long(self, words: str) -> float:
        return float(self.fontMetrics().horizontalAdvance(words)) + 2

    def _ramp(self, painter: QPainter, ramp: Ramp, place: QRectF) -> None:
        """The bar between its words, or above them where it is narrow."""
        bar = QRectF(place.x() + 1, place.y() + 5, place.width() - 2, 12.0)
        if place.height() <= ROW:
            bar.adjust(self._long(ramp.low) + GAP, 0.0, -self._long(ramp.high) - GAP, 0.0)
        below = QRectF(place.x(), place.bottom() - ROW, place.width(), float(ROW))
        for words, side in ((ramp.low, "AlignLeft"), (ramp.high, "AlignRight")):
            flags = getattr(Qt.AlignmentFlag, side) | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(below, int(flags.value), words)
        shades = QLinearGradient(bar.topLeft(), bar.topRight())
        for at, rgba in enumerate(ensure_colormap(ramp.colormap).map([i / 15 for i in range(16)])):
            shades.setColorAt(at / 15, QColor.fromRgbF(*(float(part) for part in rgba)))
        painter.setBrush(QBrush(shades))
        painter.drawRoundedRect(bar, 2.0, 2.0)


def _swatch(painter: QPainter, color: str, place: QRectF, text: QColor) -> None:
    hatch = QBrush(text, Qt.BrushStyle.BDiagPattern)
    painter.setBrush(QBrush(QColor(color)) if color else hatch)
    square = QRectF(place.x() + 1, place.y() + (ROW - SQUARE) / 2, SQUARE - 1.0, SQUARE - 1.0)
    painter.drawRoundedRect(square, 2.0, 2.0)


def _room(entry: Swatch | Stroke | Mark) -> int:
    """Pixels of an entry's mark, before its words."""
    return STROKE if isinstance(entry, Stroke) else SQUARE


def _tissue(painter: QPainter, place: QRectF, width: int) -> QRectF:
    """A piece of tissue, to show on it what is drawn on tissue."""
    ground = QRectF(place.x(), place.y() + 4, float(width), ROW - 8.0)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QBrush(QColor(TISSUE)))
    painter.drawRoundedRect(ground, 2.0, 2.0)
    return ground


def _dot(painter: QPainter, dot: Dot, place: QRectF) -> None:
    """A dot with its edge, or its ring, on a piece of tissue."""
    middle = _tissue(painter, place, SQUARE).center()
    shade = QColor(dot.color)
    dark = QColor(CASING)
    dark.setAlphaF(CASING_OPACITY)
    painter.setPen(QPen(shade, RING) if dot.hollow else QPen(dark, EDGE))
    painter.setBrush(Qt.BrushStyle.NoBrush if dot.hollow else QBrush(shade))
    painter.drawEllipse(middle, dot.width / 2, dot.width / 2)


def _stroke(painter: QPainter, pen: Pen, place: QRectF) -> None:
    """A piece of line with its casing and its dashes, on a piece of tissue."""
    ground = _tissue(painter, place, STROKE)
    middle = ground.center().y()
    left, right = QPointF(ground.left() + 5, middle), QPointF(ground.right() - 5, middle)
    for color, width, opacity in (
        (CASING, pen.width + 2 * pen.casing, CASING_OPACITY * pen.opacity),
        (pen.color, pen.width, pen.opacity),
    ):
        painter.setPen(_qt(pen, color, width, opacity))
        painter.drawLine(left, right)


def _qt(pen: Pen, color: str, width: float, opacity: float) -> QPen:
    shade = QColor(color)
    shade.setAlphaF(opacity)
    found = QPen(QBrush(shade), width, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap)
    if pen.broken:
        # Qt counts in widths and puts the round caps outside
        straight = max(pen.on - pen.width, 0.01)
        step = pen.on + pen.off
        found.setDashPattern([straight / width, (step - straight) / width])
    return found
