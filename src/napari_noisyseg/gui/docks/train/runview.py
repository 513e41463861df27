"""One run as it stands: the curve, how far and how long, and what it had to say."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from napari_noisyseg.events import Failed
from napari_noisyseg.gui.controllers.progress import RunProgress
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
        self._failed = isinstance(progress.end, Failed)
        self.line.set_wrap(self._failed)
        self.line.setText(("✗ " if self._failed else "") + progress.words())
        self.line.setToolTip(progress.end.message if isinstance(progress.end, Failed) else "")
        self._color_line()
        words = note_words(progress)
        self.note.setText(words)
        self.note.setVisible(bool(words))

    _failed = False

    def _color_line(self) -> None:
        self.line.set_color(self._warn if self._failed else None)


def note_words(progress: RunProgress) -> str:
    """What the run said beside its figures: how to mend it, warnings, why it was set up so."""
    if isinstance(progress.end, Failed):
        return progress.end.hint
    parts = list(progress.warnings[-2:])
    changed = progress.relabelled
    # a co-trained network's pseudo labels change all the time, and first labels (a share of 1) are
    # no change: that is no news for a person
    pseudo = changed is not None and changed.plane.startswith("pseudo")
    if changed is not None and not pseudo and 0.001 <= changed.share < 1:
        share = 100 * changed.share
        parts.append(f"the method changed {share:.1f} % of its own training labels")
    parts.append(progress.note)
    return " · ".join(part for part in parts if part)
