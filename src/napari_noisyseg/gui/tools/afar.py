"""Nuclei seen from afar: dots or densities in place of outlines that nobody could read.

Whether, is told by the zoom; what is drawn is worked out of the way from the nuclei's places, for
what is seen and a little round it. Until it is there everything stays as it was.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.gui.canvas import dots, layers
from napari_noisyseg.gui.canvas.closeup import visible_box
from napari_noisyseg.gui.canvas.outlines import show_lines
from napari_noisyseg.gui.change import ANNOTATION, FRONT, Change, What
from napari_noisyseg.gui.kinds import AFAR
from napari_noisyseg.gui.session import Session
from napari_noisyseg.gui.tools import crowd
from napari_noisyseg.gui.tools.points import PointsTool
from napari_noisyseg.gui.tools.reading import LARGEST
from napari_noisyseg.gui.tools.results import Results
from napari_noisyseg.gui.tools.spotting import Spotting
from napari_noisyseg.gui.view import NEAR
from napari_noisyseg.slides import Box
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import STATES, ImageRecord, Nucleus
from napari_noisyseg.store.spots import Spots

FEW = 200
"""points that can be told from each other as rings, however they lie"""
ROUND = 4
"""a view's side to the border that is drawn round it, so that a short way needs nothing new"""
LINES = {"refined": "refined", "outline": "points", "local": "points"}
"""layers with outlines as lines, and whose nuclei they are"""
NEWS = What.CANDIDATES | What.OUTLINES | What.DECISIONS | What.POINTS | What.CLASSES
OF_STATE = np.array([dots.LOOKS.index("untouched" if s == "unreviewed" else s) for s in STATES])


@dataclass(frozen=True, eq=False)
class Asked:
    """What is to be drawn: which kinds, in which box, at how many level-0 pixels to the screen's.

    What it is made of is the same as long as `spots` and `points` are the same things. `clicked`:
    the points' places (n, 2), None where they are to be read.
    """

    project: Project
    record: ImageRecord
    kinds: tuple[str, ...]
    box: Box
    pixel: float
    spots: Spots | None
    points: Mapping[int, Nucleus]
    clicked: NDArray[np.float32] | None = None

    def serves(self, other: Asked) -> bool:
        """Whether what was drawn for this does for another, which may look at less."""
        same = self.project is other.project and self.record == other.record
        same = same and self.spots is other.spots and self.points is other.points
        near = round(2 * math.log2(self.pixel)) == round(2 * math.log2(other.pixel))
        holds = self.box.intersect(other.box) == other.box
        return same and near and holds and self.kinds == other.kinds


class Picture(NamedTuple):
    """How each kind is drawn, what is drawn, and the density of the last colour, per mm²."""

    forms: dict[str, crowd.Form]
    marks: dots.Marks
    shaded: dots.Shaded | None
    top: float
    clicked: NDArray[np.float32] | None


