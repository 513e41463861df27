"""Results of the adopted run, each on or off."""

from __future__ import annotations

from typing import Any

from qtpy.QtWidgets import QCheckBox, QGridLayout, QWidget

from napari_noisyseg.gui.change import ANNOTATION, FRONT, Change, What
from napari_noisyseg.gui.kinds import TOGGLES
from napari_noisyseg.gui.session import Session
from napari_noisyseg.gui.tools.kit import kit_of

ALWAYS = ("refined", "probability", "uncertainty")
"""boxes that keep their place where there is nothing to show yet"""


class MapToggles(QWidget):  # type: ignore[misc]
    """One box a result; what it shows is read from the project when it is first wanted."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.boxes = {name: QCheckBox(kind.toggle) for name, kind in TOGGLES.items()}
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(8)
        self._grid.setVerticalSpacing(4)
        self._laid: list[str] = []
        for name, box in self.boxes.items():
            box.setToolTip(TOGGLES[name].tip)
            box.clicked.connect(lambda wanted, name=name: session.toggle(name, wanted))
            box.setParent(self)
        self._deaf = session.on(ANNOTATION | FRONT | What.VIEW | What.LABELS, self._follow)
        self.refresh()

    def closing(self) -> None:
        """The window is going."""
        self._deaf()

    def _follow(self, change: Change) -> None:
        self.refresh()

    def refresh(self, event: Any = None) -> None:
        """Show what is shown."""
        stored = kit_of(self._session).results.stored(self.boxes)
        for name, box in self.boxes.items():
            box.setChecked(self._session.view.shows(name))
            box.setEnabled(name in stored)
        self._lay_out([name for name in self.boxes if name in stored or name in ALWAYS])

    def _lay_out(self, names: list[str]) -> None:
        """Three in a row, without a gap where one is missing."""
        if names == self._laid:
            return
        self._laid = names
        for name, box in self.boxes.items():
            self._grid.removeWidget(box)
            box.setVisible(name in names)
        for i, name in enumerate(names):
            self._grid.addWidget(self.boxes[name], i // 3, i % 3)
