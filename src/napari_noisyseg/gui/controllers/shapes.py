"""How a nucleus under review is drawn: as it is and as it was; the next one before it is asked for.

What takes time is done out of the way: the outlines that the clicks alone gave, and the shapes of
the nuclei that come next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.review.before import clicked_outlines, old_outline
from napari_noisyseg.review.queue import ReviewItem, ReviewQueue
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import Aspect, Outline

if TYPE_CHECKING:
    from napari_noisyseg.gui.work import Submit

Lines = Sequence[NDArray[np.floating]]
HARMLESS = Aspect.DECISIONS | Aspect.OUTLINES | Aspect.POINTS | Aspect.CLASSES | Aspect.COMMENTS
HARMLESS |= Aspect.FIELDS
"""what may happen to other nuclei without this one being drawn in another way"""
KEPT = 4
"""nuclei that are kept ready"""


@dataclass(frozen=True, slots=True)
class Shape:
    """A nucleus's outline as it stands, and as it was before the run, each with its lines.

    Lines are (n, 2) of (y, x) in level-0 pixels. `version`: of the project, when it was read.
    """

    new: Outline | None
    old: Outline | None
    new_lines: Lines = ()
    old_lines: Lines = ()
    version: int = 0


NOTHING = Shape(None, None)


class Shapes:
    """Reads them, some before their time; `trace` makes an outline's lines."""

    changed = Signal()
    """more is known now than when a nucleus was drawn"""

    def __init__(self, submit: Submit, trace: Callable[[Outline], Lines]) -> None:
        self._submit, self._trace = submit, trace
        self._clicked: dict[str, Any] = {}
        self._ready: dict[str, Shape] = {}
        self._project: Project | None = None

    def turn_to(self, project: Project | None) -> None:
        """Another project is open."""
        self._project = project
        self._clicked.clear()
        self.forget()

    def forget(self) -> None:
        """Keep nothing ready that was read so far."""
        self._ready.clear()

    def of(self, queue: ReviewQueue, item: ReviewItem) -> Shape:
        """A nucleus as it is drawn now."""
        project = self._project
        if project is None:
            return NOTHING
        ready = self._ready.pop(item.id, None)
        if ready is not None and _holds(project, item.id, ready.version):
            return ready
        return self._read(project, queue, item)

    def prepare(self, queue: ReviewQueue, items: Sequence[ReviewItem]) -> None:
        """Read these out of the way, before anybody asks for them."""
        project = self._project
        due = [item for item in items if item.id not in self._ready]
        if project is None or not due:
            return

        def work() -> dict[str, Shape]:
            return {item.id: self._read(project, queue, item) for item in due}

        # what cannot be read now is read when it is asked for, and told of then
        self._submit(work, partial(self._prepared, project), lambda error: None)

    def _prepared(self, project: Project, found: dict[str, Shape]) -> None:
        if project is self._project:
            self._ready |= found
            for nucleus in list(self._ready)[:-KEPT]:
                del self._ready[nucleus]

    def _read(self, project: Project, queue: ReviewQueue, item: ReviewItem) -> Shape:
        version = project.nuclei.version()
        old = old_outline(project, item, self._clicked.get(item.image))
        new = queue.outline(item)
        before = self._trace(old) if old is not None else ()
        return Shape(new, old, self._trace(new), before, version)

    def want_clicked(self, image: str) -> None:
        """Ask once for what the clicks alone gave, to be drawn as the old outlines."""
        project = self._project
        if project is not None and image not in self._clicked:
            self._clicked[image] = None
            work = partial(clicked_outlines, project, image)
            self._submit(work, partial(self._clicked_found, project, image))

    def _clicked_found(self, project: Project, image: str, found: Any) -> None:
        if project is self._project and found is not None:
            self._clicked[image] = found
            self.forget()
            self.changed.emit()


def _holds(project: Project, nucleus: str, version: int) -> bool:
    """Whether nothing was done since that would draw a nucleus in another way."""
    try:
        steps = project.nuclei.journal(version)
        if any(step.aspects & ~HARMLESS or not step.direction for step in steps):
            return False
        return not steps or all(nucleus not in x for x in project.nuclei.touched(version).values())
    except NoisySegError:
        return False
