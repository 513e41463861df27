"""“Suggest the rest” in the Annotate dock: a button, then a queue to keep or drop by key."""

from __future__ import annotations

from typing import Any

from qtpy.QtWidgets import QDoubleSpinBox, QVBoxLayout, QWidget

from napari_noisyseg.gui.keys import Binding
from napari_noisyseg.gui.tools.suggesting import SuggestTool
from napari_noisyseg.gui.widgets.parts import button, label, line

SUGGESTS = "Propose more nuclei, learned from your clicks (before any click, by the starter)"
TEACHES = (
    "Learn where nuclei lie, from your complete fields, for suggestions in other images and for "
    "prediction. Takes two minutes in the background. Used only if it finds nuclei better."
)
FIRST = 0.5
"""score that is offered for keeping all above"""


class SuggestRow(QWidget):  # type: ignore[misc]
    """Asks for suggestions and shows how many are open; nothing is marked until kept."""

    def __init__(self, tool: SuggestTool) -> None:
        super().__init__()
        self.tool = tool
        self.ask = button("Suggest the rest", SUGGESTS, tool.ask)
        self.teach = button("Learn from fields", TEACHES, tool.teach)
        self.keep = button("✓ Keep", "It is a nucleus (K)", tool.keep)
        self.drop = button("✗ Drop", "Not a nucleus: it is never suggested again (D)", tool.drop)
        self.back = button("←", "Previous suggestion (Left)", lambda: tool.move(-1))
        self.on = button("→", "Next suggestion (Right)", lambda: tool.move(1))
        for arrow in (self.back, self.on):
            arrow.setFixedWidth(34)
        self.least = QDoubleSpinBox(minimum=0.0, maximum=1.0, singleStep=0.05, decimals=2)
        self.least.setValue(FIRST)
        self.least.setToolTip("Suggestions with at least this score; 1 is the most certain")
        self.least.valueChanged.connect(lambda _: self.refresh())
        self.all = button("Keep", "Keep all with at least this score (Shift+K)", self.keep_all)
        self.words = label(role="quiet", wrap=True)
        self._build()
        tool.changed.connect(self.refresh, max_args=0)
        self.refresh()

    def _build(self) -> None:
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(6)
        box.addLayout(line(self.ask, self.teach, 1))
        box.addWidget(self.words)
        self.queue = QWidget()
        inner = QVBoxLayout(self.queue)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.setSpacing(6)
        inner.addLayout(line(self.back, self.keep, self.drop, self.on, spacing=4))
        inner.addLayout(line(label("All of score", "quiet"), self.least, self.all, 1))
        box.addWidget(self.queue)

    def bindings(self) -> list[Binding]:
        """The keys of the queue."""
        return [
            *self._judging(),
            Binding("Shift+K", "keep all of that score", self.keep_all, footer=False),
            Binding("Left", "previous suggestion", lambda: self.tool.move(-1), footer=False),
            Binding("Right", "next suggestion", lambda: self.tool.move(1), footer=False),
        ]

    def _judging(self) -> list[Binding]:
        """They are named below the panel while there is anything to judge."""
        there = bool(self.tool.open)
        return [
            Binding("K", "keep suggestion", self.tool.keep, footer=there),
            Binding("D", "drop suggestion", self.tool.drop, footer=there),
        ]

    def keep_all(self) -> None:
        """Keep all of at least the score that is set."""
        self.tool.keep_above(self.least.value())

    def showEvent(self, event: Any) -> None:
        """Qt: in sight again."""
        super().showEvent(event)
        self.refresh()

    def refresh(self, event: Any = None) -> None:
        """Show what is open; what is out of sight asks nothing of the disk."""
        tool = self.tool
        if not self.isVisible():
            return
        self.ask.setEnabled(not tool.busy and tool.session.writable)
        self.ask.setText("Looking for the rest …" if tool.busy else "Suggest the rest")
        self.teach.setVisible(tool.teachable or tool.learning)
        self.teach.setEnabled(not tool.learning)
        self.teach.setText("Learning …" if tool.learning else "Learn from fields")
        self.words.setText(self._words())
        self.words.setVisible(bool(self.words.text()))
        if bool(tool.open) == self.queue.isHidden():
            tool.session.keys.bind("annotate", *self._judging())
        self.queue.setVisible(bool(tool.open))
        self.all.setText(f"Keep {tool.above(self.least.value())}")
        self.all.setEnabled(tool.above(self.least.value()) > 0)

    def _words(self) -> str:
        tool = self.tool
        if tool.busy or not tool.asked:
            return ""
        if tool.current is None:
            return "Nothing is left to suggest. Click more nuclei, then ask again."
        return f"{len(tool.open)} suggested · score of this one {tool.current.score:.2f}"
