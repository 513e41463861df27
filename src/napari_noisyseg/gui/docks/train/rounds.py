"""Rounds of relabelling of a run: step through them, and see why each pixel became what it is."""

from __future__ import annotations

from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtWidgets import QWidget

from napari_noisyseg.gui.canvas import layers
from napari_noisyseg.gui.jobs import Jobs
from napari_noisyseg.gui.session import Session
from napari_noisyseg.gui.widgets.parts import button, column, line
from napari_noisyseg.gui.widgets.still import StillLine
from napari_noisyseg.method import ADDED, KEPT, NUCLEUS, REMOVED
from napari_noisyseg.store import rounds
from napari_noisyseg.store.records import ImageRecord
from napari_noisyseg.store.rounds import Round

POINT_AT = "Point at the tissue to see why a superpixel has its label."


class RoundsView(QWidget):  # type: ignore[misc]
    """Back and on through an image's rounds, shown as its `changes` layer; hidden without any."""

    def __init__(self, session: Session, jobs: Jobs) -> None:
        super().__init__()
        self._session, self._jobs = session, jobs
        self._folder: Path | None = None
        self._rounds: list[list[Round]] = []
        self.at: int | None = None
        self.back_button = button("◀", "Previous round", partial(self.step, -1))
        self.next_button = button("▶", "Next round", partial(self.step, 1))
        for made in (self.back_button, self.next_button):
            made.setFixedWidth(36)
        self.line, self.reason = StillLine(), StillLine()
        self.reason.set_wrap(True)
        box = column(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addLayout(line(self.back_button, self.line, self.next_button, spacing=8))
        box.addWidget(self.reason)
        session.viewer.mouse_move_callbacks.append(self._pointed)
        self.hide()

    def closing(self) -> None:
        """The window is going."""
        callbacks = self._session.viewer.mouse_move_callbacks
        if self._pointed in callbacks:
            callbacks.remove(self._pointed)

    def look(self, folder: Path | None) -> None:
        """List the rounds that a run's folder holds for the image in front."""
        image = self._session.image
        if folder != self._folder:
            self.at = None
        self._folder = folder
        if folder is None or image is None:
            self._listed(folder, image, [])
        else:
            work = partial(rounds.of, folder, image)
            self._jobs.do(work, partial(self._listed, folder, image), self._failed)

    def step(self, by: int) -> None:
        """Show the round `by` further on; the first time the newest one."""
        if not self._rounds:
            return
        last = len(self._rounds) - 1
        self.at = last if self.at is None else min(max(self.at + by, 0), last)
        image = self._session.image
        record = self._record(image)
        if record is not None:
            work = partial(_changes, self._rounds[self.at], record)
            self._jobs.do(work, partial(self._show, record), self._failed)
        self._refresh()

    def _record(self, image: str | None) -> ImageRecord | None:
        project = self._session.project
        return project.image(image) if project is not None and image is not None else None

    def _listed(self, folder: Path | None, image: str | None, found: list[Round]) -> None:
        if folder != self._folder or image != self._session.image:
            return
        self._rounds = [list(same) for _, same in groupby(found, key=lambda r: r.number)]
        if self.at is not None and self.at >= len(self._rounds):
            self.at = None
        self._refresh()

    def _show(self, record: ImageRecord, data: NDArray[np.uint8]) -> None:
        if record.name == self._session.image:
            layers.show_labels(self._session.viewer, record, "changes", data)
            self._session.toggle("changes", True)

    def _refresh(self) -> None:
        count = len(self._rounds)
        self.setVisible(count > 0)
        if not count:
            return
        if self.at is None:
            self.line.setText(f"{count} round{'s' * (count > 1)} of relabelling")
        else:
            shown = self._rounds[self.at]
            share = 100 * float(np.mean([r.changed for r in shown]))
            self.line.setText(f"round {self.at + 1} of {count} · {share:.1f} % relabelled")
        self.reason.setText(POINT_AT if self.at is not None else "")
        self.back_button.setEnabled(self.at != 0)
        self.next_button.setEnabled(self.at is None or self.at < count - 1)

    def _pointed(self, viewer: Any, event: Any) -> None:
        """Say why the pixel under the mouse is as it is after the round that is shown."""
        image = self._session.image
        if self.at is None or image is None or not self.isVisible():
            return
        layer = layers.find(viewer, image, "image")
        if layer is None or self.at >= len(self._rounds):
            return
        y, x = (round(float(v)) for v in layer.world_to_data(event.position)[-2:])
        with self._session.guard():
            said = (rounds.reason(one, y, x) for one in self._rounds[self.at])
            self.reason.setText(next((words for words in said if words), POINT_AT))

    def _failed(self, error: BaseException) -> None:
        with self._session.guard():
            raise error


def _changes(shown: list[Round], record: ImageRecord) -> NDArray[np.uint8]:
    """What a round kept of the nuclei before it, added and removed, uint8 (H, W) at level 0."""
    data = np.zeros((record.height, record.width), np.uint8)
    for one in shown:
        maps, box = one.maps(), one.box
        before, after = (maps[name] == NUCLEUS for name in ("before", "after"))
        found = np.select([before & after, after, before], [KEPT, ADDED, REMOVED], 0)
        data[box.y0 : box.y1, box.x0 : box.x1] = found
    return data
