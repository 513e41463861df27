"""The cheat-sheet: every key of every step, in a small window; a click on a key changes it."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import (
    QDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.gui.keys import ALWAYS, Keys, shown, text_of
from napari_noisyseg.gui.settings import keep
from napari_noisyseg.gui.widgets.parts import button, label
from napari_noisyseg.gui.window.keyfilter import MODIFIERS, key_name

HIGHEST = 28
"""lines of a column, of about 22 pixels each"""


class Row(NamedTuple):
    """Keys and what they do; a single key can be changed: it is known by the one it comes with."""

    names: str
    words: str
    shipped: str = ""


Section = tuple[str, str, list[Row]]
"""a scope, its title, its rows"""

TITLES = {
    "annotate": "Annotate",
    "coarse": "Labels",
    "train": "Train",
    "review": "Review",
    ALWAYS: "Always",
}
MOUSE = {
    "annotate": [
        ("Click", "add a nucleus"),
        ("Drag a point", "move it"),
        ("Right click on a point", "remove it"),
        ("Drag elsewhere", "pan the image"),
        ("Wheel", "zoom"),
    ],
    "review": [("Click a nucleus", "review it"), ("Right click", "end a polygon")],
}


class CheatSheet(QDialog):  # type: ignore[misc]
    """All keys, by step; the open step's first. Escape or F1 closes it.

    After a click on a key the next one that is pressed takes its place, in the settings as well.
    """

    def __init__(self, keys: Keys, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("NoisySeg keys")
        self._keys = keys
        self._asked: tuple[str, str] | None = None
        self.buttons: dict[tuple[str, str], QPushButton] = {}
        self.words = label(role="quiet")
        self.reset_button = button("Default keys", "Forget your own keys", self._reset)
        box = QVBoxLayout(self)
        box.setContentsMargins(22, 14, 22, 14)
        columns = QHBoxLayout()
        columns.setSpacing(36)
        scopes = [*sorted(keys.scopes(), key=lambda scope: scope != keys.scope), ALWAYS]
        sections = [
            (s, TITLES.get(s, s), [*(Row(*row) for row in MOUSE.get(s, [])), *_rows(keys, s)])
            for s in scopes
        ]
        for part in _columns(sections):
            columns.addLayout(self._column(part))
        box.addLayout(columns)
        foot = QHBoxLayout()
        foot.addWidget(self.words, stretch=1)
        foot.addWidget(self.reset_button)
        box.addLayout(foot)
        self._show()

    def _column(self, sections: list[Section]) -> QVBoxLayout:
        box = QVBoxLayout()
        box.setSpacing(8)
        for scope, title, rows in sections:
            box.addWidget(QLabel(f"<b>{title}</b>"))
            grid = QGridLayout()
            grid.setHorizontalSpacing(16)
            grid.setVerticalSpacing(3)  # else it is that between the columns
            grid.setContentsMargins(0, 0, 0, 14)
            for at, row in enumerate(rows):
                grid.addWidget(self._key(scope, row), at, 0, Qt.AlignmentFlag.AlignRight)
                grid.addWidget(QLabel(row.words), at, 1)
            grid.setColumnMinimumWidth(0, 110)  # Ctrl+Shift+Z
            grid.setColumnStretch(1, 1)
            box.addLayout(grid)
        box.addStretch(1)
        return box

    def _key(self, scope: str, row: Row) -> QWidget:
        if not row.shipped:
            return QLabel(row.names)
        name = (scope, row.shipped)
        made = button(
            row.names, "Click, then press the key that you want", partial(self._ask, name)
        )
        made.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        made.setFlat(True)
        made.setStyleSheet("padding: 1px 6px; min-width: 14px;")
        self.buttons[name] = made
        return made

    # --- another key ---------------------------------------------------------------------------

    def _ask(self, name: tuple[str, str]) -> None:
        self._asked = name
        self._show()

    def _reset(self) -> None:
        self._keys.reset()
        keep("keys", "own", "")
        self._asked = None
        self._show()

    def _take(self, key: str) -> None:
        """The key that was asked for was pressed."""
        scope, shipped = self._asked or ("", "")
        try:
            self._keys.move(scope, shipped, key)
        except NoisySegError as taken:
            self.words.setText(str(taken))
            return
        keep("keys", "own", text_of(self._keys.moved))
        self._asked = None
        self._show()

    def _show(self) -> None:
        for (scope, shipped), made in self.buttons.items():
            asked = (scope, shipped) == self._asked
            made.setText("…" if asked else shown(self._keys.moved.get((scope, shipped), shipped)))
        self.words.setText(
            "Press the key that you want; Escape cancels" if self._asked else
            "Click a key to change it"
        )  # fmt: skip
        self.reset_button.setEnabled(bool(self._keys.moved))

    def event(self, event: Any) -> bool:
        """Qt: Tab and the arrows are keys like any other while one is asked for."""
        if event.type() == QEvent.Type.KeyPress and self._asked is not None:
            if event.key() == Qt.Key.Key_Escape:
                self._asked = None
                self._show()
            elif event.key() not in MODIFIERS and (name := key_name(event)):
                self._take(name)
            return True
        return bool(super().event(event))

    def keyPressEvent(self, event: Any) -> None:
        """Qt: F1 closes what F1 opened."""
        if event.key() == Qt.Key.Key_F1:
            self.close()
        else:
            super().keyPressEvent(event)


def _columns(sections: list[Section]) -> list[list[Section]]:
    """Sections side by side, none of the columns much higher than a screen allows."""
    columns: list[list[Section]] = [[]]
    for section in sections:
        if columns[-1] and sum(len(rows) + 2 for *_, rows in [*columns[-1], section]) > HIGHEST:
            columns.append([])
        columns[-1].append(section)
    return columns


def _rows(keys: Keys, scope: str) -> list[Row]:
    """Keys and words; keys that do the same share a line."""
    shared: dict[str, list[tuple[str, str]]] = {}
    for shipped, binding in zip(keys.shipped(scope), keys.own(scope), strict=True):
        shared.setdefault(binding.words, []).append((binding.key, shipped))
    return [
        Row(_names([shown(key) for key, _ in both]), words, both[0][1] if len(both) == 1 else "")
        for words, both in shared.items()
    ]


def _names(keys: list[str]) -> str:
    """The keys of one line; a row of them by its ends."""
    return ", ".join(keys) if len(keys) < 4 else f"{keys[0]}–{keys[-1]}"
