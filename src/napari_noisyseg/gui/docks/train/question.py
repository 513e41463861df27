"""“Have you marked every nucleus here?”: the one thing that training on points must know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QFrame, QLabel, QPushButton, QVBoxLayout

from napari_noisyseg.gui.canvas.closeup import visible_box
from napari_noisyseg.gui.change import Change, What
from napari_noisyseg.gui.session import Session
from napari_noisyseg.slides import Box

WHY = (
    "Training learns what background is only where you promise that every nucleus is marked. "
    "Elsewhere it assumes nothing."
)
PAUSE_MS = 100
"""after the view moved, until the points in it are counted again"""


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
        self._pause = QTimer(self, singleShot=True, interval=PAUSE_MS)
        self._pause.timeout.connect(self._count_again)
        self._deaf = session.on(What.IMAGE | What.POINTS, self._turned)
        camera = session.viewer.scene.camera
        self._moves = (camera.events.zoom, camera.events.center)
        for event in self._moves:
            event.connect(self._moved)

    def closing(self) -> None:
        """The window is going."""
        self._pause.stop()
        self._deaf()
        for event in self._moves:
            event.disconnect(self._moved)

    def ask(self) -> None:
        """Show the question, with how many points each answer takes in."""
        self._count()
        self.show()

    def _turned(self, change: Change) -> None:
        """The answers are about the image in front, from the first moment."""
        if self.isVisible():
            self._count_again()

    def _moved(self, event: Any = None) -> None:
        if self.isVisible():
            self._pause.start()

    def showEvent(self, event: Any) -> None:
        """Qt: much may have been marked since it was last seen."""
        super().showEvent(event)
        self._count_again()

    def _count_again(self) -> None:
        if self._session.record() is None:
            self.put_off.emit()
        else:
            self._count()

    def _count(self) -> None:
        record = self._session.require_image()
        seen = visible_box(self._session.viewer, record)
        points = self._session.require_project().nuclei.marks(record.name)[1] + 0.5
        low, high = (seen.y0, seen.x0), (seen.y1, seen.x1)
        inside = int(((points >= low) & (points < high)).all(axis=1).sum())
        self.whole.setText(f"Yes, in the whole image ({len(points)} nuclei)")
        self.visible.setText(f"Yes, in the part I see now ({inside} nuclei)")
        self.visible.setEnabled(inside > 0)

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
