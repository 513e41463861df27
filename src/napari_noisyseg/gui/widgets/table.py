"""A table of columns that stays quick with 100,000 rows: nothing is made before it is looked at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QAbstractTableModel, QItemSelectionModel, QModelIndex, Qt, Signal
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableView

from napari_noisyseg.gui.widgets.flags import number


@dataclass(slots=True)
class Column:
    """One column: its title, one value a row (numbers or words), and how a value reads."""

    title: str
    values: NDArray[Any]
    text: Callable[[Any], str] = str
    help: str = ""
    numeric: bool = field(init=False)

    def __post_init__(self) -> None:
        self.numeric = self.values.dtype.kind in "iuf"


class TableModel(QAbstractTableModel):  # type: ignore[misc]
    """Rows in any order over columns that are never copied; sorting is one stable argsort."""

    def __init__(self, columns: Sequence[Column] = ()) -> None:
        super().__init__()
        self._columns = list(columns)
        self._order = np.arange(self._count())
        self._sorted = (-1, Qt.SortOrder.AscendingOrder)

    def _count(self) -> int:
        return len(self._columns[0].values) if self._columns else 0

    def set_columns(self, columns: Sequence[Column]) -> None:
        """Show other rows, in the order that the last click on a header asked for."""
        self.beginResetModel()
        self._columns = list(columns)
        self._order = self._sort_order()
        self.endResetModel()

    def set_values(self, title: str, values: NDArray[Any]) -> None:
        """New values in one column; rows stay where they are, so that nothing jumps."""
        at = [column.title for column in self._columns].index(title)
        self._columns[at].values = values
        if len(self._order):
            self.dataChanged.emit(self.index(0, at), self.index(len(self._order) - 1, at))

    def source(self, row: int) -> int:
        """Which of the given rows is shown at `row`."""
        return int(self._order[row])

    def shown_at(self, source: int) -> int:
        """Where one of the given rows is shown."""
        return int(np.flatnonzero(self._order == source)[0])

    def rowCount(self, parent: QModelIndex = QModelIndex()) -> int:
        """Qt: number of rows."""
        return 0 if parent.isValid() else len(self._order)

    def columnCount(self, parent: QModelIndex = QModelIndex()) -> int:
        """Qt: number of columns."""
        return 0 if parent.isValid() else len(self._columns)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Qt: a cell's words or alignment."""
        column = self._columns[index.column()]
        if role == Qt.ItemDataRole.DisplayRole:
            return column.text(column.values[self._order[index.row()]])
        if role == Qt.ItemDataRole.TextAlignmentRole and column.numeric:
            return number(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        return None

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Qt: a column's title, and its explanation."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        column = self._columns[section]
        if role == Qt.ItemDataRole.DisplayRole:
            return column.title
        if role == Qt.ItemDataRole.TextAlignmentRole:
            side = Qt.AlignmentFlag.AlignRight if column.numeric else Qt.AlignmentFlag.AlignLeft
            return number(side | Qt.AlignmentFlag.AlignVCenter)
        return column.help or None if role == Qt.ItemDataRole.ToolTipRole else None

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Qt: sort by a column; -1 is the given order. The same rows stay selected."""
        self.layoutAboutToBeChanged.emit()
        before = self._order
        self._sorted = (column, order)
        self._order = self._sort_order()
        where = np.argsort(self._order)
        old = self.persistentIndexList()
        new = [self.index(int(where[before[i.row()]]), i.column()) for i in old]
        self.changePersistentIndexList(old, new)
        self.layoutChanged.emit()

    def _sort_order(self) -> NDArray[np.intp]:
        column, order = self._sorted
        if not 0 <= column < len(self._columns):
            return np.arange(self._count())
        found = np.argsort(self._columns[column].values, kind="stable")
        return found if order == Qt.SortOrder.AscendingOrder else found[::-1]


class Table(QTableView):  # type: ignore[misc]
    """A quiet table; `chosen(row)` says which of the given rows a person clicked or moved to."""

    chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.columns = TableModel()
        self.setModel(self.columns)
        self.setSortingEnabled(True)
        self.sortByColumn(-1, Qt.SortOrder.AscendingOrder)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setWordWrap(False)
        self.setShowGrid(False)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.horizontalHeader().setMinimumSectionSize(24)
        self.horizontalHeader().setResizeContentsPrecision(0)  # rows in sight alone are measured
        rows = self.verticalHeader()
        rows.hide()
        rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        rows.setDefaultSectionSize(self.fontMetrics().height() + 8)
        self.selectionModel().currentRowChanged.connect(self._choose)
        self._quiet = False

    def _choose(self, current: QModelIndex) -> None:
        if current.isValid() and not self._quiet:
            self.chosen.emit(self.columns.source(current.row()))

    def show_columns(self, columns: Sequence[Column], widths: Sequence[int]) -> None:
        """Show other rows; `widths` in px, the last column takes what is left."""
        self.columns.set_columns(columns)
        for at, width in enumerate(widths):
            self.setColumnWidth(at, width)
        # below this width Qt stretches nothing, and it begins with a hundred pixels
        last, header = len(columns) - 1, self.horizontalHeader()
        self.setColumnWidth(last, max(self.sizeHintForColumn(last), header.sectionSizeHint(last)))
        header.setStretchLastSection(True)

    def select(self, source: int | None) -> None:
        """Mark one of the given rows, without a word to anyone."""
        self._quiet = True
        if source is None:
            self.clearSelection()
        else:
            index = self.columns.index(self.columns.shown_at(source), 0)
            how = QItemSelectionModel.SelectionFlag.ClearAndSelect
            self.selectionModel().setCurrentIndex(
                index, how | QItemSelectionModel.SelectionFlag.Rows
            )
            self.scrollTo(index)
        self._quiet = False
