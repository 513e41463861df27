"""Every nucleus of the active image as a row: measured in the background when it is opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_noisyseg.gui.jobs import Jobs
from napari_noisyseg.gui.session import Session
from napari_noisyseg.gui.widgets.parts import label
from napari_noisyseg.gui.widgets.table import Column, Table
from napari_noisyseg.instances import Measured
from napari_noisyseg.review.measurements import measure_image
from napari_noisyseg.review.queue import ReviewItem, ReviewQueue

HEIGHT = 240
WIDTHS = (46, 58, 58, 46, 54, 64, 86, 50)
SIGNS = {"accepted": "✓ accepted", "rejected": "✗ rejected", "unsure": "? unsure"}


def measurement_columns(
    items: Sequence[ReviewItem], measured: Mapping[str, Measured]
) -> list[Column]:
    """The table's columns; a nucleus that could not be measured has empty cells."""

    def figures(name: str) -> np.ndarray:
        return np.array([getattr(measured.get(i.id), name, np.nan) for i in items], dtype=float)

    def words(values: Sequence[str]) -> np.ndarray:
        return np.array(values, dtype=object)

    candidates = [item.candidate for item in items]
    return [
        Column("No.", np.array([c.serial for c in candidates], dtype=np.int64), str, "Number"),
        Column("Area", figures("area_um2"), _number(1), "Area in µm²"),
        Column("Perim.", figures("perimeter_um"), _number(1), "Perimeter in µm"),
        Column("Ecc.", figures("eccentricity"), _number(2), "Eccentricity: 0 circle, 1 line"),
        Column("Hema.", figures("mean_hematoxylin"), _number(2), "Mean hematoxylin density"),
        Column("Class", words([c.class_name or "" for c in candidates])),
        Column("State", words([i.state for i in items]), lambda s: SIGNS.get(s, "·"), "Decision"),
        Column("Score", np.array([c.score for c in candidates]), _number(2), "Confidence, 0 to 1"),
    ]


def _number(digits: int) -> Callable[[float], str]:
    """How a figure reads, with so many digits after the point; nothing where there is none."""
    return lambda value: "" if value != value else f"{value:.{digits}f}"


class MeasurementsView(QWidget):  # type: ignore[misc]
    """The table; `chosen(nucleus id)` when a person picks a row."""

    chosen = Signal(str)

    def __init__(self, session: Session, jobs: Jobs) -> None:
        super().__init__()
        self._session, self._jobs = session, jobs
        self._items: list[ReviewItem] = []
        self._rows: dict[str, int] = {}
        self._queue: ReviewQueue | None = None
        self._opened = False
        self._current = ""
        self._measured_for: tuple[int, str | None] | None = None
        self.status = label(role="quiet")
        self.table = Table()
        self.table.setFixedHeight(HEIGHT)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(4)
        box.addWidget(self.status)
        box.addWidget(self.table)
        self.table.chosen.connect(lambda row: self.chosen.emit(self._items[row].id))

    def open(self, opened: bool) -> None:
        """The table was opened or closed; it is filled when it is open."""
        self._opened = opened
        self.show_queue(self._queue)

    def show_queue(self, queue: ReviewQueue | None) -> None:
        """Show the active image's nuclei, or only their new decisions when they are the same."""
        self._queue = queue
        image = self._session.image
        if not self._opened or queue is None:
            return
        if self._measured_for == (id(queue), image):
            self._show_decisions(queue)
            return
        self._measured_for = (id(queue), image)
        items = sorted(
            (item for item in queue.items if item.image == image),
            key=lambda item: item.candidate.serial,
        )
        self._fill(items, {})
        project = self._session.project
        if project is not None and items:
            self.status.setText(f"measuring {len(items)} nuclei …")
            work = partial(measure_image, project, items)
            self._jobs.do(work, partial(self._measured, items), self._failed)

    def _show_decisions(self, queue: ReviewQueue) -> None:
        # by columns: items of thousands of nuclei would take longer than a key may
        rows = np.array([queue.row(nucleus) or 0 for nucleus in self._rows], np.intp)
        decided = np.array(queue.items.at(rows).states, dtype=object)
        self.table.columns.set_values("State", decided)

    def follow(self, item: ReviewItem) -> None:
        """Mark the row of the nucleus under review."""
        self._current = item.id
        if self._opened:
            self.table.select(self._rows.get(item.id))

    def _measured(self, items: list[ReviewItem], found: dict[str, Measured]) -> None:
        if [item.id for item in items] == [item.id for item in self._items]:
            self._fill(self._items, found)
            if self._queue is not None:
                self._show_decisions(self._queue)

    def _failed(self, error: BaseException) -> None:
        self.status.setText(str(error))

    def _fill(self, items: list[ReviewItem], measured: Mapping[str, Measured]) -> None:
        self._items = items
        self._rows = {item.id: row for row, item in enumerate(items)}
        self.table.show_columns(measurement_columns(items, measured), WIDTHS)
        self.table.select(self._rows.get(self._current))
        self.status.setText(f"{len(items):,} nuclei of {self._session.image or 'no image'}")
