from __future__ import annotations

from time import thread_time

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_noisyseg.gui.widgets.table import Column, Table, TableModel

pytestmark = pytest.mark.gui


def columns(n: int = 4) -> list[Column]:
    area = np.array([3.0, 1.0, 2.0, 1.0])[:n]
    return [
        Column("Id", np.arange(n)),
        Column("Area", area, "{:.1f}".format, "µm²"),
        Column("State", np.array(list("dcba"))[:n]),
    ]


def shown(model, column=0) -> list[str]:
    return [model.data(model.index(row, column)) for row in range(model.rowCount())]


def test_cells_read_as_words_and_numbers_stand_right():
    model = TableModel(columns())
    assert shown(model, 1) == ["3.0", "1.0", "2.0", "1.0"]
    assert model.headerData(1, Qt.Orientation.Horizontal) == "Area"
    assert model.headerData(1, Qt.Orientation.Horizontal, Qt.ItemDataRole.ToolTipRole) == "µm²"
    right = model.data(model.index(0, 1), Qt.ItemDataRole.TextAlignmentRole)
    assert right & int(Qt.AlignmentFlag.AlignRight)


def test_sorting_is_by_number_and_stable_and_comes_back():
    model = TableModel(columns())
    model.sort(1)
    assert shown(model) == ["1", "3", "2", "0"]
    assert [model.source(row) for row in range(4)] == [1, 3, 2, 0]
    assert model.shown_at(2) == 2
    model.sort(1, Qt.SortOrder.DescendingOrder)
    assert shown(model)[0] == "0"
    model.sort(-1)
    assert shown(model) == ["0", "1", "2", "3"]


def test_new_values_move_no_row(qtbot):
    model = TableModel(columns())
    model.sort(2)
    before = shown(model)
    with qtbot.waitSignal(model.dataChanged):
        model.set_values("State", np.array(list("wxyz")))
    assert shown(model) == before
    assert shown(model, 2) == ["z", "y", "x", "w"]


def test_the_row_that_was_chosen_stays_chosen_through_a_sort(qtbot):
    table = Table()
    qtbot.addWidget(table)
    table.show_columns(columns(), (40, 40, 40))
    chosen = []
    table.chosen.connect(chosen.append)
    table.select(2)
    assert chosen == []
    table.sortByColumn(1, Qt.SortOrder.DescendingOrder)
    row = table.selectionModel().selectedRows()[0].row()
    assert table.columns.source(row) == 2
    table.selectRow(0)
    assert chosen == [0]


def test_the_last_column_ends_where_the_table_does(qtbot):
    table = Table()
    qtbot.addWidget(table)
    table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    table.resize(640, 120)
    table.show()
    for _ in range(2):
        table.show_columns(columns(), (40, 50))
        header = table.horizontalHeader()
        assert header.sectionSize(2) == table.viewport().width() - 90
    # less room than Qt's hundred pixels, and enough for the words
    table.resize(160, 120)
    qtbot.waitUntil(lambda: header.sectionSize(2) == table.viewport().width() - 90, timeout=2000)
    assert header.sectionSize(2) >= header.sectionSizeHint(2)


def test_a_hundred_thousand_rows_sort_and_show_at_once(qtbot, pace):
    table = Table()
    qtbot.addWidget(table)
    values = np.random.default_rng(0).random(100_000)
    table.resize(360, 400)
    table.show()
    start = thread_time()
    table.show_columns([Column("Id", np.arange(len(values))), Column("Area", values)], (80,))
    table.sortByColumn(1, Qt.SortOrder.AscendingOrder)
    table.grab()
    assert thread_time() - start < 100 * pace
    assert table.columns.data(table.columns.index(0, 1)) == str(values.min())