class Afar:
    """Follows the view; `top` is the density per mm² that has the last colour."""

    def __init__(
        self, session: Session, points: PointsTool, results: Results, spotting: Spotting
    ) -> None:
        self.session, self.top = session, 0.0
        self._points, self._results, self._spotting = points, results, spotting
        self._drawn: Asked | None = None
        self._busy = False
        camera = session.viewer.scene.camera
        camera.events.zoom.connect(self._on_camera)
        camera.events.center.connect(self._on_camera)
        spotting.changed.connect(self._on_camera)
        session.on(ANNOTATION | FRONT | What.VIEW | What.LABELS, self._follow)

    # --- when ----------------------------------------------------------------------------------

    def _on_camera(self, event: Any = None) -> None:
        with self.session.guard():
            self._look()

    def _follow(self, change: Change) -> None:
        self._look(news=bool(change.what & NEWS) and change.concerns(self.session.image))
        # a layer may have come since, and another way of colouring
        self._dress()

    def _small(self) -> tuple[str, ...]:
        """Kinds whose nuclei are too small on the screen for outlines, of those to be seen."""
        session, record = self.session, self.session.record()
        if record is None or crowd.legible(float(session.viewer.scene.camera.zoom)):
            return ()
        view = replace(session.view, bare=False)  # for a moment hidden is not gone
        found = view.found and not self._results.held and view.shows("refined")
        clicked = len(self._points.nuclei) > FEW and view.shows("points")
        return ("refined",) * found + ("points",) * clicked

    def _look(self, news: bool = False) -> None:
        """Bring what is drawn to the view of now; with news what runs found is asked for again."""
        kinds = self._small()
        if not kinds:
            self._come_near()
            return
        if "refined" in kinds and (news or self._drawn is None):
            self._spotting.want()
        if self._busy:
            return
        asked = self._asked(kinds)
        if asked.box.empty or ("refined" in kinds and asked.spots is None):
            return
        if self._drawn is None or not self._drawn.serves(asked):
            self._draw(asked)

    def _asked(self, kinds: tuple[str, ...]) -> Asked:
        session = self.session
        project, record = session.require_project(), session.require_image()
        spots = self._spotting.spots if "refined" in kinds else None
        pixel = 1 / (float(session.viewer.scene.camera.zoom) * record.mpp)
        seen = visible_box(session.viewer, record)
        points, drawn = self._points.nuclei, self._drawn
        clicked = drawn.clicked if drawn is not None and drawn.points is points else None
        return Asked(project, record, kinds, seen, pixel, spots, points, clicked)

    def _draw(self, asked: Asked) -> None:
        seen = asked.box
        wide = seen.grow(max(seen.shape) // ROUND).clip((asked.record.height, asked.record.width))
        asked = replace(asked, box=wide)
        self._busy = True
        self.session.later(partial(self._prepare, asked.record))
        done, failed = partial(self._arrived, asked), partial(self._failed, asked)
        self.session.submit(partial(picture, asked), done, failed)

    def _prepare(self, record: ImageRecord, carried: bool = False) -> None:
        """Make the first dots' layer, then what they are drawn on: each takes half of a moment.

        While they are worked out there is time for it; nothing is seen of it yet.
        """
        session = self.session
        if record != session.record() or (session.image_layer() is None):
            return
        found = layers.find(session.viewer, record.name, AFAR)
        with session.guard():
            if found is None:
                with session.together():
                    dots.layer_for(session.viewer, record)
                session.later(partial(self._prepare, record, carried=True))
            elif carried:
                dots.dots_of(found)

    def _failed(self, asked: Asked, error: BaseException) -> None:
        # said once, and not with every move of the view: tried again when something is another
        self._busy, self._drawn = False, asked
        self.session.failed(error)

    # --- showing -------------------------------------------------------------------------------

    def _arrived(self, asked: Asked, made: Picture) -> None:
        """What was worked out is there; where something else is wanted by now it is dropped."""
        session, self._busy = self.session, False
        here = asked.project is session.project and asked.record == session.record()
        if here and self._small() == asked.kinds:
            self._show(asked, made)
        self._look()

    def _show(self, asked: Asked, made: Picture) -> None:
        session, record = self.session, asked.record
        self._drawn, self.top = replace(asked, clicked=made.clicked), made.top
        large = record.height * record.width > LARGEST  # its outlines are pixels of a pyramid
        replaced = {k for k in asked.kinds if k == "points" or large}
        with session.together():
            layer = dots.layer_for(session.viewer, record)
            colors = [one.color for one in asked.project.nuclei.classes()]
            dots.dots_of(layer).show(made.marks, made.shaded, colors)
            session.look(afar=MappingProxyType(made.forms), replaced=frozenset(replaced))
        self._dress()

    def _come_near(self) -> None:
        """Outlines and rings are seen again."""
        self._drawn = None
        if self.session.view.afar:
            with self.session.together():
                self.session.look(afar=NEAR, replaced=frozenset())
            self._dress()

    def _dress(self) -> None:
        """Lines are seen where nothing stands for them; dots have the colours of the view."""
        session, image = self.session, self.session.image
        if image is None:
            return
        for kind, nuclei in LINES.items():
            layer = layers.find(session.viewer, image, kind)
            if layer is not None:
                show_lines(layer, nuclei not in session.view.afar)
        layer = layers.find(session.viewer, image, AFAR)
        if layer is not None and dots.dots_of(layer).by_group != session.view.by_class:
            dots.dots_of(layer).by_group = session.view.by_class


def picture(asked: Asked) -> Picture:
    """Work out what is to be drawn; to be called out of the way."""
    forms, marks, shaded, top = dict[str, crowd.Form](), dots.Marks.none(), None, 0.0
    if "points" in asked.kinds and asked.clicked is None:
        places = asked.project.nuclei.marks(asked.record.name)[1]
        asked = replace(asked, clicked=places.astype(np.float32))
    for kind in asked.kinds:
        found = _marks(asked, kind)
        near = crowd.inside(found.places, asked.box)
        forms[kind] = crowd.form_of(found.places[near], asked.pixel)
        if forms[kind] == "dots":
            # clicks below: what was said of the nucleus that a run found there is seen
            marks = found.chosen(near).beside(marks)
        elif shaded is None:
            there = found.places[found.looks != dots.LOOKS.index("rejected")]
            shaded, top = _shaded(there, asked)
    return Picture(forms, marks, shaded, top, asked.clicked)


def _marks(asked: Asked, kind: str) -> dots.Marks:
    """All nuclei of a kind in the image."""
    if kind == "refined":
        assert asked.spots is not None
        spots = asked.spots
        return dots.Marks(spots.places, OF_STATE[spots.states].astype(np.uint8), spots.classes)
    assert asked.clicked is not None
    looks = np.full(len(asked.clicked), dots.LOOKS.index("points"), np.uint8)
    return dots.Marks(asked.clicked, looks, np.zeros(len(looks), np.uint16))


def _shaded(places: NDArray[np.float32], asked: Asked) -> tuple[dots.Shaded, float]:
    """The colours of how densely nuclei lie, and the density of the last one."""
    step, mpp = crowd.cell_of(asked.pixel), asked.record.mpp
    found, top = crowd.density(places, asked.box, step, mpp), crowd.highest(places, step, mpp)
    colours = dots.shades(found.values, top)
    # a blur goes on beside the image, where there are none
    colours[~crowd.within(found, (asked.record.height, asked.record.width)), 3] = 0
    return dots.Shaded(colours, found.origin, step), top
