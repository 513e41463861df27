"""The images of a project, each with how far its review is; a click goes there."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_noisyseg.gui.widgets.table import Column, Table
from napari_noisyseg.store.project import Project

HEIGHT = 140
WIDTHS = (120, 76, 50, 40)


class ImageList(QWidget):  # type: ignore[misc]
    """`chosen(name)` when a person picks an image."""

    chosen = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._rows: tuple[tuple[str, int, int, int], ...] = ()
        self.table = Table()
        self.table.setFixedHeight(HEIGHT)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addWidget(self.table)
        self.table.chosen.connect(lambda row: self.chosen.emit(self._rows[row][0]))

    def show_project(self, project: Project | None, image: str | None) -> None:
        """Bring the list up to date, and mark the image in front."""
        if project is None:
            return
        done = project.nuclei.progress()
        rows = tuple((name, c.candidates, c.reviewed, c.accepted) for name, c in done.items())
        if rows != self._rows:
            self._rows = rows
            self.table.show_columns(_columns(rows), WIDTHS)
        names = [row[0] for row in rows]
        self.table.select(names.index(image) if image in names else None)


def _columns(rows: tuple[tuple[str, int, int, int], ...]) -> list[Column]:
    names = np.array([row[0] for row in rows], dtype=object)
    total, reviewed, accepted = np.array([row[1:] for row in rows], int).reshape(-1, 3).T
    share = np.where(total > 0, reviewed / np.maximum(total, 1), 1.0)
    return [
        Column("Image", names),
        Column("Reviewed", share, lambda s: f"{100 * s:.0f} %", "Share of its nuclei"),
        Column("Left", total - reviewed, str, "Nuclei still to be judged"),
        Column("✓", accepted, str, "Accepted nuclei"),
    ]
