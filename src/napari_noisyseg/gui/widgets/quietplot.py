"""A small plot in the theme's colours, which nobody drags or configures."""

from __future__ import annotations

import pyqtgraph as pg
from qtpy.QtGui import QFont

from napari_noisyseg.gui.widgets.theme import Palette

HEIGHT = 150


class QuietPlot(pg.PlotWidget):  # type: ignore[misc]
    """Two axes and nothing else; `restyle` gives it the theme's colours."""

    def __init__(self) -> None:
        super().__init__(enableMenu=False)
        self.setFixedHeight(HEIGHT)
        self.setFrameShape(self.Shape.NoFrame)
        self.setMouseEnabled(x=False, y=False)
        self.hideButtons()
        item = self.getPlotItem()
        # made whether wanted or not, and without a parent: it would outlive the window
        item.ctrlMenu.setParent(self, item.ctrlMenu.windowFlags())
        item.setContentsMargins(0, 4, 6, 0)
        item.getAxis("left").setWidth(38)
        item.getAxis("bottom").setHeight(18)
        for side in ("left", "bottom"):  # numbers as they are, and no factor in the label
            item.getAxis(side).enableAutoSIPrefix(False)
        item.showGrid(x=False, y=True, alpha=0.15)

    def restyle(self, palette: Palette) -> None:
        """Take on the theme's colours."""
        self.setBackground(palette.base)
        font = QFont(self.font())
        font.setPointSizeF(max(6.5, font.pointSizeF() - 1.5))
        for side in ("left", "bottom"):
            axis = self.getPlotItem().getAxis(side)
            axis.setPen(pg.mkPen(palette.line))
            axis.setTextPen(palette.quiet)
            axis.setTickFont(font)
            axis.setStyle(tickLength=-3, maxTickLevel=0)
