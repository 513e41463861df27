"""The cheat-sheet: every key of every step, in a small window."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDialog, QGridLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_noisyseg.gui.keys import ALWAYS, Keys

HIGHEST = 16
Section = tuple[str, list[tuple[str, str]]]

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
    ],
    "review": [("Click a nucleus", "judge it"), ("Right click", "end a polygon")],
}


class CheatSheet(QDialog):  # type: ignore[misc]
    """All keys, by step; the open step's first. Escape or F1 closes it."""

    def __init__(self, keys: Keys, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("NoisySeg keys")
        box = QHBoxLayout(self)
        box.setContentsMargins(22, 14, 22, 18)
        box.setSpacing(36)
        scopes = [*sorted(keys.scopes(), key=lambda scope: scope != keys.scope), ALWAYS]
        sections = [(TITLES.get(s, s), [*MOUSE.get(s, []), *_rows(keys, s)]) for s in scopes]
        for part in _columns(sections):
            box.addLayout(_column(part))

    def keyPressEvent(self, event: Any) -> None:
        """Qt: F1 closes what F1 opened."""
        if event.key() == Qt.Key.Key_F1:
            self.close()
        else:
            super().keyPressEvent(event)


def _column(sections: list[Section]) -> QVBoxLayout:
    box = QVBoxLayout()
    box.setSpacing(8)
    for title, rows in sections:
        box.addWidget(QLabel(f"<b>{title}</b>"))
        grid = QGridLayout()
        grid.setHorizontalSpacing(16)
        grid.setVerticalSpacing(5)  # else it is that between the columns
        grid.setContentsMargins(0, 0, 0, 14)
        for at, (key, words) in enumerate(rows):
            grid.addWidget(QLabel(key), at, 0, Qt.AlignmentFlag.AlignRight)
            grid.addWidget(QLabel(words), at, 1)
        grid.setColumnMinimumWidth(0, 90)
        grid.setColumnStretch(1, 1)
        box.addLayout(grid)
    box.addStretch(1)
    return box


def _columns(sections: list[Section]) -> list[list[Section]]:
    """Sections side by side, none of the columns much higher than a screen allows."""
    columns: list[list[Section]] = [[]]
    for section in sections:
        if columns[-1] and sum(len(rows) + 2 for _, rows in [*columns[-1], section]) > HIGHEST:
            columns.append([])
        columns[-1].append(section)
    return columns


def _rows(keys: Keys, scope: str) -> list[tuple[str, str]]:
    """Keys and words; keys that do the same share a line."""
    shared: dict[str, list[str]] = {}
    for binding in keys.own(scope):
        shared.setdefault(binding.words, []).append(binding.key)
    return [(_names(names), words) for words, names in shared.items()]


def _names(keys: list[str]) -> str:
    """The keys of one line; a row of them by its ends."""
    return ", ".join(keys) if len(keys) < 4 else f"{keys[0]}–{keys[-1]}"
