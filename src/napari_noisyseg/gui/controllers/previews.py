"""A run's picture of its present state as layers over the field that it learns from."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QTimer

from napari_noisyseg import bounded_npz
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.events import Previewed
from napari_noisyseg.gui.canvas import layers
from napari_noisyseg.gui.controllers.follow import Follower
from napari_noisyseg.gui.jobs import Jobs
from napari_noisyseg.gui.kinds import KINDS
from napari_noisyseg.gui.session import Session
from napari_noisyseg.gui.tools.kit import kit_of
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import ImageRecord

BETWEEN_MS = 150
"""between two layers of a preview"""
MAPS = tuple(name for name, kind in KINDS.items() if kind.form == "map")


class LivePreview:
    """Pictures of a run that goes on, while the Train step is open.

    A picture is read out of the way and shown a layer at a time, so that no turn of the window
    takes long. Elsewhere people work on what is stored: closing brings that back.
    """

    def __init__(self, session: Session, jobs: Jobs, follower: Follower) -> None:
        self._session, self._jobs, self._follower = session, jobs, follower
        self._results = kit_of(session).results
        self._open = False

    def open(self) -> None:
        """The step was opened."""
        self._open = True

    def close(self) -> None:
        """The step was closed, or the run has ended: what is stored comes back."""
        self._open = False
        self.over()

    def over(self) -> None:
        """No run goes on: what is stored comes back."""
        if self._results.held:
            self._results.held = False
            self._results.forget()

    def show(self, run_id: str, events: Iterable[Previewed]) -> None:
        """Read these pictures and show them."""
        project = self._session.project
        if project is None or not self._open:
            return
        for event in (event for event in events if event.image == self._session.image):
            read = partial(read_preview, project.runs.get(run_id).dir, event)
            done = partial(self._read, project, run_id, event)
            self._jobs.do(read, done, self._session.failed)

    def _read(
        self, project: Project, run_id: str, event: Previewed, maps: dict[str, NDArray[Any]]
    ) -> None:
        if not maps or not self._due(project, run_id):
            return
        self._results.held = True
        self._results.refresh()
        for turn, (name, values) in enumerate(maps.items()):
            act = partial(self._show, project, run_id, event, name, values)
            QTimer.singleShot(BETWEEN_MS * turn, act)

    def _show(
        self, project: Project, run_id: str, event: Previewed, name: str, values: NDArray[Any]
    ) -> None:
        seen = event.image == self._session.image and self._session.view.shows(name)
        if seen and self._due(project, run_id):
            show_map(self._session.viewer, project.image(event.image), event, name, values)

    def _due(self, project: Project, run_id: str) -> bool:
        """Not after the run has ended: its results are there then, or on their way."""
        living = run_id in self._follower.living
        return self._open and living and project is self._session.project


def read_preview(folder: Path, event: Previewed) -> dict[str, NDArray[Any]]:
    """The maps of a preview by name, each (h, w); empty when a later picture has taken its place.

    Nothing is unpickled: a picture can come from a stranger's project.
    """
    try:
        stored = bounded_npz.read(folder / "previews" / Path(event.path).name)
    except NoisySegError:
        return {}
    return {
        name: values.astype(np.float32 if name in MAPS else np.int32)
        for name, values in stored.items()
        if values.ndim == 2
    }


def show_map(
    viewer: Any, record: ImageRecord, event: Previewed, name: str, values: NDArray[Any]
) -> None:
    """Show one map as `NAME · probability`, `NAME · refined`, ..."""
    if name in MAPS:
        layer = layers.show_map(viewer, record, name, values)
    elif KINDS[name].form == "labels":
        layer = layers.find(viewer, record.name, name)
        if layer is None or not layers.repaint_changed(layer, values):
            layer = layers.show_labels(viewer, record, name, values)
    else:
        return
    _place(viewer, layer, record, event)


def _place(viewer: Any, layer: Any, record: ImageRecord, event: Previewed) -> None:
    where = layers.geometry(viewer, record, event.origin)
    scale = tuple(event.scale * s for s in where["scale"])
    if not np.allclose(layer.scale, scale):
        layer.scale = scale
    if not np.allclose(layer.translate, where["translate"]):
        layer.translate = where["translate"]
