"""A run's picture of its present state as layers over the field that it learns from."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QTimer

from napari_noisyseg.events import Previewed
from napari_noisyseg.gui.canvas import layers
from napari_noisyseg.gui.canvas.closeup import COARSE, Hiding
from napari_noisyseg.gui.controllers.adoption import LABELS, Adoption
from napari_noisyseg.gui.controllers.follow import Follower
from napari_noisyseg.gui.jobs import Jobs
from napari_noisyseg.gui.session import Session
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import ImageRecord

BETWEEN_MS = 150
"""between two layers of a preview"""
MAPS = ("probability", "uncertainty", "weights", "weights_pseudo")


class LivePreview:
    """Pictures of a run that goes on, while the Train step is open; coarse overlays make room.

    A picture is read out of the way and shown a layer at a time, so that no turn of the window
    takes long. Elsewhere people work on what is stored: closing brings that back.
    """

    def __init__(
        self, session: Session, jobs: Jobs, adoption: Adoption, follower: Follower
    ) -> None:
        self._session, self._jobs, self._adoption = session, jobs, adoption
        self._follower = follower
        self._clearing = Hiding(session.viewer, COARSE)
        self._shown: set[str] = set()
        self._open = False

    def open(self, clear: bool) -> None:
        """The step was opened; `clear`: there is a run whose outlines want bare tissue."""
        self._open = True
        if clear:
            self._clearing.hide()

    def close(self) -> None:
        """The step was closed: what is stored comes back."""
        self._open = False
        self._clearing.back()
        for image in self._shown:
            self._adoption.show(image)
        self._shown.clear()

    def show(self, run_id: str, events: Iterable[Previewed]) -> None:
        """Read these pictures and show them."""
        project = self._session.project
        if project is None or not self._open:
            return
        visible = layers.shown(self._session.viewer)
        for event in (event for event in events if event.image in visible):
            read = partial(read_preview, project.runs.get(run_id).dir, event)
            done = partial(self._read, project, run_id, event)
            self._jobs.do(read, done, self._adoption.failed)

    def _read(
        self, project: Project, run_id: str, event: Previewed, maps: dict[str, NDArray[Any]]
    ) -> None:
        if not maps or not self._due(project, run_id):
            return
        self._clearing.hide()
        self._shown.add(event.image)
        for turn, (name, values) in enumerate(maps.items()):
            act = partial(self._show, project, run_id, event, name, values)
            QTimer.singleShot(BETWEEN_MS * turn, act)

    def _show(
        self, project: Project, run_id: str, event: Previewed, name: str, values: NDArray[Any]
    ) -> None:
        if self._due(project, run_id):
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
        with np.load(folder / event.path, allow_pickle=False) as stored:
            return {
                name: stored[name].astype(np.float32 if name in MAPS else np.int32)
                for name in stored.files
            }
    except (OSError, ValueError, KeyError, BadZipFile):
        return {}


def show_map(
    viewer: Any, record: ImageRecord, event: Previewed, name: str, values: NDArray[Any]
) -> None:
    """Show one map as `NAME · probability`, `NAME · refined`, ...

    A layer that a person has hidden stays hidden and is left as it is.
    """
    found = layers.find(viewer, record.name, name)
    if found is not None and not found.visible:
        return
    if name in MAPS:
        layer = layers.show_map(viewer, record, name, values)
    elif name in LABELS:
        layer = found
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
