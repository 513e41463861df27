"""Finished runs come into the project, off the GUI thread, and onto the canvas."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from napari_noisyseg.gui.canvas import layers
from napari_noisyseg.gui.jobs import Jobs
from napari_noisyseg.gui.session import Session
from napari_noisyseg.slides import Box
from napari_noisyseg.store.project import Project
from napari_noisyseg.worker.adopt import adopt_finished

LABELS = ("corrected", "changes", "refined")
"""results that are label images; the others are maps"""
KINDS = ("probability", "uncertainty", "weights", "weights_pseudo", *LABELS)
LARGEST = 32_000_000
"""pixels above which a label image is shown lazily, level by level"""


class Adoption:
    """Adopts what has finished whenever asked, then tells the session and shows the results."""

    def __init__(self, session: Session, jobs: Jobs) -> None:
        self._session = session
        self._jobs = jobs

    def adopt(self) -> None:
        """Take in finished runs, if the project is ours to write."""
        project = self._session.project
        if project is not None and project.writable:
            self._jobs.do(partial(_adopt, project), partial(self._adopted, project), self.failed)

    def failed(self, error: BaseException) -> None:
        """Tell of an error in the background."""
        with self._session.guard():
            raise error

    def _adopted(self, project: Project, found: list[str]) -> None:
        if not found or project is not self._session.project:
            return
        for image in layers.shown(self._session.viewer):
            self.show(image)
        self._session.runs_changed.emit()
        self._session.review_changed.emit()

    def show(self, image: str) -> None:
        """Show an image's adopted maps and nuclei; read in the background."""
        project = self._session.project
        if project is not None:
            work = partial(read_results, project, image)
            self._jobs.do(work, partial(self._shown, project, image), self.failed)

    def _shown(self, project: Project, image: str, found: dict[str, Any]) -> None:
        if project is not self._session.project or image not in layers.shown(self._session.viewer):
            return
        record, viewer = project.image(image), self._session.viewer
        for kind, data in found.items():
            make = layers.show_labels if kind in LABELS else layers.show_map
            make(viewer, record, kind, data)
            self._session.labels_changed.emit(image, kind)


def _adopt(project: Project) -> list[str]:
    return list(adopt_finished(project))


def read_results(project: Project, image: str, kinds: Sequence[str] = KINDS) -> dict[str, Any]:
    """An image's adopted results by kind, as layers take them: arrays, or levels where large."""
    stored, record = project.labels.kinds(image), project.image(image)
    lazily = record.height * record.width > LARGEST
    found = {}
    for kind in (kind for kind in kinds if kind in stored):
        levels = project.labels.levels(image, kind) if lazily else []
        found[kind] = _whole(project, image, kind) if len(levels) < 2 else levels
    return found


def _whole(project: Project, image: str, kind: str) -> Any:
    data = project.labels.read(image, kind)
    if kind == "refined" and data is not None:
        return project.nuclei.settled(image, Box(0, 0, *data.shape), data)
    if kind in LABELS:
        return data
    return np.asarray(data, dtype=np.float32)
