"""The fields of the active image as a list: choose, show, tick as complete, remove."""

from __future__ import annotations

from typing import Any, NamedTuple

from qtpy.QtCore import QEvent, QSignalBlocker, Qt, QTimer
from qtpy.QtGui import QBrush, QColor
from qtpy.QtWidgets import QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from napari_noisyseg.gui.tools.kit import Kit
from napari_noisyseg.gui.widgets.parts import button, label, line
from napari_noisyseg.gui.widgets.theme import palette

ROLE = Qt.ItemDataRole.UserRole
CHECKED, UNCHECKED = Qt.CheckState.Checked, Qt.CheckState.Unchecked
TIP = (
    "Ticked: you promise that every nucleus in it is marked; everything else is background.\n"
    "Not ticked: what is not marked in it stays unknown.\n"
    "Double click shows a field; C ticks or unticks the chosen one; Del removes it."
)


class FieldRow(NamedTuple):
    """What one line of the list shows."""

    id: str
    words: str
    complete: bool


class _List(QListWidget):  # type: ignore[misc]
    """Leaves the letters to the step's keys; a list would look for a line that begins so."""

    def keyPressEvent(self, event: Any) -> None:
        """Qt: letters are not for us."""
        if event.text().isalnum():
            event.ignore()
        else:
            super().keyPressEvent(event)


class FieldList(QWidget):  # type: ignore[misc]
    """Reads the kit and calls it; every tick is saved at once and can be undone."""

    def __init__(self, kit: Kit) -> None:
        super().__init__()
        self.kit = kit
        self._shown: list[FieldRow] = []
        self._ticks: dict[str, bool] = {}
        # a tick fills the list again: not while Qt is still at the click
        self._soon = QTimer(self, singleShot=True, interval=0)
        self._soon.timeout.connect(self._declare)
        self.whole = button(
            "Whole image", "The whole image is one field: you mark every nucleus in it",
            kit.fields.add_whole,
        )  # fmt: skip
        self.remove = button("Remove", "Remove the chosen field; its points stay", self.drop)
        self.list = _List()
        self.list.setToolTip(TIP)
        self.list.setFixedHeight(76)
        self.list.setAccessibleName("Fields")
        self.caption = label("Ticked: every nucleus in it is marked.", "quiet")
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(6)
        box.addLayout(line(label("Fields", "title"), 1, self.whole, self.remove))
        box.addWidget(self.list)
        box.addWidget(self.caption)
        self.list.itemDoubleClicked.connect(lambda item: kit.show_field(item.data(ROLE)))
        self.list.itemChanged.connect(self._ticked)
        self.list.currentItemChanged.connect(self._chosen)
        self.list.itemClicked.connect(self._chosen)

    # --- what it shows -------------------------------------------------------------------------

    def refresh(self) -> None:
        """Bring the list up to date; nothing is touched when nothing changed."""
        rows = [self._row(number) for number in range(len(self.kit.fields.fields))]
        if rows != self._shown or self.kit.fields.chosen != self.chosen():
            self._fill(rows)
        self.remove.setEnabled(self.chosen() is not None)
        self.whole.setEnabled(self.kit.session.image_layer() is not None)

    def _row(self, number: int) -> FieldRow:
        field, record = self.kit.fields.fields[number], self.kit.session.record()
        mpp = record.mpp if record is not None else 1.0
        inside = self.kit.points.count_in(field.box)
        words = (
            f"{number + 1}   {field.box.width * mpp:.0f} × {field.box.height * mpp:.0f} µm   "
            f"{inside} {'nucleus' if inside == 1 else 'nuclei'}"
        )
        return FieldRow(
            field.id, words if field.complete else f"{words}   not all marked", field.complete
        )

    def _fill(self, rows: list[FieldRow]) -> None:
        chosen = self.kit.fields.chosen
        self._shown = rows
        with QSignalBlocker(self.list):
            self.list.clear()
            for row in rows:
                self.list.addItem(_item(row, palette(self).warn))
            ids = [row.id for row in rows]
            self.list.setCurrentRow(ids.index(chosen) if chosen in ids else -1)

    def changeEvent(self, event: Any) -> None:
        """Qt: another theme has other colours."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.StyleChange:
            self._fill(self._shown)

    # --- acts ----------------------------------------------------------------------------------

    def chosen(self) -> str | None:
        """Id of the chosen field, or None."""
        item = self.list.currentItem()
        return str(item.data(ROLE)) if item is not None else None

    def drop(self) -> None:
        """Remove the chosen field."""
        chosen = self.chosen()
        if chosen is not None:
            self.kit.fields.remove(chosen)

    def flip(self) -> None:
        """Tick or untick the chosen field."""
        for row in self._shown:
            if row.id == self.chosen():
                self.kit.fields.declare(row.id, not row.complete)
                return

    def _ticked(self, item: Any) -> None:
        before = {row.id: row.complete for row in self._shown}
        complete = item.checkState() == CHECKED
        if before.get(item.data(ROLE)) not in (None, complete):
            self._ticks[item.data(ROLE)] = complete
            self._soon.start()

    def _declare(self) -> None:
        ticks, self._ticks = self._ticks, {}
        for field_id, complete in ticks.items():
            self.kit.fields.declare(field_id, complete)
        # also where it was refused: the list shows what is so
        self._fill([self._row(n) for n in range(len(self.kit.fields.fields))])

    def _chosen(self) -> None:
        if self.list.currentItem() is not None:
            self.kit.fields.choose(self.chosen())
        self.remove.setEnabled(self.chosen() is not None)


def _item(row: FieldRow, warn: str) -> QListWidgetItem:
    item = QListWidgetItem(row.words)
    item.setData(ROLE, row.id)
    item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
    item.setCheckState(CHECKED if row.complete else UNCHECKED)
    if not row.complete:
        item.setForeground(QBrush(QColor(warn)))
    return item
