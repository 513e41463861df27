"""What each round of training bought, as a table and a small plot."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_noisyseg.gui.controllers.nextround import NextRound
from napari_noisyseg.gui.widgets.parts import label
from napari_noisyseg.gui.widgets.quietplot import QuietPlot
from napari_noisyseg.gui.widgets.table import Column, Table
from napari_noisyseg.gui.widgets.theme import Palette, palette
from napari_noisyseg.worker.adoption.gains import Round

Values = NDArray[np.float64]
TITLE = "Rounds"
WIDTHS = (22, 74, 46, 38, 42, 38)
ROWS = 4
PLOTTED = 110
"""screen pixels of the plot's height"""


class GainPlot(QuietPlot):
    """Share of held-out decisions that a round has right, over the minutes reviewed before it."""

    def __init__(self, palette: Palette) -> None:
        super().__init__()
        self.setFixedHeight(PLOTTED)
        self._line = self.plot(symbol="o", symbolSize=7)
        self._before = self.plot(connect="pairs")
        self.getPlotItem().getAxis("bottom").setHeight(30)
        self.getPlotItem().getAxis("bottom").enableAutoSIPrefix(False)  # minutes stay minutes
        self.restyle(palette)

    def restyle(self, palette: Palette) -> None:
        """Take on the theme's colours."""
        super().restyle(palette)
        self._line.setPen(None)
        self._line.setSymbolPen(pg.mkPen(palette.accent, width=2))
        self._line.setSymbolBrush(pg.mkBrush(palette.accent))
        self._before.setPen(pg.mkPen(palette.accent, width=2))
        self.getPlotItem().setLabel("bottom", "minutes reviewed", color=palette.quiet)

    def show_rounds(self, rounds: list[Round]) -> None:
        """A dot for each round that can be told of, and a line from the one before on the same."""
        spent = np.cumsum([one.minutes for one in rounds])
        told = [
            (
                float(x),
                100 * one.right,
                100 * (one.right if one.right_before is None else one.right_before),
            )
            for x, one in zip(spent, rounds, strict=True)
            if one.right is not None
        ]
        at = [x for x, _, _ in told]
        self._line.setData(at, [now for _, now, _ in told])
        ends = [v for _, now, before in told for v in (before, now)]
        self._before.setData(np.repeat(at, 2), ends)


class RoundsOfReview(QWidget):  # type: ignore[misc]
    """Draws a `NextRound`."""

    def __init__(self, rounds: NextRound) -> None:
        super().__init__()
        self._rounds = rounds
        self._shown: list[Round] | None = None
        self.words = label(role="quiet", wrap=True)
        self.table = Table()
        self.table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.table.setFixedHeight((ROWS + 1) * self.table.verticalHeader().defaultSectionSize() + 8)
        self.plot = GainPlot(palette())
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(6)
        for part in (self.words, self.table, self.plot):
            box.addWidget(part)
        rounds.changed.connect(self.show_it)
        self.show_it()

    def restyle(self, palette: Palette) -> None:
        """The plot takes on the theme's colours."""
        self.plot.restyle(palette)

    def show_it(self) -> None:
        """Draw it again."""
        rounds = self._rounds
        self.words.setText(rounds.words)
        if rounds.rounds == self._shown:
            return
        self._shown = list(rounds.rounds)
        self.table.show_columns(columns(rounds.rounds), WIDTHS)
        self.table.setVisible(bool(rounds.rounds))
        self.plot.setVisible(any(one.right is not None for one in rounds.rounds))
        self.plot.show_rounds(rounds.rounds)


def columns(rounds: list[Round]) -> list[Column]:
    """The table: a round a row, nothing where nothing can be said."""

    def percent(name: str) -> Values:
        values = [getattr(one, name) for one in rounds]
        return np.array([np.nan if v is None else 100 * v for v in values], float)

    return [
        Column("#", np.array([one.number for one in rounds], int)),
        Column("Method", np.array([one.method for one in rounds], object)),
        Column("Looks", np.array([one.looks for one in rounds], int), str,
               "Nuclei reviewed since the previous round"),
        Column("Min.", np.array([one.minutes for one in rounds], float), lambda v: f"{v:.1f}",
               "Minutes of review since the previous round"),
        Column("Right", percent("right"), _figure("{:.0f}"),
               "Per cent right, of the decisions made after it began"),
        Column("Gain", percent("gain"), _figure("{:+.0f}"),
               "Compared with the previous round, on the same decisions"),
        Column("/min", percent("per_minute"), _figure("{:+.1f}"),
               "Gain for each minute of review"),
    ]  # fmt: skip


def _figure(form: str) -> Callable[[float], str]:
    """How a figure reads; a dash where there is none."""
    return lambda value: "–" if value != value else form.format(value)
