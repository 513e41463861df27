"""The cheat-sheet: every key of every step, in a small window."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDialog, QGridLayout, QLabel, QWidget

from napari_noisyseg.gui.keys import ALWAYS, Binding, Keys

TITLES = {
    "annotate": "Annotate",
    "coarse": "Coarse labels",
    "train": "Train",
    "review": "Review",
    ALWAYS: "Always",
}
MOUSE = {
    "annotate": [
        ("Click", "add a nucleus"),
        ("Drag a point", "move it"),
        ("Right click on a point", "remove it"),
        ("Drag elsewhere", "pan the picture"),
        ("Wheel", "zoom"),
    ]
}


class CheatSheet(QDialog):  # type: ignore[misc]
    """All keys, by step; the open step's first. Escape or F1 closes it."""

    def __init__(self, keys: Keys, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("NoisySeg keys")
        grid = QGridLayout(self)
        grid.setContentsMargins(20, 14, 20, 18)
        grid.setHorizontalSpacing(18)
        scopes = sorted(keys.scopes(), key=lambda scope: scope != keys.scope)
        for scope in [*scopes, ALWAYS]:
            rows = [*MOUSE.get(scope, []), *_rows(keys, scope)]
            self._section(grid, TITLES.get(scope, scope), rows)

    def _section(self, grid: QGridLayout, title: str, rows: list[tuple[str, str]]) -> None:
        head = QLabel(f"<b>{title}</b>")
        head.setContentsMargins(0, 8, 0, 2)
        grid.addWidget(head, grid.rowCount(), 0, 1, 2)
        for key, words in rows:
            at = grid.rowCount()
            grid.addWidget(QLabel(key), at, 0, Qt.AlignmentFlag.AlignRight)
            grid.addWidget(QLabel(words), at, 1)

    def keyPressEvent(self, event: object) -> None:
        """Qt: F1 closes what F1 opened."""
        if getattr(event, "key", lambda: None)() == Qt.Key.Key_F1:
            self.close()
        else:
            super().keyPressEvent(event)


def _rows(keys: Keys, scope: str) -> list[tuple[str, str]]:
    own: list[Binding] = keys.own(scope)
    return [(b.key, b.words + (" (while held)" if b.release else "")) for b in own]
