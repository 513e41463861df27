"""Small widgets that the docks share: a section, a quiet label, a tool button, a row of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)  # fmt: skip

MARGIN = 12


def column(widget: QWidget) -> QVBoxLayout:
    """The layout of a dock: one column, one margin."""
    box = QVBoxLayout(widget)
    box.setContentsMargins(MARGIN, 10, MARGIN, 10)
    box.setSpacing(8)
    return box


def line(*parts: Any, spacing: int = 6) -> QHBoxLayout:
    """Widgets in a line; a number is stretch."""
    box = QHBoxLayout()
    box.setContentsMargins(0, 0, 0, 0)
    box.setSpacing(spacing)
    for part in parts:
        if isinstance(part, int):
            box.addStretch(part)
        else:
            box.addWidget(part)
    return box


def label(text: str = "", role: str = "", wrap: bool = False) -> QLabel:
    """A label; roles are quiet, title and warn."""
    found = QLabel(text)
    found.setWordWrap(wrap)
    if role:
        found.setProperty("role", role)
    return found


def button(text: str, tip: str, act: Callable[[], Any], role: str = "") -> QPushButton:
    """A push button that acts when clicked; role "primary" for the one of a dock."""
    found = QPushButton(text)
    found.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # a click leaves the keys where they were
    found.setToolTip(tip)
    found.clicked.connect(lambda: act())
    if role:
        found.setProperty("role", role)
    return found


def offer(made: QPushButton, does: str, words: str, key: str) -> None:
    """Let a button's tip say what it would do now; without words it does nothing."""
    made.setEnabled(bool(words))
    made.setToolTip(f"{does}: {words} ({key})" if words else f"{does}: nothing now ({key})")


def tool(text: str, tip: str, act: Callable[[], Any]) -> QToolButton:
    """One of several exclusive tools."""
    found = QToolButton()
    found.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    found.setText(text)
    found.setToolTip(tip)
    found.setCheckable(True)
    found.setProperty("role", "tool")
    found.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    found.clicked.connect(lambda: act())
    return found


class More(QWidget):  # type: ignore[misc]
    """What is seldom needed, behind one quiet line."""

    def __init__(self, *parts: Any, title: str = "More") -> None:
        super().__init__()
        self.toggle = QToolButton(checkable=True, text=title)
        self.toggle.setProperty("role", "more")
        self.toggle.setArrowType(Qt.ArrowType.RightArrow)
        self.toggle.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.body = QWidget()
        inner = QVBoxLayout(self.body)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.setSpacing(8)
        for part in parts:
            inner.addLayout(part) if hasattr(part, "addItem") else inner.addWidget(part)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addWidget(self.toggle)
        box.addWidget(self.body)
        self.body.hide()
        self.toggle.toggled.connect(self._show)

    def _show(self, shown: bool) -> None:
        arrow = Qt.ArrowType.DownArrow if shown else Qt.ArrowType.RightArrow
        self.toggle.setArrowType(arrow)
        self.body.setVisible(shown)
