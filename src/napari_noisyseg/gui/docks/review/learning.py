"""What outlines learned from the decisions, in a line; on or off, and taken back."""

from __future__ import annotations

from qtpy.QtWidgets import QCheckBox, QVBoxLayout, QWidget

from napari_noisyseg.gui.controllers.learning import Learning
from napari_noisyseg.gui.widgets.parts import button, label, line

LEARNING = "learning from your decisions…"
WAITING = "starts at the 8th accepted or rejected nucleus"
NEXT = "goes on with your next decisions"


class LearningLine(QWidget):  # type: ignore[misc]
    """Draws a `Learning`."""

    def __init__(self, learning: Learning) -> None:
        super().__init__()
        self._learning = learning
        self.toggle = QCheckBox("Outlines learn from my decisions")
        self.toggle.setToolTip(
            "After every few decisions the outlines of the others are made again, where that is "
            "nearer to what you decided; where you rejected what was found, less is found that "
            "looks like it. Accepted nuclei stay as they are."
        )
        self.words = label(role="quiet", wrap=True)
        self.back = button(
            "Take back",
            "Return to the outlines that came with the package, and stop learning",
            learning.take_back,
        )
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 4, 0, 0)
        box.setSpacing(4)
        box.addLayout(line(self.toggle, 1, self.back))
        box.addWidget(self.words)
        self.toggle.toggled.connect(self._switched)
        learning.changed.connect(self.show_it)
        self.show_it()

    def _switched(self, on: bool) -> None:
        if on != self._learning.on:
            self._learning.switch(on)

    def _waiting(self) -> str:
        """What is to come where nothing is known of a lesson: after a restart, say."""
        if not self._learning.on:
            return ""
        return NEXT if self._learning.enough else WAITING

    def show_it(self) -> None:
        """Draw it again."""
        learning = self._learning
        self.toggle.setChecked(learning.on)
        self.toggle.setEnabled(learning.can_switch)
        words = LEARNING if learning.busy else learning.words or self._waiting()
        self.words.setText(words[:1].upper() + words[1:])
        self.back.setVisible(learning.learned)
