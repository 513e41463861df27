"""The points of the image in front: what the project holds, on the canvas, and acts on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from napari.layers import Points
from numpy.typing import NDArray
from psygnal import Signal

from napari_noisyseg.gui.canvas import layers, looks
from napari_noisyseg.gui.change import FRONT, Change, What
from napari_noisyseg.gui.session import Session
from napari_noisyseg.gui.settings import setting
from napari_noisyseg.gui.tools.hand import Place, Press
from napari_noisyseg.slides import Box
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import ImageRecord, Nucleus

SHOWN = What.POINTS | What.CLASSES | What.DECISIONS | What.IMAGES | FRONT
"""what changes the points that are shown"""
SIZE_UM = 1.5
"""diameter of a point's ring on the canvas"""
MANY = 500
"""touched points from which on all are read again"""
FEW = 8
"""changed points up to which they are changed one by one"""
Places = dict[int, Place]


class PointsTool:
    """Adds, moves, removes and shows the points of the image in front; (y, x) level-0 pixels.

    `nuclei` is what the project holds of it, by serial; `chosen` those that a person chose.
    """

    changed = Signal(dict, dict)
    """points of the image in front: serial to (y, x), before and after, where they differ"""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.nuclei: dict[int, Nucleus] = {}
        self.chosen: set[int] = set()
        self.class_name: str | None = None
        self._image: tuple[Project, str] | None = None
        self._version = 0
        session.on(SHOWN | What.VIEW, self._follow)
        self.refresh()

    # --- acts ----------------------------------------------------------------------------------

    def add(self, y: float, x: float) -> Nucleus | None:
        """Mark a nucleus; None (and a notice) when that was not possible."""
        with self.session.acting():
            record = self.session.require_image()
            if not _inside(record, y, x):
                return None
            self.session.front.focus = (y, x)
            project = self.session.require_project()
            return project.nuclei.add(record.name, y, x, self.class_name)
        return None

    def move(self, serial: int, y: float, x: float) -> None:
        """Put a point elsewhere; off the image it goes back to where it was."""
        record = self.session.require_image()
        if not _inside(record, y, x):
            self._show(record, fill=True)
            return
        with self.session.acting():
            self.session.require_project().nuclei.move(self.nuclei[serial].id, y, x)

    def remove(self, serials: Sequence[int]) -> None:
        """Take points away (undo brings them back)."""
        ids = [self.nuclei[s].id for s in serials if s in self.nuclei]
        if ids:
            with self.session.acting():
                self.session.require_project().nuclei.remove(ids)

    def set_class(self, serials: Sequence[int], class_name: str | None) -> None:
        """Give points a class."""
        ids = [self.nuclei[s].id for s in serials if s in self.nuclei]
        if ids:
            with self.session.acting():
                self.session.require_project().nuclei.set_class(ids, class_name)

    def select(self, serial: int | None) -> None:
        """Choose a point, or none."""
        self.chosen = {serial} & self.nuclei.keys() if serial is not None else set()
        layer = self.layer()
        if layer is not None:
            self._dress(layer)

    # --- the mouse -----------------------------------------------------------------------------

    def press(self, press: Press) -> _PointDrag | None:
        """A click marks, a drag moves, a right click removes; elsewhere a drag pans."""
        hit = None if press.covered else self.hit(*press.place, press.reach)
        return _PointDrag(self, press, hit)

    def cursor(self) -> tuple[str, float]:
        """See `Tool`."""
        return "crosshair", 1.0

    def preview(self, serial: int, place: Place) -> None:
        """Show a point elsewhere while it is dragged; nothing is kept."""
        layer = self.layer()
        if layer is not None:
            self._put(layer, {serial: place})

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

    def undecided(self) -> bool:
        """Whether a point stands for itself: nobody has judged its nucleus yet."""
        return any(n.state in ("unreviewed", "unsure") for n in self.nuclei.values())

    def layer(self) -> Any | None:
        """The layer that shows the points, or None."""
        image = self.session.image
        return layers.find(self.session.viewer, image, "points") if image else None

    # --- showing -------------------------------------------------------------------------------

    def _follow(self, change: Change) -> None:
        touched = bool(change.what & SHOWN) and change.concerns(self.session.image)
        missing = bool(self.nuclei) and self.layer() is None
        if touched or (missing and self.session.view.shows("points")):
            self.refresh()
        layer = self.layer()
        if touched and change.what & What.CLASSES and layer is not None:
            self._dress(layer)

    def refresh(self) -> None:
        """Know and show what the project holds of the image in front."""
        project, record = self.session.project, self.session.record()
        image = (project, record.name) if project is not None and record is not None else None
        before, same = self.nuclei, image == self._image
        self._image = image
        if project is None or record is None:
            self.nuclei = {}
        else:
            since, self._version = self._version, project.nuclei.version()
            self.nuclei = self._read(project, record.name, since if same else None)
            self._check_class(project)
        self.chosen &= self.nuclei.keys()
        if record is not None:
            self._show(record, fill=not same, before=before)
        self._tell(before if same else {}, self.nuclei, anew=not same)

    def _read(self, project: Project, image: str, since: int | None) -> dict[int, Nucleus]:
        """What the project holds; of a known image only what was touched after `since` is read."""
        touched = project.nuclei.touched(since).get(image, set()) if since is not None else set()
        if since is None or len(touched) > MANY:
            return {n.serial: n for n in project.nuclei.of(image)}
        kept = {s: n for s, n in self.nuclei.items() if n.id not in touched}
        found = project.nuclei.of(image, ids=touched) if touched else []
        return dict(sorted({**kept, **{n.serial: n for n in found}}.items()))

    def _check_class(self, project: Project) -> None:
        """A class that is gone (removed, or its birth undone) is not given to new points."""
        if self.class_name not in {c.name for c in project.nuclei.classes()}:
            self.class_name = None

    def _tell(self, before: dict[int, Nucleus], after: dict[int, Nucleus], anew: bool) -> None:
        old, new = _places(before), _places(after)
        gone = {s: p for s, p in old.items() if new.get(s) != p}
        come = {s: p for s, p in new.items() if old.get(s) != p}
        if gone or come or anew:
            self.changed.emit(gone, come)

    def _show(
        self, record: ImageRecord, fill: bool, before: dict[int, Nucleus] | None = None
    ) -> None:
        """Bring the layer to `nuclei`: as a whole, or just where it differs from `before`."""
        layer = self.layer()
        if layer is None:
            if self.nuclei:
                self._fill(self._make(record))
            return
        before = before or {}
        gone = before.keys() - self.nuclei.keys()
        come = [s for s in self.nuclei if s not in before]
        # a decision changes neither: the points need not be drawn again, seen or unseen
        both = [(s, n, before[s]) for s, n in self.nuclei.items() if before.get(s, n) is not n]
        moved = [s for s, n, old in both if (n.y, n.x) != (old.y, old.x)]
        named = [s for s, n, old in both if n.class_name != old.class_name]
        if fill or len(layer.data) != len(before) or len(gone) + len(come) + len(moved) > FEW:
            self._fill(layer)
            return
        if gone:
            rows = np.flatnonzero(np.isin(_serials(layer), list(gone)))
            layer.remove([int(row) for row in rows])
        if moved:
            self._put(layer, {s: (self.nuclei[s].y, self.nuclei[s].x) for s in moved})
        for serial in come:
            self._append(layer, self.nuclei[serial])
        if moved or named:
            self._dress(layer)

    def _make(self, record: ImageRecord) -> Any:
        viewer = self.session.viewer
        layer = Points(
            np.empty((0, 2)),
            name=layers.name_of(record, "points"),
            features=_features([], []),
            feature_defaults={"serial": 0, "class": ""},
            size=setting("annotate", "point_size_um", SIZE_UM) / record.mpp,
            face_color=looks.CLEAR,
            border_color=looks.POINT["points"],
            border_width=looks.RING,
            **layers.geometry(viewer, record),
        )
        layer.canvas_size_limits = (6, 9)
        layer.editable = False
        return layers.insert(viewer, layer, record, "points")

    def _fill(self, layer: Any) -> None:
        serials, places = self._arrays()
        layer.selected_data = set()
        layer.data = places
        layer.features = _features(serials, [n.class_name or "" for n in self.nuclei.values()])
        self._dress(layer)

    def _append(self, layer: Any, nucleus: Nucleus) -> None:
        # what is selected would take the colour meant for the new point
        layer.selected_data = set()
        layer.current_border_color = self._colours([nucleus.class_name or ""])[0]
        layer.current_face_color = looks.CLEAR
        layer.add((nucleus.y, nucleus.x))
        layer.selected_data = set()
        last = len(layer.data) - 1
        layer.features.loc[last, "serial"] = nucleus.serial
        layer.features.loc[last, "class"] = nucleus.class_name or ""

    def _put(self, layer: Any, moved: Places) -> None:
        places, serials = np.array(layer.data), _serials(layer)
        for serial, place in moved.items():
            places[serials == serial] = place
        layer.data = places

    def _dress(self, layer: Any) -> None:
        """Rings in their classes' colours; those that are chosen stand out."""
        serials = _serials(layer)
        if not len(serials):  # a colour for no point would be kept, and shift those of later ones
            return
        layers.catch_up(layer)
        names = [self.nuclei[int(s)].class_name or "" for s in serials]
        layer.features["class"] = pd.Series(names, dtype=object)
        layer.face_color = [looks.CHOSEN if int(s) in self.chosen else looks.CLEAR for s in serials]
        layer.border_color = self._colours(names)

    def _colours(self, names: Sequence[str]) -> list[str]:
        project = self.session.project
        known = {c.name: c.color for c in project.nuclei.classes()} if project else {}
        return [known.get(name, looks.POINT["points"]) for name in names]

    def _arrays(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        serials = np.fromiter(self.nuclei, int, len(self.nuclei))
        places = np.array([(n.y, n.x) for n in self.nuclei.values()], float).reshape(-1, 2)
        return serials, places


class _PointDrag:
    """One press with the points tool; `hit` is the point that it was on."""

    def __init__(self, tool: PointsTool, press: Press, hit: int | None) -> None:
        self._tool, self._press, self._hit = tool, press, hit
        self.holds = hit is not None and not press.right

    def move(self, place: Place) -> None:
        if self._hit is not None:
            self._tool.preview(self._hit, place)

    def end(self, place: Place, moved: bool) -> None:
        tool, hit, right = self._tool, self._hit, self._press.right
        if moved:
            if hit is not None and not right:
                tool.move(hit, *place)
        elif hit is not None and right:
            tool.remove([hit])
        elif hit is not None:
            tool.select(hit)
        elif not right:
            tool.select(None)
            tool.add(*tool.session.front.at(self._press.position))


def _places(nuclei: dict[int, Nucleus]) -> Places:
    return {serial: (n.y, n.x) for serial, n in nuclei.items()}


def _serials(layer: Any) -> NDArray[np.int64]:
    found: NDArray[np.int64] = layer.features["serial"].to_numpy(int)
    return found


def _features(serials: Any, names: Sequence[str]) -> pd.DataFrame:
    """What each point carries; the types hold for no point at all as well."""
    return pd.DataFrame(
        {"serial": pd.Series(serials, dtype=int), "class": pd.Series(list(names), dtype=object)}
    )


def _inside(record: ImageRecord, y: float, x: float) -> bool:
    return -0.5 <= y < record.height - 0.5 and -0.5 <= x < record.width - 0.5
