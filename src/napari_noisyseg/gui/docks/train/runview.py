"""One run as it stands: the curve, how far and how long, and what it had to say."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from napari_noisyseg.events import Failed
from napari_noisyseg.gui.controllers.progress import RunProgress, note_words
from napari_noisyseg.gui.docks.train.plot import LossPlot
from napari_noisyseg.gui.widgets.bar import Bar
from napari_noisyseg.gui.widgets.still import StillLine
from napari_noisyseg.gui.widgets.theme import Palette


class RunView(QWidget):  # type: ignore[misc]
    """Plot, bar and lines of words of one run; what is not there yet keeps its place."""

    def __init__(self, palette: Palette) -> None:
        super().__init__()
        self.plot = LossPlot(palette)
        self.bar = Bar()
        self.line = StillLine()
        self.note = QLabel(wordWrap=True)
        self.note.setProperty("role", "quiet")
        self.note.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(4)
        for part in (self.plot, self.bar, self.line, self.note):
            box.addWidget(part)
        self.restyle(palette)

    def restyle(self, palette: Palette) -> None:
        """Take on the theme's colours."""
        self.plot.restyle(palette)
        self.bar.update()
        self._warn = palette.warn
        self._color_line()

    def show_progress(self, progress: RunProgress) -> None:
        """Show a run; called a few times a second while it trains."""
        self.plot.setVisible(progress.unit == "epoch")
        self.plot.show_progress(progress)
        self.bar.set_fraction(progress.fraction)
        self._warned = progress.mark == "warn"
        sign = "✗ " if isinstance(progress.end, Failed) else "! " if self._warned else ""
        self.line.set_wrap(self._warned or progress.waiting)
        self.line.setText(sign + progress.words())
        self.line.setToolTip(progress.end.message if isinstance(progress.end, Failed) else "")
        self._color_line()
        words = note_words(progress)
        self.note.setText(words)
        self.note.setVisible(bool(words))

    _warned = False

    def _color_line(self) -> None:
        self.line.set_color(self._warn if self._warned else None)
