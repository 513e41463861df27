"""The rest of the nuclei, suggested: one after the other under the camera, to keep or to drop."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from threading import Event
from typing import Any

import numpy as np
from napari.layers import Points
from psygnal import Signal

from napari_noisyseg.gui.canvas import layers, looks
from napari_noisyseg.gui.canvas.closeup import centre
from napari_noisyseg.gui.change import ANNOTATION, FRONT, Change, What
from napari_noisyseg.gui.keys import shown
from napari_noisyseg.gui.session import Session
from napari_noisyseg.review import suggestions as rest
from napari_noisyseg.review.suggestions import Suggestion
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import ImageRecord
from napari_noisyseg.worker.lessons import places
from napari_noisyseg.worker.lessons.adapting import Lesson
from napari_noisyseg.worker.lessons.beside import learn_beside

VIEW_UM = 40.0
"""what the canvas's shorter side shows of the tissue around a suggestion"""
SIZE_UM, LARGE = 2.0, 1.8
"""diameter of a suggestion, and how much larger the one under the camera is"""
CURRENT = "#35d0ff"


class SuggestTool:
    """Asks for suggestions of the active image and carries out what a person says of them.

    What was found is no person's work and is not kept: asking again finds it again.
    """

    changed = Signal()

    def __init__(self, session: Session) -> None:
        self.session = session
        self.busy = self.learning = False
        self.open: list[Suggestion] = []
        self._found: list[Suggestion] = []
        self._of: tuple[Project, str] | None = None
        self._row = 0
        self._stopping = Event()
        session.on(ANNOTATION | FRONT, self._follow)
        session.ending.connect(self._end)

    @property
    def asked(self) -> bool:
        """Whether suggestions were found for the active image since it was opened."""
        return self._of is not None and self._of == self._now()

    @property
    def current(self) -> Suggestion | None:
        """The suggestion under the camera."""
        return self.open[self._row] if self.open else None

    def above(self, score: float) -> int:
        """How many open suggestions have at least this score."""
        return sum(s.score >= score for s in self.open)

    # --- acts ----------------------------------------------------------------------------------

    def ask(self) -> None:
        """Look for the rest of the nuclei of the active image, out of the way."""
        if self.busy:
            return
        with self.session.guard():
            record, project = self.session.require_image(), self.session.require_project()
            self.busy = True
            self.changed.emit()
            work = partial(rest.suggestions, project, record.name)
            self.session.submit(work, partial(self._arrived, project, record.name), self._failed)

    def keep(self) -> None:
        """Make a point of the suggestion under the camera; the next one comes."""
        if self.current is not None:
            self._settle([self.current], rest.keep)

    def drop(self) -> None:
        """The suggestion under the camera is no nucleus, now and later; the next one comes."""
        if self.current is not None:
            self._settle([self.current], rest.drop)

    def keep_above(self, score: float) -> None:
        """Make points of all with at least this score, as one action."""
        sure = [s for s in self.open if s.score >= score]
        if sure:
            self._settle(sure, rest.keep)
            self.session.say(f"{len(sure)} suggestions kept; {shown('Ctrl+Z')} undoes it")

    @property
    def teachable(self) -> bool:
        """Whether there is a complete field, and nuclei enough to learn from where others lie."""
        project = self.session.project
        if project is None or not project.writable:
            return False
        return project.nuclei.counts().points >= places.FEWEST and any(
            field.complete
            for image in project.images()
            for field in project.nuclei.fields(image.name)
        )

    def teach(self) -> None:
        """Learn from complete fields where nuclei lie, in a child beside the window."""
        project = self.session.project
        if project is None or self.learning:
            return
        if find_spec("torch") is None:
            self.session.say(
                "learning needs the training part: pip install 'napari-noisyseg[train]'"
            )
            return
        self.learning, self._stopping = True, Event()
        self.session.aside(
            partial(learn_beside, project.path, self._stopping, "places"),
            partial(self._taught, project),
            partial(self._untaught, project),
        )
        self.changed.emit()

    def _taught(self, project: Project, found: tuple[Lesson, bytes] | None) -> None:
        if found is None or project is not self.session.project:
            return
        self.learning = False
        lesson, weights = found
        with self.session.acting():
            places.keep(project, lesson, weights)
        self.session.say(lesson.words)
        self.changed.emit()
        if lesson.used and self.asked:
            self.ask()

    def _untaught(self, project: Project, error: BaseException) -> None:
        if project is self.session.project:
            self.learning = False
            self.session.failed(error)
            self.changed.emit()

    def _end(self) -> None:
        """The window is going: it does not wait for a lesson."""
        self._stopping.set()

    def move(self, step: int) -> None:
        """Go along the suggestions without a word on them."""
        if self.open:
            self._row = (self._row + step) % len(self.open)
            self._show(look=True)

    def _settle(self, chosen: list[Suggestion], act: Any) -> None:
        with self.session.acting():
            act(self.session.require_project(), chosen)
        self._look()
        self.changed.emit()

    # --- what is there -------------------------------------------------------------------------

    def refresh(self) -> None:
        """Show what is still open of what was found for the active image."""
        self.open = rest.pending(self._of[0], self._found) if self.asked and self._of else []
        self._row = min(self._row, max(len(self.open) - 1, 0))
        self._show(look=False)

    def _now(self) -> tuple[Project, str] | None:
        project, image = self.session.project, self.session.image
        return (project, image) if project is not None and image is not None else None

    def _follow(self, change: Change) -> None:
        if change.what & What.PROJECT:
            self._stopping.set()
            self.learning = False
        if change.what & FRONT or (self.asked and change.concerns(self.session.image)):
            self.refresh()
        elif change.what & (What.POINTS | What.FIELDS):
            self.changed.emit()  # there may be enough to learn from

    def _failed(self, error: BaseException) -> None:
        self.busy = False
        self.session.failed(error)
        self.changed.emit()

    def _arrived(self, project: Project, image: str, found: list[Suggestion]) -> None:
        self.busy = False
        if (project, image) == self._now():
            self._of, self._found, self._row = (project, image), found, 0
            self.refresh()
            self._look()
        self.changed.emit()

    # --- showing -------------------------------------------------------------------------------

    def layer(self) -> Any | None:
        """The layer that shows them, or None."""
        image = self.session.image
        return layers.find(self.session.viewer, image, "suggested") if image else None

    def _show(self, look: bool) -> None:
        record = self.session.record()
        if record is not None and (self.open or self.layer() is not None):
            layer = self.layer() or self._make(record)
            layer.data = np.array([(s.y, s.x) for s in self.open], float).reshape(-1, 2)
            if self.open:
                self._dress(layer, record)
        if look:
            self._look()
        self.changed.emit()

    def _dress(self, layer: Any, record: ImageRecord) -> None:
        layers.catch_up(layer)
        sizes = np.full(len(self.open), SIZE_UM / record.mpp)
        edges = np.array([looks.POINT["suggested"]] * len(self.open))
        sizes[self._row] *= LARGE
        edges[self._row] = CURRENT
        layer.size, layer.border_color = sizes, edges
        layer.selected_data = set()

    def _look(self) -> None:
        record = self.session.record()
        if record is not None and self.current is not None:
            place = (self.current.y, self.current.x)
            centre(self.session.viewer, record, place, VIEW_UM)

    def _make(self, record: ImageRecord) -> Any:
        viewer = self.session.viewer
        layer = Points(
            np.empty((0, 2)),
            name=layers.name_of(record, "suggested"),
            size=SIZE_UM / record.mpp,
            face_color="#00000000",
            border_color=looks.POINT["suggested"],
            border_width=0.2,
            **layers.geometry(viewer, record),
        )
        layer.canvas_size_limits = (7, 24)
        layer.editable = False
        return layers.insert(viewer, layer, record, "suggested")
