"""The project's runs as a table: when, which method, how far, how well."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QPushButton, QSizePolicy, QVBoxLayout, QWidget

from napari_noisyseg.gui.controllers.runs import SIGNS, RunRow, when_of
from napari_noisyseg.gui.widgets.parts import label, line
from napari_noisyseg.gui.widgets.table import Column, Table

WIDTHS = (88, 70, 76)
"""pixels: the last column gets the rest of the narrow panel, which holds 9999 nuclei"""


class RunsTable(Table):
    """Runs, the newest first; `chosen` gives the index among those shown."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[RunRow] = []
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFixedHeight(5 * self.verticalHeader().defaultSectionSize() + 6)

    def show_rows(self, rows: Sequence[RunRow]) -> None:
        """Show these runs and keep the selected one selected."""
        if list(rows) == self.rows:
            return
        kept = self.selected()
        self.rows = list(rows)
        self.show_columns(
            [
                _column("When", [row.id for row in rows], when_of),
                _column("Method", [row.method for row in rows]),
                _column("State", [row.state for row in rows], lambda s: SIGNS.get(s, s)),
                _column("Result", [row.result for row in rows]),
            ],
            WIDTHS,
        )
        ids = [row.id for row in rows]
        self.select(ids.index(kept.id) if kept and kept.id in ids else None)

    def selected(self) -> RunRow | None:
        """The run that is marked, if any."""
        marked = self.selectionModel().selectedRows()
        return self.rows[self.columns.source(marked[0].row())] if marked else None


def _column(title: str, words: Sequence[str], text: object = str) -> Column:
    return Column(title, np.array(words, dtype=object), text)  # type: ignore[arg-type]


class RunsOfProject(QWidget):  # type: ignore[misc]
    """The table under its heading, and what can be done with the run that is selected."""

    def __init__(self) -> None:
        super().__init__()
        self.table = RunsTable()
        self.resume = QPushButton("Resume")
        self.predict = QPushButton("Predict other images")
        self.resume.setToolTip("Continue from the run's last checkpoint")
        self.predict.setToolTip("Use the selected run on the project's other images")
        for button in (self.resume, self.predict):
            button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(6)
        box.addWidget(label("Runs of this project", "title"))
        box.addWidget(self.table)
        box.addLayout(line(self.resume, self.predict))
