"""“Have you marked every nucleus here?”: the one thing that training on points must know."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFrame, QLabel, QPushButton, QVBoxLayout

from napari_noisyseg.gui.canvas.closeup import visible_box
from napari_noisyseg.gui.session import Session
from napari_noisyseg.slides import Box

WHY = (
    "Training learns what background is only where you promise that every nucleus is marked. "
    "Elsewhere it assumes nothing."
)


class FieldQuestion(QFrame):  # type: ignore[misc]
    """Asks where every nucleus is marked and makes the field; `answered` once there is one.

    due: whether there still is something to ask. put_off: "not yet".
    """

    answered = Signal()
    put_off = Signal()

    def __init__(self, session: Session, due: Callable[[], bool]) -> None:
        super().__init__()
        self._session, self._due = session, due
        title = QLabel("Have you marked every nucleus here?")
        title.setProperty("role", "title")
        why = QLabel(WHY, wordWrap=True)
        why.setProperty("role", "quiet")
        self.whole = QPushButton("Yes, in the whole image")
        self.visible = QPushButton("Yes, in the part I see now")
        self.no = QPushButton("Not yet")
        self.whole.clicked.connect(self._declare_whole)
        self.visible.clicked.connect(self._declare_visible)
        self.no.clicked.connect(self.put_off)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(6)
        for part in (title, why, self.whole, self.visible, self.no):
            box.addWidget(part)

    def ask(self) -> None:
        """Show the question, with how many points each answer takes in."""
        record = self._session.require_image()
        seen = visible_box(self._session.viewer, record)
        points = self._session.require_project().nuclei.of(record.name)
        inside = sum(seen.y0 <= p.y + 0.5 < seen.y1 and seen.x0 <= p.x + 0.5 < seen.x1
                     for p in points)  # fmt: skip
        self.whole.setText(f"Yes, in the whole image ({len(points)} nuclei)")
        self.visible.setText(f"Yes, in the part I see now ({inside} nuclei)")
        self.visible.setEnabled(inside > 0)
        self.show()

    def _declare_whole(self) -> None:
        record = self._session.require_image()
        self._declare(Box(0, 0, record.height, record.width))

    def _declare_visible(self) -> None:
        self._declare(visible_box(self._session.viewer, self._session.require_image()))

    def _declare(self, box: Box) -> None:
        record = self._session.require_image()
        with self._session.acting():
            self._session.require_project().nuclei.add_field(record.name, box)
        if not self._due():
            self.answered.emit()
