"""What a person does to nuclei by hand in a review: split, merge, add, draw, name, many at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.review import repair
from napari_noisyseg.store.classes import STARTING
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import NucleusClass, Outline, State

if TYPE_CHECKING:
    from napari_noisyseg.gui.controllers.review import ReviewController
    from napari_noisyseg.gui.work import Submit

Place = tuple[float, float]
Line = NDArray[np.floating]
HINTS: Mapping[str, str] = {
    "brush": "Paint to add, X to erase, E when done; every stroke is saved.",
    "polygon": "Draw all around the nucleus, or click its corners and end with a double click.",
    "click": "Click the middle of the nucleus: it is outlined again from there.",
    "split": "Draw a line across the nucleus: it becomes two.",
    "merge": "Click the nucleus that belongs to this one.",
    "add": "Click a nucleus that was missed, or draw all around it; N when done.",
    "lasso": "Draw around the nuclei that you want to judge together.",
}
"""each tool, and what to do with it"""
NEEDS_NUCLEUS = frozenset({"brush", "polygon", "click", "split", "merge"})
STAYS = frozenset({"brush", "add"})
"""tools that stay in the hand after they did something"""
MOST_CLASSES = 9


class Repairs:
    """The tool in the hand of a review, and what it does; each act is one in the project.

    `mode` is one of `HINTS`, or "". `chosen` are nuclei that the next decision is for together,
    `working` says that an outline is being found at a click.
    """

    def __init__(self, review: ReviewController, submit: Submit) -> None:
        self._review, self._submit = review, submit
        self.mode = ""
        self.chosen: tuple[str, ...] = ()
        self.working = False

    # --- which tool ----------------------------------------------------------------------------

    def use(self, mode: str) -> None:
        """Take a tool into the hand; the same one again lays it down."""
        review = self._review
        if review.who.blind:
            review.session.say("in a blind review you can only accept, reject or be unsure")
            return
        wanted = "" if mode == self.mode else mode
        review.end_edit()
        without = review.shown is None and wanted in NEEDS_NUCLEUS
        if wanted and not without and review.session.image is not None:
            self.mode = wanted
            if wanted != "lasso":
                self.chosen = ()
        review.changed.emit()

    def drop(self) -> None:
        """Nothing in the hand, and nothing chosen."""
        if self.mode or self.chosen:
            self.chosen = ()
            self._review.end_edit()
            self._review.changed.emit()

    def _done(self) -> None:
        """A tool that does one thing is laid down once it is done."""
        if self.mode not in STAYS:
            self._review.end_edit()

    @property
    def hint(self) -> str:
        """What to do now, in words; empty where nothing is in the hand."""
        if self.working:
            return "Looking for the outline…"
        if self.chosen:
            count = len(self.chosen)
            return f"{count} nuclei chosen: A, R, U or a class applies to all; Esc clears this."
        return HINTS.get(self.mode, "")

    # --- one nucleus ---------------------------------------------------------------------------

    def click(self, place: Place) -> None:
        """The tool in the hand was clicked at a place, (y, x) of the image in front."""
        acts: dict[str, Callable[[Place], None]] = {
            "merge": self.merge, "click": self.outline_at, "add": self.add_at,
        }  # fmt: skip
        if self.mode in acts:
            acts[self.mode](place)

    def line(self, line: Line) -> None:
        """The tool in the hand drew a line, (n, 2) of (y, x)."""
        acts: dict[str, Callable[[Line], None]] = {
            "split": self.split, "polygon": self.draw, "add": self.add_drawn, "lasso": self.choose,
        }  # fmt: skip
        if self.mode in acts:
            acts[self.mode](line)

    def split(self, line: Line) -> None:
        """Cut the nucleus under review along a line."""
        review, item = self._review, self._review.shown
        if item is None or review.queue is None:
            return
        with review.session.acting():
            parts = repair.cut(review.queue.outline(item), line)
            if len(parts) < 2:
                raise NoisySegError("that line does not cross the nucleus: draw it right across")
            run = item.candidate.run or None
            _, *new = self._project().nuclei.split(item.id, parts, run)
            review.follow([one.id for one in new])
            self._done()

    def merge(self, place: Place) -> None:
        """Let the nucleus under review take in the one at a place."""
        review, item = self._review, self._review.shown
        if item is None or review.queue is None:
            return
        with review.session.acting():
            other = next((x for x in review.at(place) if x.id != item.id), None)
            if other is None:
                raise NoisySegError("there is no other nucleus: click one that touches this one")
            mpp = self._project().image(item.image).mpp
            joined = repair.join(review.queue.outline(item), review.queue.outline(other), mpp)
            run = item.candidate.run or other.candidate.run or None
            self._project().nuclei.merge([item.id, other.id], joined, run)
            self._done()

    def draw(self, line: Line) -> None:
        """Give the nucleus under review the outline that was drawn."""
        review, item = self._review, self._review.shown
        if item is None or review.queue is None:
            return
        with review.session.acting():
            outline = repair.drawn(line, self._project().image(item.image))
            review.queue.redraw(item.id, outline)
            self._done()

    def outline_at(self, place: Place) -> None:
        """Outline the nucleus under review again, from a click."""
        item = self._review.shown
        if item is not None:
            self._find(item.image, place, partial(self._outlined, item.id), item.id)

    def _outlined(self, nucleus: str, outline: Outline) -> None:
        """It was in sight when it was clicked; the review may be elsewhere by now."""
        review = self._review
        if review.queue is not None and review.queue.row(nucleus) is not None:
            with review.session.acting():
                review.queue.redraw(nucleus, outline)
                self._done()

    # --- what was missed -----------------------------------------------------------------------

    def add_at(self, place: Place) -> None:
        """Add the nucleus at a place; one that is there already is put under review."""
        review, image = self._review, self._review.session.image
        if image is None:
            return
        here = next((x for x in review.at(place) if x.state != "rejected"), None)
        if here is not None:
            review.session.say("there is a nucleus here already: it is under review now")
            review.show(here.id)
            return
        self._find(image, place, partial(self._add, image, place))

    def add_drawn(self, line: Line) -> None:
        """Add the nucleus that was drawn."""
        image = self._review.session.image
        if image is not None:
            with self._review.session.acting():
                outline = repair.drawn(line, self._project().image(image))
                self._add(image, outline.middle(), outline)

    def _add(self, image: str, place: Place, outline: Outline) -> None:
        if not outline.holds(*place):
            place = outline.middle()
        with self._review.session.acting():
            made = self._project().nuclei.add_outlined(image, *place, outline)
            self._review.added(made.id)

    def _find(
        self, image: str, place: Place, then: Callable[[Outline], None], instead_of: str = ""
    ) -> None:
        """Find the outline at a click, out of the way."""
        project = self._project()
        self.working = True
        self._submit(
            partial(repair.at_click, project, image, place, instead_of),
            partial(self._found, project, then),
            partial(self._not_found, project),
        )
        self._review.changed.emit()

    def _found(self, project: Project, then: Callable[[Outline], None], outline: Outline) -> None:
        self.working = False
        if project is self._review.session.project:
            then(outline)
        self._review.changed.emit()

    def _not_found(self, project: Project, error: BaseException) -> None:
        self.working = False
        if project is self._review.session.project:
            self._review.session.failed(error)
        self._review.changed.emit()

    # --- many at once --------------------------------------------------------------------------

    def choose(self, line: Line) -> None:
        """Choose the nuclei of the image in front whose middle a closed line encloses."""
        review = self._review
        here = review.here()
        chosen = repair.inside(line, np.stack(here.places, axis=1))
        self._done()
        self.chosen = tuple(here.only(chosen).ids)
        if not self.chosen:
            review.session.say("there is no nucleus inside that line")
        review.changed.emit()

    def decide(self, state: State, ids: Sequence[str]) -> None:
        """One decision on many nuclei, of any images: one action."""
        review, queue = self._review, self._review.queue
        ids = [one for one in ids if queue is not None and queue.row(one) is not None]
        if queue is None or not ids:
            return
        by_image: dict[str, list[str]] = {}
        for one in ids:
            by_image.setdefault(queue.items[queue.row(one) or 0].image, []).append(one)
        with review.staying(), review.session.acting():
            with self._project().nuclei.together(f"judge {len(ids)} nuclei: {state}"):
                for some in by_image.values():
                    queue.decide(some, state)
            self.chosen = ()
            if len(ids) > 1:
                said = "without a decision again" if state == "unreviewed" else state
                review.session.say(f"{len(ids)} nuclei {said}; Z undoes it")

    # --- names ---------------------------------------------------------------------------------

    def classes(self) -> list[NucleusClass]:
        """What the keys 1 to 9 stand for: the project's classes, else a list to start with."""
        project = self._review.session.project
        known = project.nuclei.classes() if project is not None else []
        return list(known or STARTING)[:MOST_CLASSES]

    def name(self, number: int) -> None:
        """Give what is chosen, or the nucleus under review, the class of a key; again: none."""
        review, item, classes = self._review, self._review.shown, self.classes()
        ids = self.chosen or ((item.id,) if item is not None else ())
        if review.who.blind or not ids or review.queue is None or number > len(classes):
            return
        wanted: str | None = classes[number - 1].name
        rows = [review.queue.row(one) for one in ids]
        held = {review.queue.items[row].candidate.class_name for row in rows if row is not None}
        if held == {wanted}:
            wanted = None
        with review.staying(), review.session.acting():
            nuclei = self._project().nuclei
            with nuclei.together(f"name {len(ids)} nuclei {wanted or 'nothing'}"):
                if not nuclei.classes():
                    for one in STARTING:
                        nuclei.add_class(one.name, one.color)
                nuclei.set_class(ids, wanted)

    def comment(self) -> str:
        """What was said of the nucleus under review."""
        item, project = self._review.shown, self._review.session.project
        if item is None or project is None:
            return ""
        return project.nuclei.comment(item.id)

    def say(self, nucleus: str, words: str) -> None:
        """Keep what a person wrote of a nucleus while it was shown; another one may be by now."""
        review = self._review
        row = review.queue.row(nucleus) if review.queue is not None else None
        if review.queue is not None and row is not None:
            with review.staying(), review.session.acting():
                image = review.queue.items[row].image
                self._project().nuclei.set_comment(image, nucleus, words)

    def _project(self) -> Any:
        return self._review.session.require_project()
