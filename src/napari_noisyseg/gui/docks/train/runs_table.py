"""The project's runs as a table: when, which method, how far, how well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QPushButton, QSizePolicy, QVBoxLayout, QWidget

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.events import Failed, Finished
from napari_noisyseg.gui.controllers.progress import RunProgress
from napari_noisyseg.gui.widgets.parts import label, line
from napari_noisyseg.gui.widgets.table import Column, Table
from napari_noisyseg.store.runs import Run
from napari_noisyseg.worker import client

SIGNS = {
    "running": "▶ running",
    "stopped": "❚❚ stopped",
    "finished": "✓ finished",
    "failed": "✗ failed",
    "lost": "? lost",
}
"""a run's state by sign and word, so that colour carries nothing"""
WIDTHS = (92, 76, 84)


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run as the table shows it; `state` is one of `SIGNS`."""

    id: str
    method: str
    state: str
    result: str


def state_of(progress: RunProgress) -> str:
    """A run's state by its last word."""
    match progress.end:
        case None:
            return "running"
        case Finished(stopped=stopped):
            return "stopped" if stopped else "finished"
        case Failed():
            return "lost" if progress.end in (client.LOST, client.KILLED) else "failed"


def run_row(run: Run, progress: RunProgress) -> RunRow:
    """What the table says of a run."""
    try:
        spec = run.spec()
        method = ("↪ " if spec.get("predicts") else "") + str(spec.get("method", "?"))
    except NoisySegError:
        method = "?"
    return RunRow(run.id, method, state_of(progress), result_of(progress))


def result_of(progress: RunProgress) -> str:
    """What a run has come to, in a few words."""
    if isinstance(progress.end, Finished) and "nuclei" in progress.end.figures:
        return f"{progress.end.figures['nuclei']:.0f} nuclei"
    if progress.best is not None:
        return f"loss {progress.best:.3g}"
    return ""


def read_ended(run: Run) -> RunProgress:
    """A run that has ended, from its file; one that ended without a word is lost."""
    progress = RunProgress()
    progress.take_all(run.events())
    if progress.end is None:
        progress.take(client.lost(run))
    return progress


def when_of(run_id: str) -> str:
    """A run's id begins with its time in UTC: as local time, today's without the date."""
    try:
        made = datetime.strptime(run_id.split("-")[0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return run_id
    local = made.astimezone()
    today = local.date() == datetime.now().astimezone().date()
    return local.strftime("%H:%M:%S" if today else "%d %b %H:%M")


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
        self.resume.setToolTip("Go on from the run's last checkpoint")
        self.predict.setToolTip("Use the selected run on the project's other images")
        for button in (self.resume, self.predict):
            button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(6)
        box.addWidget(label("Runs of this project", "title"))
        box.addWidget(self.table)
        box.addLayout(line(self.resume, self.predict))
