"""What can be done to a nucleus besides judging it: tools, classes, a comment."""

from __future__ import annotations

from functools import partial

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import QGridLayout, QLineEdit, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from napari_noisyseg.gui.controllers.repairs import NEEDS_NUCLEUS, Repairs
from napari_noisyseg.gui.widgets.parts import tool
from napari_noisyseg.gui.widgets.swatch import swatch
from napari_noisyseg.review.queue import ReviewItem
from napari_noisyseg.store.records import NucleusClass

TOOLS = (
    ("brush", "Edit", "E", "correct the outline with a brush"),
    ("polygon", "Polygon", "P", "redraw the outline, freehand or corner by corner"),
    ("click", "By click", "W", "outline it again from a click in its middle"),
    ("split", "Split", "S", "cut it in two with a line"),
    ("merge", "Merge", "M", "join it with the nucleus that you click next"),
    ("add", "Add", "N", "add nuclei that were missed: click or draw them"),
    ("lasso", "Lasso", "Q", "draw around nuclei to judge them together"),
)
"""each tool: its name, its words, its key, what it does"""
COLUMNS = 4
FEW_CLASSES = 4
"""so many have room for their whole names"""


class ToolRow(QWidget):  # type: ignore[misc]
    """One button for each tool of the review."""

    def __init__(self, repairs: Repairs) -> None:
        super().__init__()
        self._repairs = repairs
        self.buttons: dict[str, QToolButton] = {}
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(4)
        for at, (mode, words, key, tip) in enumerate(TOOLS):
            made = tool(words, f"{tip.capitalize()} ({key})", partial(self._press, mode))
            self.buttons[mode] = made
            grid.addWidget(made, at // COLUMNS, at % COLUMNS)

    def _press(self, mode: str) -> None:
        self._repairs.use(mode)
        self.show_it(True)

    def show_it(self, has_nucleus: bool) -> None:
        """Press in the one that is in use."""
        for mode, made in self.buttons.items():
            made.setChecked(self._repairs.mode == mode)
            if mode in NEEDS_NUCLEUS:
                made.setEnabled(has_nucleus or self._repairs.mode == mode)
        brush = self.buttons["brush"]
        brush.setText("Done" if self._repairs.mode == "brush" else "Edit")


class ClassKeys(QWidget):  # type: ignore[misc]
    """The classes, each with the key that gives it to the nucleus under review."""

    def __init__(self, repairs: Repairs) -> None:
        super().__init__()
        self._repairs = repairs
        self._shown: list[NucleusClass] = []
        self.buttons: list[QToolButton] = []
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(4)

    def show_item(self, item: ReviewItem | None) -> None:
        """Press in the class of the nucleus under review."""
        classes = self._repairs.classes()
        if classes != self._shown:
            self._lay_out(classes)
        name = item.candidate.class_name if item is not None else None
        for made, one in zip(self.buttons, classes, strict=True):
            made.setChecked(one.name == name)
            made.setEnabled(item is not None or bool(self._repairs.chosen))

    def _lay_out(self, classes: list[NucleusClass]) -> None:
        self._shown = classes
        while self.buttons:
            old = self.buttons.pop()
            old.hide()
            old.deleteLater()
        columns, letters = (2, 20) if len(classes) <= FEW_CLASSES else (3, 10)
        for at, one in enumerate(classes):
            tip = f"Set the class {one.name} ({at + 1}); press again to remove it"
            made = tool("", tip, partial(self._press, at + 1))
            words = one.name if len(one.name) <= letters else f"{one.name[: letters - 1]}…"
            made.setText(f"{at + 1} {words}")
            made.setIcon(swatch(one.color))
            made.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
            made.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            self.buttons.append(made)
            self._grid.addWidget(made, at // columns, at % columns)
        for column in range(3):
            self._grid.setColumnStretch(column, int(column < columns))

    def _press(self, number: int) -> None:
        self._repairs.name(number)


class Comment(QLineEdit):  # type: ignore[misc]
    """A line of one's own about the nucleus under review; kept when the line is left."""

    def __init__(self, repairs: Repairs) -> None:
        super().__init__(placeholderText="Comment (C)")
        self._repairs = repairs
        self._of = ""
        self.setToolTip("A comment on this nucleus; press Return to save it")
        self.setClearButtonEnabled(True)
        self.returnPressed.connect(self._leave)
        self.installEventFilter(self)

    def show_item(self, item: ReviewItem | None) -> None:
        """Show what was said of this nucleus; what is being typed stays."""
        nucleus = item.id if item is not None else ""
        if nucleus != self._of:
            self.keep()
            self._of = nucleus
        elif self.hasFocus() and self.isModified():
            return
        self.setEnabled(item is not None)
        self.setText(self._repairs.comment())

    def keep(self) -> None:
        """Save what was typed."""
        if self.isModified() and self._of:
            self.setModified(False)
            self._repairs.say(self._of, self.text())

    def begin(self) -> None:
        """Type here."""
        if self.isEnabled():
            self.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def _leave(self) -> None:
        self.keep()
        self.clearFocus()

    def focusOutEvent(self, event: QEvent) -> None:
        """Qt: somewhere else is typed now."""
        super().focusOutEvent(event)
        self.keep()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Qt: Escape leaves it as it was."""
        if event.type() == QEvent.Type.KeyPress and event.key() == Qt.Key.Key_Escape:
            self.setModified(False)
            self.setText(self._repairs.comment())
            self.clearFocus()
            return True
        return bool(super().eventFilter(watched, event))


class Repairing(QWidget):  # type: ignore[misc]
    """Tools, classes and the comment, one below the other."""

    def __init__(self, repairs: Repairs) -> None:
        super().__init__()
        self.tools, self.classes = ToolRow(repairs), ClassKeys(repairs)
        self.comment = Comment(repairs)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(6)
        for part in (self.tools, self.classes, self.comment):
            box.addWidget(part)

    def show_item(self, item: ReviewItem | None) -> None:
        """Follow the nucleus under review."""
        self.tools.show_it(item is not None)
        self.classes.show_item(item)
        self.comment.show_item(item)
