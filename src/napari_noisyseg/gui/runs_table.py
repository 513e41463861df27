"""The project's runs as a table: when, which method, how far, how well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from napari_noisyseg.gui.table import Column, Table

if TYPE_CHECKING:
    from napari_noisyseg.store.runs import Run

STATES = {
    "waiting": "… waiting",
    "running": "▶ running",
    "stopped": "❚❚ stopped",
    "finished": "✓ finished",
    "failed": "✗ failed",
    "lost": "? lost",
}
"""a run's state by sign and word, so that colour carries nothing"""
BEST = ("best", "total", "validation", "loss")
"""names under which a run's figures tell how good it is, the first that is there counts"""


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run as the table shows it."""

    id: str
    when: str
    method: str
    state: str
    result: str


def when_of(run_id: str) -> str:
    """A run's id begins with its time in UTC: as local time, today's without the date."""
    try:
        made = datetime.strptime(run_id.split("-")[0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return run_id
    local = made.astimezone()
    today = local.date() == datetime.now().astimezone().date()
    return local.strftime("%H:%M" if today else "%d %b %H:%M")


def run_row(run: Run, state: str) -> RunRow:
    """What the table says of a run."""
    return RunRow(
        run.id,
        when_of(run.id),
        str(run.spec().get("method", "?")),
        STATES.get(state, state),
        result_of(run.figures()),
    )


def result_of(figures: dict[str, float]) -> str:
    """The figure that tells how good a run is, with its name; empty when there is none."""
    for name in BEST:
        if name in figures:
            return f"{name} {figures[name]:.3g}"
    name, value = next(iter(figures.items()), ("", 0.0))
    return f"{name} {value:.3g}" if name else ""


class RunsTable(Table):
    """Runs, the newest first; `chosen` gives the index among those shown."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[RunRow] = []
        self.setFixedHeight(5 * self.verticalHeader().defaultSectionSize() + 6)

    def show_rows(self, rows: Sequence[RunRow]) -> None:
        """Show these runs and keep the selected one selected."""
        if list(rows) == self.rows:
            return
        kept = self.selected()
        self.rows = list(rows)
        self.show_columns(
            [
                _column("When", [row.when for row in rows]),
                _column("Method", [row.method for row in rows]),
                _column("State", [row.state for row in rows]),
                _column("Result", [row.result for row in rows]),
            ],
            (84, 78, 92),
        )
        ids = [row.id for row in rows]
        self.select(ids.index(kept.id) if kept and kept.id in ids else None)

    def selected(self) -> RunRow | None:
        """The run that is marked, if any."""
        marked = self.selectionModel().selectedRows()
        return self.rows[self.columns.source(marked[0].row())] if marked else None


def _column(title: str, words: Sequence[str]) -> Column:
    return Column(title, np.array(words, dtype=object))
