"""The points of the active image: the napari layer, the project's nuclei, and acts on both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
from napari.layers import Points
from napari.layers.base import ActionType
from numpy.typing import NDArray
from psygnal import Signal

from napari_noisyseg.gui.canvas import layers, looks
from napari_noisyseg.gui.session import Session
from napari_noisyseg.gui.settings import setting
from napari_noisyseg.slides import Box
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import Aspect, ImageRecord, Nucleus

SHOWN = Aspect.POINTS | Aspect.CLASSES | Aspect.DECISIONS | Aspect.IMAGES
"""what changes the points that are shown"""
SIZE_UM = 2.4
"""diameter of a point on the canvas"""


class PointsTool:
    """Adds, moves, removes and shows the points of the active image; (y, x) in level-0 pixels."""

    changed = Signal(dict, dict)
    """points of the active image: serial to (y, x), before and after, where they differ"""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.nuclei: dict[int, Nucleus] = {}
        self.class_name: str | None = None
        self._image: str | None = None
        self._version = -1
        self._quiet = False
        session.image_changed.connect(self.refresh)
        session.annotation_changed.connect(self._on_annotation)
        self.refresh()

    # --- acts ----------------------------------------------------------------------------------

    def add(self, y: float, x: float) -> Nucleus | None:
        """Mark a nucleus; None (and a notice) when that was not possible."""
        with self.session.acting():
            record = self.session.require_image()
            if not _inside(record, y, x):
                return None
            self._catch_up(record)
            self.session.focus(y, x)
            project = self.session.require_project()
            nucleus = project.nuclei.add(record.name, y, x, self.class_name)
            self._note({}, {nucleus.serial: nucleus})
            self._showing(record, lambda layer: self._append(layer, nucleus))
            self._tell({}, {nucleus.serial: nucleus})
            return nucleus
        return None

    def move(self, serial: int, y: float, x: float) -> None:
        """Put a point elsewhere."""
        with self.session.acting():
            record, project = self.session.require_image(), self.session.require_project()
            before = self.nuclei[serial]
            if not _inside(record, y, x):
                self.refresh(force=True)
                return
            project.nuclei.move(before.id, y, x)
            after = project.nuclei.get(before.id)
            self._note({serial: before}, {serial: after})
            self._showing(record, lambda layer: self._put(layer, serial, (y, x)))
            self._tell({serial: before}, {serial: after})

    def remove(self, serials: Sequence[int]) -> None:
        """Take points away (undo brings them back)."""
        gone = {s: self.nuclei[s] for s in serials if s in self.nuclei}
        if not gone:
            return
        with self.session.acting():
            record, project = self.session.require_image(), self.session.require_project()
            project.nuclei.remove([n.id for n in gone.values()])
            self._note(gone, {})
            self._showing(record, lambda layer: self._drop(layer, set(gone)))
            self._tell(gone, {})

    def set_class(self, serials: Sequence[int], class_name: str | None) -> None:
        """Give points a class."""
        ids = [self.nuclei[s].id for s in serials if s in self.nuclei]
        if ids:
            with self.session.acting():
                self.session.require_project().nuclei.set_class(ids, class_name)
                self.refresh(force=True)

    def preview(self, serial: int, y: float, x: float) -> None:
        """Show a point elsewhere while it is dragged; nothing is kept."""
        record = self.session.record()
        if record is not None:
            self._showing(record, lambda layer: self._put(layer, serial, (y, x)))

    # --- asking --------------------------------------------------------------------------------

    def hit(self, y: float, x: float, radius: float) -> int | None:
        """Serial of the nearest point within `radius` pixels, or None."""
        if not self.nuclei:
            return None
        serials, places = self._arrays()
        squared = ((places - (y, x)) ** 2).sum(axis=1)
        nearest = int(squared.argmin())
        return int(serials[nearest]) if squared[nearest] <= radius**2 else None

    def count_in(self, box: Box) -> int:
        """How many points lie in a box."""
        y, x = np.floor(self._arrays()[1] + 0.5).T
        inside = (y >= box.y0) & (y < box.y1) & (x >= box.x0) & (x < box.x1)
        return int(inside.sum())

    def selected(self) -> list[int]:
        """Serials of the points that are selected on the canvas."""
        layer = self.layer()
        if layer is None:
            return []
        serials = layer.features["serial"].to_numpy()
        return [int(serials[i]) for i in sorted(layer.selected_data) if i < len(serials)]

    def select(self, serial: int) -> None:
        """Select a point on the canvas."""
        layer = self.layer()
        if layer is not None:
            rows = np.flatnonzero(layer.features["serial"].to_numpy() == serial)
            layer.selected_data = {int(row) for row in rows}

    def layer(self) -> Any | None:
        """The layer that shows the points, or None."""
        return layers.find(self.session.viewer, self._image, "points") if self._image else None

    # --- showing -------------------------------------------------------------------------------

    def refresh(self, force: bool = False) -> None:
        """Show what the project holds, where that is not shown yet."""
        session = self.session
        project, record = session.project, session.record()
        self._image = record.name if record is not None else None
        if project is None or record is None:
            before, self.nuclei, self._version = self.nuclei, {}, -1
        elif not force and self._version == self._latest() and self.layer() is not None:
            return
        else:
            self._version = self._latest()
            before = self.nuclei
            self.nuclei = {n.serial: n for n in project.nuclei.of(record.name)}
            self._check_class(project)
            self._showing(record, self._fill)
        self._tell(before, self.nuclei)

    def _check_class(self, project: Project) -> None:
        """A class that is gone (removed, or its birth undone) is not given to new points."""
        if self.class_name not in {c.name for c in project.nuclei.classes()}:
            self.class_name = None

    def _latest(self) -> int:
        project = self.session.require_project()
        return project.nuclei.version(self._image, SHOWN)

    def _catch_up(self, record: ImageRecord) -> None:
        """Know the points of an image that has only now become the active one."""
        if self._image != record.name:
            self.refresh()

    def _on_annotation(self, image: str) -> None:
        if image == self._image:
            self.refresh()

    def _note(self, before: dict[int, Nucleus], after: dict[int, Nucleus]) -> None:
        self._version = self._latest()
        for serial in before:
            self.nuclei.pop(serial, None)
        self.nuclei.update(after)

    def _tell(self, before: dict[int, Nucleus], after: dict[int, Nucleus]) -> None:
        old = {s: (n.y, n.x) for s, n in before.items()}
        new = {s: (n.y, n.x) for s, n in after.items()}
        shared = {s for s in old.keys() & new.keys() if old[s] == new[s]}
        if old.keys() - shared or new.keys() - shared:
            self.changed.emit(
                {s: p for s, p in old.items() if s not in shared},
                {s: p for s, p in new.items() if s not in shared},
            )

    def _showing(self, record: ImageRecord, change: Any) -> None:
        """Apply `change` to the layer (made if missing) without hearing of it again."""
        with self._quietly():
            layer = layers.find(self.session.viewer, record.name, "points")
            if layer is None:
                layer = self._make(record)
                change = self._fill
            change(layer)

    def _make(self, record: ImageRecord) -> Any:
        viewer = self.session.viewer
        layer = Points(
            np.empty((0, 2)),
            name=layers.name_of(record, "points"),
            features=_features([], []),
            feature_defaults={"serial": 0, "class": ""},
            size=setting("annotate", "point_size_um", SIZE_UM) / record.mpp,
            face_color=looks.POINT["points"],
            border_color=looks.POINT_EDGE,
            border_width=0.16,
            **layers.geometry(viewer, record),
        )
        layer.canvas_size_limits = (5, 12)
        layer.events.data.connect(self._on_data)
        layers.insert(viewer, layer, record, "points")
        return layer

    def _fill(self, layer: Any) -> None:
        serials, places = self._arrays()
        layer.selected_data = set()
        layer.data = places
        names = [self.nuclei[int(s)].class_name or "" for s in serials]
        layer.features = _features(serials, names)
        if names:  # a colour for no point would be kept, and shift those of all later points
            layer.face_color = self._colours(names)

    def _append(self, layer: Any, nucleus: Nucleus) -> None:
        # what is selected would take the colour meant for the new point
        layer.selected_data = set()
        layer.current_face_color = self._colours([nucleus.class_name or ""])[0]
        layer.add((nucleus.y, nucleus.x))
        layer.selected_data = set()
        last = len(layer.data) - 1
        layer.features.loc[last, "serial"] = nucleus.serial
        layer.features.loc[last, "class"] = nucleus.class_name or ""

    def _put(self, layer: Any, serial: int, place: tuple[float, float]) -> None:
        places = np.array(layer.data)
        places[layer.features["serial"].to_numpy() == serial] = place
        layer.data = places

    def _drop(self, layer: Any, serials: set[int]) -> None:
        rows = np.flatnonzero(np.isin(layer.features["serial"].to_numpy(), list(serials)))
        layer.remove([int(row) for row in rows])

    def _colours(self, names: Sequence[str]) -> list[str]:
        project = self.session.project
        known = {c.name: c.color for c in project.nuclei.classes()} if project else {}
        return [known.get(name, looks.POINT["points"]) for name in names]

    def _arrays(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        serials = np.fromiter(self.nuclei, int, len(self.nuclei))
        places = np.array([(n.y, n.x) for n in self.nuclei.values()], float).reshape(-1, 2)
        return serials, places

    @contextmanager
    def _quietly(self) -> Iterator[None]:
        before, self._quiet = self._quiet, True
        try:
            yield
        finally:
            self._quiet = before

    # --- what napari's own tools did -----------------------------------------------------------

    def _on_data(self, event: Any) -> None:
        """Napari's own add, move and delete: write them through, or take them back."""
        if self._quiet or event.action in (
            ActionType.ADDING,
            ActionType.CHANGING,
            ActionType.REMOVING,
        ):
            return
        layer = self.layer()
        if layer is None or event.source is not layer:
            return
        with self.session.acting():
            self._write_through(layer)
        self.refresh(force=True)

    def _write_through(self, layer: Any) -> None:
        with self.session.require_project().nuclei.together("edit points"):
            self._write_rows(layer)

    def _write_rows(self, layer: Any) -> None:
        nuclei = self.session.require_project().nuclei
        record = self.session.require_image()
        serials = layer.features["serial"].to_numpy().astype(int)
        places = np.asarray(layer.data, float)
        first = {int(s): i for i, s in reversed(list(enumerate(serials)))}
        gone = [n.id for s, n in self.nuclei.items() if s not in first]
        if gone:
            nuclei.remove(gone)
        for serial, nucleus in self.nuclei.items():
            row = first.get(serial)
            if row is not None and not np.allclose(places[row], (nucleus.y, nucleus.x)):
                nuclei.move(nucleus.id, float(places[row, 0]), float(places[row, 1]))
        new = [i for i, s in enumerate(serials) if int(s) not in self.nuclei or first[int(s)] != i]
        inside = [i for i in new if _inside(record, *places[i])]
        if inside:
            classes = [self.class_name] * len(inside)
            nuclei.add_many(record.name, places[inside], classes=classes)


def _features(serials: Any, names: Sequence[str]) -> pd.DataFrame:
    """What each point carries; the types hold for no point at all as well."""
    return pd.DataFrame(
        {"serial": pd.Series(serials, dtype=int), "class": pd.Series(list(names), dtype=object)}
    )


def _inside(record: ImageRecord, y: float, x: float) -> bool:
    return -0.5 <= y < record.height - 0.5 and -0.5 <= x < record.width - 0.5
