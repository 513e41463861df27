"""Coarse labels under the pen: each click changes just the pixels that it changes."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.coarse import CoarseLabels, chosen_in
from napari_noisyseg.coarse.project import look_of
from napari_noisyseg.gui.canvas import drawing, layers, looks
from napari_noisyseg.gui.change import FRONT, Change, What
from napari_noisyseg.gui.kinds import COARSE
from napari_noisyseg.gui.session import Session
from napari_noisyseg.gui.tools.points import PointsTool
from napari_noisyseg.slides import Box
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import ImageRecord

UNKNOWN = 2
"""value of a pixel that the points say nothing of"""
ENOUGH = 100
"""points from which on a person is asked before the cluster label is fitted again"""
MANY = 4
"""points that may change at once; with more, labels are made again, out of the way"""
Points = dict[int, tuple[float, float]]


class Key(NamedTuple):
    """What labels are of; with any of these another they are to be made again."""

    project: Project
    image: str
    box: Box
    mpp: float


class LiveLabels:
    """Coarse labels of the region at hand: a small image as a whole, a field of a large one."""

    def __init__(self, session: Session, points: PointsTool) -> None:
        self.session, self.points = session, points
        self.labels: CoarseLabels | None = None
        self.box: Box | None = None
        self.kinds: tuple[str, ...] = ("outline",)
        self.contour = True
        self._of: Key | None = None
        self._building: Key | None = None
        self._asked_anew: bool | None = None
        self._made: frozenset[str] = frozenset()
        self._held: Points = {}
        self._given: Points = {}
        self._fields: tuple[Box, ...] = ()
        self._tried: tuple[Key | None, int, tuple[Box, ...]] | None = None
        self._waiting: list[tuple[Points, Points]] = []
        self._doubted: set[tuple[Path, str]] = set()
        points.changed.connect(self._on_points)
        session.on(What.FIELDS | What.IMAGES | FRONT, self._on_fields)
        session.on(What.VIEW, self._on_view)
        session.on(What.LEARNED, lambda _: self.refresh(again=True))

    @property
    def busy(self) -> bool:
        """Whether labels are being made just now."""
        return self._building is not None

    def _refit_early(self) -> None:
        """While there are few points each fifth of them counts: fit again unasked.

        Once for the points and fields of now: outside complete fields there is nothing to fit to.
        """
        now = (self._of, len(self._held), self._fields)
        if self.stale and not self.busy and len(self._held) < ENOUGH and now != self._tried:
            self._tried = now
            self.refresh(anew=True)

    @property
    def stale(self) -> bool:
        """Whether the cluster fit is out of date by a fifth of the points."""
        return self.labels is not None and "cluster" in self.kinds and self.labels.stale

    # --- building ------------------------------------------------------------------------------

    def refresh(self, anew: bool = False, again: bool = False) -> None:
        """Make labels of the region at hand where there are none yet.

        `again` makes them in any case, `anew` with another fit; what is asked for while labels
        are being made is done once they are there.
        """
        project, record, box = self.session.project, self.session.record(), self.session.region()
        if project is None or record is None or box is None:
            self.labels, self._of = None, None
            return
        key = Key(project, record.name, box, record.mpp)
        if self._building == key:
            if anew or again:
                self._asked_anew = bool(self._asked_anew) or anew
            return
        if self._of == key and not (anew or again):
            return
        held, known = self._points_in(box), project.nuclei.known(record.name, box)
        if not held:
            self.labels, self._of = None, None
            self._blank(record)
            return
        stored = project.labels.fit(record.name)
        # the labels that are there go on following, from what they hold
        self._building, self._given = key, dict(held)
        self._make(key, held, known, chosen_in(stored) if anew else stored)

    def _make(self, key: Key, held: Points, known: NDArray[np.bool_], fit: Any) -> None:
        """Make labels of a region, of the kinds wanted now, out of the way."""
        project, image, box, mpp = key
        slide, kinds = project.pixels(image), self.kinds

        def work() -> CoarseLabels:
            with slide:
                rgb = slide.read(box)
            labels = CoarseLabels(
                rgb,
                held,
                known,
                mpp,
                fit=fit,
                kinds=COARSE,
                look=look_of(project),
                lazy=True,
            )
            for kind in kinds:
                shown_of(labels, kind)
            return labels

        self.session.submit(
            work, lambda made: self._built(key, kinds, made), partial(self._failed, key)
        )

    def _failed(self, key: Key, error: BaseException) -> None:
        if self._building == key:
            self._building = None
        self.session.failed(error)

    def _built(self, key: Key, kinds: tuple[str, ...], labels: CoarseLabels) -> None:
        if self._building != key:
            return None
        self._building = None
        asked, self._asked_anew = self._asked_anew, None
        if asked is not None:
            return self.refresh(anew=asked, again=True)
        record, project = self.session.record(), self.session.project
        if project is None or record is None or key != self._key():
            return self.refresh()
        if len(_differing(self._given, self._points_in(key.box))) > MANY:
            return self.refresh(again=True)
        self.labels, self._of, self.box = labels, key, key.box
        self._made, self._held = frozenset(kinds), self._given
        self._follow_clicks()
        if "cluster" in kinds and project.writable and labels.fit:
            with self.session.guard():
                project.labels.set_fit(record.name, labels.fit)
        self.show(record)
        self.session.later(self._let_neighbours_see)
        self._say_doubt(project, record.name)
        self.session.tell(What.LABELS, record.name)
        self._on_view(Change(What.VIEW))  # what came to be wanted while these were made
        self._refit_early()
        return None

    def _say_doubt(self, project: Project, image: str) -> None:
        """Once an image: why its outlines are not what they are elsewhere."""
        doubt = self.labels.doubt if self.labels is not None and "outline" in self._made else ""
        if doubt and (project.path, image) not in self._doubted:
            self._doubted.add((project.path, image))
            self.session.say(f"“{image}”: {doubt}")

    def _follow_clicks(self) -> None:
        """Apply what was clicked while the labels were made."""
        assert self.labels is not None
        assert self.box is not None
        now = self._points_in(self.box)
        for serial in self._held.keys() - now.keys():
            self.labels.remove(serial)
        for serial, place in now.items():
            if serial not in self._held:
                self.labels.add(serial, *place)
            elif place != self._held[serial]:
                self.labels.move(serial, *place)
        self._held = now
        self._set_known()

    def refit(self) -> None:
        """Fit the cluster label to the points of now."""
        self.refresh(anew=True)

    # --- showing -------------------------------------------------------------------------------

    def parameters(self) -> dict[str, float]:
        """What a person set for the cluster label of this image: `coarse.labels.CHOSEN`."""
        project, record = self.session.project, self.session.record()
        return chosen_in(project.labels.fit(record.name)) if project and record else {}

    def measured_radius_um(self) -> float | None:
        """Radius of a nucleus in µm that the cluster label rests on; None before it was made."""
        project, record = self.session.project, self.session.record()
        fit = project.labels.fit(record.name) if project and record else None
        return float(fit["radius"]) * record.mpp if fit and record and "radius" in fit else None

    def set_parameter(self, name: str, value: float | None) -> None:
        """Set one (None: as it was measured); kept with the image, and seen at once."""
        record = self.session.require_image()
        project, chosen = self.session.require_project(), self.parameters()
        wanted = {key: v for key, v in {**chosen, name: value}.items() if v is not None}
        if wanted == chosen:
            return
        project.labels.set_fit(record.name, wanted)
        self.kinds = tuple(dict.fromkeys((*self.kinds, "cluster")))
        self.session.toggle("cluster", True)
        self.refresh(anew=True)
        self.session.tell(What.LABELS, record.name)

    def show(self, record: ImageRecord) -> None:
        """Show the labels that are made, of the kinds that are wanted; hidden ones follow too."""
        if self.labels is None:
            return
        viewer, view = self.session.viewer, self.session.view
        for kind in self.kinds:
            there = layers.find(viewer, record.name, kind) is not None
            if kind in self._made and (there or view.shows(kind)):
                # a copy, as the layer may be painted on and these arrays are read-only
                array = shown_of(self.labels, kind).copy()
                layers.show_labels(viewer, record, kind, array, self.box)
        if not self.contour:
            self.draw(contour=False)

    def want(self, kind: str, shown: bool) -> None:
        """Show or hide one kind; it is computed, out of the way, when first wanted."""
        self.session.toggle(kind, shown)

    def _on_view(self, change: Change) -> None:
        """Make what is wanted now and was not made, or was taken from the viewer."""
        record, view = self.session.record(), self.session.view
        wanted = [kind for kind in COARSE if view.shows(kind)]
        self.kinds = tuple(dict.fromkeys((*self.kinds, *wanted)))
        if record is None or self.labels is None:
            return
        missing = [k for k in wanted if layers.find(self.session.viewer, record.name, k) is None]
        if any(kind not in self._made for kind in missing):
            self.refresh(again=True)
        elif missing:
            self.show(record)

    def draw(self, contour: bool) -> None:
        """Draw nuclei as thin contours, or filled."""
        self.contour = contour
        image = self.session.image
        for kind in COARSE:
            layer = layers.find(self.session.viewer, image, kind) if image else None
            if layer is not None:
                for name, value in looks.drawn(kind, contour).items():
                    setattr(layer, name, value)

    def is_shown(self, kind: str) -> bool:
        """Whether a kind is to be seen on the canvas."""
        return self.session.view.shows(kind)

    # --- following -----------------------------------------------------------------------------

    def _on_points(self, before: Points, after: Points) -> None:
        first = not self._waiting
        self._waiting.append((before, after))
        if first:
            self.session.later(self._follow)

    def _follow(self) -> None:
        """Bring the labels to what was clicked, once the click itself is shown."""
        waiting, self._waiting = self._waiting, []
        record = self.session.record()
        if sum(len({**before, **after}) for before, after in waiting) > MANY:
            self._of = None
        if self.labels is None or record is None or self._of != self._key():
            with self.session.guard():
                self.refresh()
            return
        changed = [
            self._apply(serial, before, after)
            for before, after in waiting
            for serial in {**before, **after}
        ]
        box = Box.around(changed)
        if not box.empty:
            self._redraw(record.name, box, self.kinds)
            self.session.later(self._let_neighbours_see)
        self._refit_early()

    def _let_neighbours_see(self) -> None:
        """A click's own outline was shown first; now those round it give way to it."""
        labels, of = self.labels, self._of
        if labels is None or of is None or of.project is not self.session.project:
            return
        with self.session.guard():
            box = labels.catch_up()
            if not box.empty:
                self._redraw(of.image, box, ("outline",))

    def _apply(self, serial: int, before: Points, after: Points) -> Box:
        assert self.labels is not None
        assert self.box is not None
        origin = (self.box.y0, self.box.x0)
        if serial not in after:
            found = serial in self._held
            self._held.pop(serial, None)
            return self.labels.remove(serial) if found else Box(0, 0, 0, 0)
        place = (after[serial][0] - origin[0], after[serial][1] - origin[1])
        known = serial in self._held
        self._held[serial] = place
        if known:
            return self.labels.move(serial, *place)
        return self.labels.add(serial, *place)

    def _redraw(self, image: str, box: Box, kinds: Iterable[str]) -> None:
        for kind in kinds:
            layer = layers.find(self.session.viewer, image, kind)
            if layer is None or self.labels is None:
                continue
            array = shown_of(self.labels, kind)
            if layer.data.shape != array.shape:
                layer.data = array.copy()
                continue
            layer.data[box.slices] = array[box.slices]
            layers.refresh_box(layer, box)

    def _on_fields(self, change: Change) -> None:
        record = self.session.record()
        if record is None or not change.concerns(record.name):
            return
        if self.labels is None or self._of != self._key():
            self.refresh()
        elif self._set_known():
            self._redraw(record.name, Box(0, 0, *self.labels.shape), self.kinds)
            self._refit_early()

    def _key(self) -> Key | None:
        """What the labels at hand should be of."""
        project, record, box = self.session.project, self.session.record(), self.session.region()
        return Key(project, record.name, box, record.mpp) if project and record and box else None

    def _blank(self, record: ImageRecord) -> None:
        """Where there is no point there is no label."""
        for kind in COARSE:
            layer = layers.find(self.session.viewer, record.name, kind)
            if layer is not None:
                layer.data = np.full_like(layer.data, UNKNOWN if kind in looks.STATES else 0)
                drawing.draw(layer, kind)

    def _set_known(self) -> bool:
        """Follow the fields; whether they changed."""
        project, record = self.session.project, self.session.record()
        if project is None or record is None or self.labels is None:
            return False
        fields = tuple(f.box for f in project.nuclei.fields(record.name) if f.complete)
        if fields == self._fields:
            return False
        self._fields = fields
        self.labels.set_known(project.nuclei.known(record.name, self.box))
        return True

    def _points_in(self, box: Box) -> Points:
        """The points of the region and around it, relative to the box."""
        return {
            serial: (n.y - box.y0, n.x - box.x0)
            for serial, n in self.points.nuclei.items()
            if box.contains(n.y, n.x)
        }


def shown_of(labels: CoarseLabels, kind: str) -> NDArray[Any]:
    """What the canvas shows of a kind; nuclei each by itself, in a field or not."""
    name = {"outline": "outlines", "local": "instances"}.get(kind, kind)
    found: NDArray[Any] = getattr(labels, name)
    return found


def _differing(a: Points, b: Points) -> set[int]:
    """Points that are in one alone, or elsewhere."""
    return {serial for serial in {*a, *b} if a.get(serial) != b.get(serial)}
