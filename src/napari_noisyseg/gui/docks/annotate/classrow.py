"""The class of the next points, and adding, renaming, recolouring and removing classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import (
    QColorDialog,
    QComboBox,
    QHBoxLayout,
    QInputDialog,
    QMenu,
    QSizePolicy,
    QToolButton,
    QWidget,
)

from napari_noisyseg.gui.canvas import looks
from napari_noisyseg.gui.tools.kit import Kit
from napari_noisyseg.gui.widgets.parts import label
from napari_noisyseg.gui.widgets.swatch import swatch
from napari_noisyseg.store.records import NucleusClass

NONE = "no class"


class ClassRow(QWidget):  # type: ignore[misc]
    """Reads the kit and the project's classes; every act is saved at once and can be undone."""

    changed = Signal()

    def __init__(self, kit: Kit) -> None:
        super().__init__()
        self.kit = kit
        self._shown: list[tuple[str, str, int]] = []
        self.choice = QComboBox(
            toolTip="Class of the points that you click next, and of those selected now"
        )
        self.choice.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.choice.activated.connect(self._choose)
        self.menu_button = QToolButton(text="⋯", toolTip="Add, rename, recolour, remove classes")
        self.menu_button.setProperty("role", "menu")
        self.menu_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.menu_button.setMenu(self._menu())
        box = QHBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(6)
        for part in (label("Class"), self.choice, self.menu_button):
            box.addWidget(part)

    def _menu(self) -> QMenu:
        menu = QMenu(self)
        self.actions_: dict[str, Any] = {}
        acts: tuple[tuple[str, str, Callable[[], None]], ...] = (
            ("new", "New class…", self.add),
            ("rename", "Rename…", self.rename),
            ("color", "Colour…", self.recolor),
            ("remove", "Remove…", self.remove),
        )
        for key, words, act in acts:
            self.actions_[key] = menu.addAction(words)
            self.actions_[key].triggered.connect(lambda _=False, act=act: act())
        return menu

    # --- what it shows -------------------------------------------------------------------------

    def refresh(self) -> None:
        """Bring the choice up to date with the project."""
        project = self.kit.session.project
        classes = project.nuclei.classes() if project is not None else []
        sizes = project.nuclei.class_sizes() if project is not None else {}
        rows = [(c.name, c.color, sizes.get(c.name, 0)) for c in classes]
        if rows != self._shown or not self.choice.count():
            self._fill(rows)
        name = self.kit.points.class_name
        names = [row[0] for row in rows]
        self.choice.setCurrentIndex(names.index(name) + 1 if name in names else 0)
        for key in ("rename", "color", "remove"):
            self.actions_[key].setEnabled(name in names and self.kit.session.writable)
        self.actions_["new"].setEnabled(self.kit.session.writable)

    def _fill(self, rows: list[tuple[str, str, int]]) -> None:
        self._shown = rows
        with QSignalBlocker(self.choice):
            self.choice.clear()
            self.choice.addItem(swatch(looks.POINT["points"]), NONE)
            for name, color, count in rows:
                self.choice.addItem(swatch(color), f"{name}   ({count})")

    # --- acts ----------------------------------------------------------------------------------

    @property
    def chosen(self) -> NucleusClass | None:
        """The class that is chosen, or None."""
        index = self.choice.currentIndex() - 1
        return NucleusClass(*self._shown[index][:2]) if index >= 0 else None

    def _choose(self, index: int) -> None:
        self._use(self._shown[index - 1][0] if index > 0 else None)

    def _use(self, name: str | None) -> None:
        """From now on points are of this class; those that are selected become so."""
        points = self.kit.points
        points.class_name = name
        points.set_class(sorted(points.chosen), name)
        self.changed.emit()

    def add(self) -> None:
        """Ask for a name, add the class and choose it."""
        name, ok = QInputDialog.getText(self, "New class", "Name")
        if ok and name.strip() and self._act("add_class", name):
            self._use(name.strip())

    def rename(self) -> None:
        """Ask for another name of the chosen class."""
        chosen = self.chosen
        if chosen is None:
            return
        name, ok = QInputDialog.getText(self, "Rename the class", "Name", text=chosen.name)
        if ok and name.strip() != chosen.name and self._act("rename_class", chosen.name, name):
            self.kit.points.class_name = name.strip()
            self.changed.emit()

    def recolor(self) -> None:
        """Ask for another colour of the chosen class."""
        chosen = self.chosen
        if chosen is None:
            return
        color = QColorDialog.getColor(QColor(chosen.color), self, f"Colour of {chosen.name}")
        if color.isValid() and self._act("set_color", chosen.name, color.name()):
            self.changed.emit()

    def remove(self) -> None:
        """Remove the chosen class; where nuclei are of it, ask which class they get instead."""
        chosen = self.chosen
        if chosen is None:
            return
        count = {row[0]: row[2] for row in self._shown}[chosen.name]
        into, ok = self._successor(chosen.name, count) if count else (None, True)
        if ok and self._act("remove_class", chosen.name, into):
            self.kit.points.class_name = into
            self.changed.emit()

    def _successor(self, name: str, count: int) -> tuple[str | None, bool]:
        """The class that the nuclei of `name` get (None: no class), and whether to go on."""
        others = [row[0] for row in self._shown if row[0] != name]
        have = "nucleus has" if count == 1 else "nuclei have"
        words = f"{count} {have} the class “{name}”. New class:"
        choice, ok = QInputDialog.getItem(
            self, "Remove the class", words, [NONE, *others], 0, False
        )
        return (None if choice == NONE else choice), ok

    def _act(self, act: str, *values: str | None) -> bool:
        """One act on the project's classes; whether it was done."""
        with self.kit.session.acting():
            getattr(self.kit.session.require_project().nuclei, act)(*values)
            return True
        return False
