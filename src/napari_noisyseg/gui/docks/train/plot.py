"""The loss while it falls: training as a line, held-out tiles as dots, in the theme's colours."""

from __future__ import annotations

import pyqtgraph as pg
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor

from napari_noisyseg.gui.controllers.progress import Curve, RunProgress
from napari_noisyseg.gui.widgets.quietplot import QuietPlot
from napari_noisyseg.gui.widgets.theme import Palette

SMOOTH = 0.15
"""weight of the newest loss in the running mean that is drawn strong; the raw one is faint"""


def running_mean(values: list[float], weight: float = SMOOTH) -> list[float]:
    """Exponential running mean, corrected for its start, so that the first values hold."""
    mean, total, found = 0.0, 0.0, []
    for value in values:
        mean += weight * (value - mean)
        total += weight * (1 - total)
        found.append(mean / total)
    return found


class LossPlot(QuietPlot):
    """Loss by epoch. `show_progress` takes a run as it stands; `restyle` the theme's colours."""

    _words = ""
    _reached = 0.0

    def __init__(self, palette: Palette) -> None:
        super().__init__()
        item = self.getPlotItem()
        self._raw = self.plot()
        self._mean = self.plot()
        self._held_out = self.plot(symbol="o", symbolSize=6)
        self._legend = pg.LabelItem(justify="right")
        self._legend.setParentItem(item.getViewBox())
        self._legend.anchor(itemPos=(1, 0), parentPos=(1, 0), offset=(-4, 0))
        self.restyle(palette)

    def restyle(self, palette: Palette) -> None:
        """Take on the theme's colours."""
        super().restyle(palette)
        self._palette = palette
        faint = QColor(palette.accent)
        faint.setAlpha(70)
        self._raw.setPen(pg.mkPen(faint, width=1))
        self._mean.setPen(pg.mkPen(palette.accent, width=2))
        self._held_out.setPen(pg.mkPen(palette.text, width=1, style=Qt.PenStyle.DotLine))
        self._held_out.setSymbolPen(pg.mkPen(palette.text, width=1))
        self._held_out.setSymbolBrush(pg.mkBrush(palette.base))
        self._say(bool(self._held_out.getData()[0] is not None))

    def show_progress(self, progress: RunProgress | None) -> None:
        """Draw the run's total loss (or its first one) as it stands; None clears the plot."""
        train = _main(progress.training) if progress else Curve()
        held_out = _main(progress.validation) if progress else Curve()
        self._raw.setData(train.x, train.y)
        self._mean.setData(train.x, running_mean(train.y))
        self._held_out.setData(held_out.x, held_out.y)
        if progress and progress.epochs and _reach(progress) != self._reached:
            self._reached = _reach(progress)
            self.setXRange(0, self._reached, padding=0.01)
        self._say(bool(held_out.x))

    def _say(self, held_out: bool) -> None:
        p = self._palette
        words = f'<span style="color:{p.accent}">━ training loss</span>'
        if held_out:
            words += f'&nbsp; <span style="color:{p.text}">o held-out tiles</span>'
        if words != self._words:  # each time it is laid out again
            self._words = words
            self._legend.setText(words, size="8pt")


def _main(curves: dict[str, Curve]) -> Curve:
    return curves.get("total") or next(iter(curves.values()), Curve())


def _reach(progress: RunProgress) -> float:
    """How far the epoch axis goes: it grows by doubling, so that it rarely moves."""
    now = max(1.0, progress.epoch + 1.0)
    reach = 4.0
    while reach < now:
        reach *= 2
    return min(reach, float(progress.epochs))
