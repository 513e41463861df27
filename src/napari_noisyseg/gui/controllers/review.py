"""The review without a window: which nucleus, what is decided on it, and how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_noisyseg.gui.change import ANNOTATION, FRONT, Change, What
from napari_noisyseg.gui.controllers.course import OPEN, Course, Sight
from napari_noisyseg.gui.controllers.offering import Offering
from napari_noisyseg.gui.controllers.reading import Reading
from napari_noisyseg.gui.controllers.repairs import Place, Repairs
from napari_noisyseg.gui.controllers.shapes import NOTHING, Shape, Shapes
from napari_noisyseg.gui.controllers.who import Who
from napari_noisyseg.review.filters import Filter
from napari_noisyseg.review.queue import Items, ReviewItem, ReviewProgress, ReviewQueue
from napari_noisyseg.store.records import Outline, State

if TYPE_CHECKING:
    from napari_noisyseg.gui.session import Session
    from napari_noisyseg.gui.work import Submit

DECIDED = What.DECISIONS | What.OUTLINES | What.POINTS | What.CLASSES | What.COMMENTS
ANEW = What.CANDIDATES | What.IMAGES
ONE_ACT = 8
"""nuclei that an act on one of them touches at most"""


class ReviewController:
    """The queue, the nucleus under review, and every act on it; a dock draws it.

    The queue is read out of the way when the review is first opened, and kept in step by what the
    session tells. `reviewer`: whose name decisions carry.
    """

    changed = Signal()
    """something that is shown changed"""
    adopted = Signal()
    """the outlines at clicks came into the project, labels and all"""

    def __init__(
        self, session: Session, submit: Submit, shapes: Shapes | None = None, reviewer: str = ""
    ) -> None:
        self.session = session
        self.who = Who(self, reviewer)
        self.course = Course()
        self.sight = Sight(session, self.course)
        self.shapes = shapes or Shapes(submit, lambda outline: ())
        self.shapes.changed.connect(self.changed.emit)
        self.shapes.turn_to(session.project)
        self.reading = Reading(self, submit)
        self.repairs = Repairs(self, submit)
        self.open = False
        self.nucleus: str | None = None
        self._waits: str | None = None
        self.offers = Offering(
            session, submit, lambda: self.editing, self.adopted.emit, self.changed.emit
        )
        self._deaf = session.on(ANNOTATION | FRONT, self._follow)

    def close(self) -> None:
        """Hear no more."""
        self._deaf()

    # --- what is there -------------------------------------------------------------------------

    @property
    def queue(self) -> ReviewQueue | None:
        """The nuclei to be judged, in their order; None until it was read."""
        return self.course.queue

    @property
    def item(self) -> ReviewItem | None:
        """The nucleus under review."""
        return self.course.item(self.nucleus)

    @property
    def shown(self) -> ReviewItem | None:
        """The same while its image is in front: nothing is done to a nucleus that is not seen."""
        item = self.item
        return item if item is not None and item.image == self.session.image else None

    @property
    def row(self) -> int | None:
        """Where in the queue it stands."""
        return self.course.row(self.nucleus)

    @property
    def editing(self) -> bool:
        """Whether the outline is under the brush."""
        return self.repairs.mode == "brush"

    def progress(self) -> ReviewProgress:
        """How far the review is, by what the project holds: one count, whoever asks."""
        return self.reading.progress()

    def shape(self) -> Shape:
        """How the nucleus under review is drawn."""
        item, queue = self.item, self.queue
        return self.shapes.of(queue, item) if item is not None and queue is not None else NOTHING

    def look_ahead(self) -> None:
        """Make ready what may be looked at next."""
        row, queue = self.row, self.queue
        if self.open and row is not None and queue is not None:
            self.shapes.prepare(queue, self.course.coming(row))

    def chosen_outlines(self) -> list[Outline]:
        """The outlines of the nuclei of the image in front that are chosen together."""
        return self.course.outlines(self.repairs.chosen, self.session.image)

    # --- keeping up ----------------------------------------------------------------------------

    def enter(self) -> None:
        """The review is looked at."""
        self.open = True
        self.who.cover(True)
        self.course.away.clear()
        if self.reading.stale:
            self.reading.load()
        self.offers.ask()
        self._stay()

    def leave(self) -> None:
        """The review is not looked at any more."""
        self.end_edit()
        self.open = False
        self.who.cover(False)

    def _follow(self, change: Change) -> None:
        if change.what & What.PROJECT:
            self.who.reset()
            self.shapes.turn_to(self.session.project)
            self.offers.reset()
            self.begin_anew()
        elif change.what & ANEW:
            if change.what & What.IMAGES:
                self.course.away.clear()
            self._found_anew()
        elif change.what & DECIDED:
            self._decided()
        elif change.what & What.IMAGE:
            self._image_chosen()

        if change.what & (What.LEARNED | What.PROJECT) and self.open:
            self.offers.ask()

    def begin_anew(self) -> None:
        """Nothing is known any more of the nuclei to be judged: they are read again."""
        self.course.clear()
        self.shapes.forget()
        self.nucleus, self._waits, self.reading.stale = None, None, True
        self.repairs.mode, self.repairs.chosen = "", ()
        if self.open:
            self.reading.load()
        self._show()

    def _found_anew(self) -> None:
        """Other nuclei to judge: with another run a new order, else each in its place."""
        if self.reading.in_place():
            self._decided()
            return
        self.reading.stale = True
        if self.open:
            self.reading.load()
        self.changed.emit()

    @property
    def offering(self) -> bool:
        """Whether the outlines at clicks are just being made, to be judged."""
        return self.offers.busy

    def _image_chosen(self) -> None:
        """Another image came to the front: a nucleus of it is under review, or none."""
        image, item = self.session.image, self.item
        self.course.away.discard(image or "")
        if not self.open or self.queue is None:
            return
        if image is None:
            self.end_edit()
            self.nucleus = None
        elif item is None or item.image != image:
            self.end_edit()
            self._go(self.course.first_of(image))
            self._waits = image if self.nucleus is None else None
        self._show()

    def _decided(self) -> None:
        """Something was decided, drawn or taken back: by us, by an undo, or elsewhere."""
        if self.queue is None:
            self.changed.emit()
            return
        row, touched = self.row, self.reading.touched()
        changed = self.queue.refresh()
        if len(changed) == 1:
            touched |= set(changed)
        known = sorted(r for r in map(self.queue.row, touched) if r is not None)
        gone = self.nucleus is not None and self.queue.row(self.nucleus) is None
        # what an act, or its undo, was about comes into view; where it took in others, they go
        if known and 0 < len(touched) <= ONE_ACT and (gone or self.nucleus not in touched):
            self._go(known[0])
        elif gone:
            self._go_on(partial(self.course.open_after, (row or 0) - 1))
            return
        self._show()

    def arrived(self) -> None:
        """The queue was read: a nucleus of it is under review."""
        image, queue = self.session.image, self.queue
        if self.nucleus is None and image is not None and image == self._waits:
            self._go(self.course.first_of(image))
        elif self.nucleus is None or queue is None or queue.row(self.nucleus) is None:
            self._go_on(partial(self.course.open_after, -1))
            return
        self._stay()

    def narrow(self, wanted: Filter) -> None:
        """Go through these nuclei alone."""
        self.end_edit()
        self.course.filter = wanted
        self.course.away.discard(wanted.image or "")
        item = self.item
        if self.queue is not None and (item is None or not wanted.passes(item)):
            self._go_on(partial(self.course.open_after, -1))
        else:
            self._show()

    def _go(self, row: int | None) -> None:
        self.nucleus = self.course.id(row)

    def _go_on(self, ask: Callable[[], int | None]) -> None:
        """Go where the course says; it is asked again while an image proves to be away."""
        self._go(ask())
        while self._show():
            self._go(ask())

    def _stay(self) -> None:
        """Stay with the nucleus, unless its image proves to be away."""
        if self._show():
            self._go_on(partial(self.course.open_after, self.row or 0))

    def _show(self) -> bool:
        """The image of the nucleus comes to the front, and all is drawn again.

        True where that image proves to be away; it is not tried again.
        """
        item, proves_away = self.item, False
        self.sight.begin(self.nucleus)
        if self.open and item is not None:
            self.shapes.want_clicked(item.image)
            proves_away = self.sight.proves_away(item.image)
        self.changed.emit()
        return proves_away

    # --- what a person does --------------------------------------------------------------------

    def decide(self, state: State) -> None:
        """Decide on the nucleus under review and go on to the next one without a decision.

        Where several were chosen the decision is on them, and the nucleus under review stays.
        """
        item, queue = self.item, self.queue
        if self.repairs.chosen:
            self.repairs.decide(state, self.repairs.chosen)
            return
        if item is None or queue is None:
            return
        self.end_edit()
        if self.shown is None:
            self._pass_by()
            return
        decided = False
        with self.session.acting():
            queue.decide([item.id], state, ms=self.sight.looked_ms(item.id))
            decided = True
        row = queue.row(item.id)
        if not decided or row is None:
            self._show()
            return
        self._go_on(partial(self.course.after_decision, row))
        if self.nucleus == item.id and item.state in OPEN:
            self.sight.tell_left()

    def _pass_by(self) -> None:
        """Nobody decides on what could not be shown: it comes into sight now, or another one."""
        self._show()
        if self.shown is None:
            self._go_on(partial(self.course.after_decision, self.row or 0))

    @property
    def at_random(self) -> bool:
        """Whether the nucleus under review was drawn at random, to see how right the rest is."""
        return self.queue is not None and self.row is not None and self.queue.drawn() == self.row

    def accept_above(self, confidence: float) -> None:
        """Accept every nucleus without a decision whose confidence is at least this."""
        queue = self.queue
        if queue is None or self.who.blind:
            return
        self.end_edit()
        if self.course.filter.active:
            self.repairs.decide("accepted", self.course.above(confidence).ids)
        else:
            with self.staying(), self.session.acting():
                count = queue.accept_above(confidence)
                self.session.say(f"{count} nuclei accepted; Z undoes it")
        if self.item is not None and self.item.state != "unreviewed":
            self._go_on(partial(self.course.after_decision, self.row or 0))
        else:
            self._show()

    def undo(self) -> None:
        """Take back the last action and show the nucleus that it was about."""
        self.end_edit()
        self.session.undo()

    def move(self, step: int) -> None:
        """Go along the queue, decided nuclei included."""
        if self.queue is not None and len(self.queue):
            self.end_edit()
            row = self.course.step(self.row, step)
            if row is not None:
                self._go(row)
            self._ask()

    def _ask(self) -> None:
        """A person wants to see this very nucleus: an image that was away is tried again."""
        if self.item is not None:
            self.course.away.discard(self.item.image)
        self._show()

    def go_to(self, nucleus: str) -> None:
        """Put this nucleus under review."""
        if self.queue is not None and self.queue.row(nucleus) is not None:
            self.end_edit()
            self.show(nucleus)

    def choose(self, place: tuple[float, float]) -> None:
        """Put the nucleus at a place of the image in front, (y, x), under review; the smallest."""
        here = self.at(place)
        if here:
            self.go_to(here[0].id)

    def here(self) -> Items:
        """The nuclei of the image in front."""
        return self.course.of(self.session.image)

    def at(self, place: Place) -> list[ReviewItem]:
        """The nuclei at a place of the image in front, (y, x); the smallest first."""
        return self.course.at(self.session.image, place)

    def edit(self) -> None:
        """Begin to correct the outline, or end it."""
        self.repairs.use("brush")

    def end_edit(self) -> None:
        """Put the tool away; what was drawn is saved already."""
        if self.repairs.mode:
            self.repairs.mode = ""
            self.offers.go_on()
            self.changed.emit()

    def show(self, nucleus: str) -> None:
        """Put this nucleus under review; the tool stays in the hand."""
        if self.queue is not None and self.queue.row(nucleus) is not None:
            self.nucleus = nucleus
            self._ask()

    def follow(self, nuclei: Iterable[str]) -> None:
        """Let these be asked for next."""
        self.course.ask_first(nuclei)

    def added(self, nucleus: str) -> None:
        """A nucleus was added by hand: it is under review, also where there was none before."""
        self.session.sync()
        if self.queue is None:
            self.reading.load()
        else:
            self.show(nucleus)

    @contextmanager
    def staying(self) -> Iterator[None]:
        """Whatever is done inside to many, the nucleus under review stays the same."""
        before = self.nucleus
        yield
        if before is not None and self.queue is not None and self.queue.row(before) is not None:
            self.nucleus = before
        self._show()

    def redraw(self, outline: Outline) -> None:
        """Keep the outline that a person drew."""
        item, queue = self.shown, self.queue
        if item is not None and queue is not None:
            with self.session.acting():
                queue.redraw(item.id, outline)
