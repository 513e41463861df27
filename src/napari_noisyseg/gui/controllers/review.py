"""The review without a window: which nucleus, what is decided on it, and how far it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_noisyseg.gui.change import ANNOTATION, FRONT, Change, What
from napari_noisyseg.gui.controllers.offering import Offering
from napari_noisyseg.gui.controllers.repairs import Place, Repairs
from napari_noisyseg.gui.controllers.who import reviewer
from napari_noisyseg.gui.summary import Summary
from napari_noisyseg.review.before import clicked_outlines, old_outline
from napari_noisyseg.review.filters import Filter
from napari_noisyseg.review.queue import ReviewItem, ReviewProgress, ReviewQueue
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import Outline, State

if TYPE_CHECKING:
    from napari_noisyseg.gui.session import Session
    from napari_noisyseg.gui.work import Submit

DECIDED = What.DECISIONS | What.OUTLINES | What.POINTS | What.CLASSES | What.COMMENTS
ANEW = What.CANDIDATES | What.IMAGES
FEW = 5000
"""nuclei of a queue that is read again in place, in its order"""
LONGEST = 120.0
"""seconds; a nucleus that lies there for longer is not being looked at"""
ONE_ACT = 8
"""nuclei that an act on one of them touches at most"""


class ReviewController:
    """The queue, the nucleus under review, and every act on it; a dock draws it.

    The queue is read out of the way when the review is first opened, and kept in step by what the
    session tells.
    """

    changed = Signal()
    """something that is shown changed"""
    adopted = Signal()
    """the outlines at clicks came into the project, labels and all"""

    def __init__(self, session: Session, submit: Submit) -> None:
        self.session, self._submit = session, submit
        self.queue: ReviewQueue | None = None
        self.repairs = Repairs(self, submit)
        self.filter = Filter()
        self.open = False
        self.nucleus: str | None = None
        self._waits: str | None = None
        self._next: list[str] = []
        self._version = 0
        self._stale = True
        self._clicked: dict[str, Any] = {}
        self._runs: dict[str, str | None] = {}
        self._since: tuple[str | None, float] = (None, 0.0)
        self.offers = Offering(
            session, submit, lambda: self.editing, self.adopted.emit, self.changed.emit
        )
        self._deaf = session.on(ANNOTATION | FRONT, self._follow)

    def close(self) -> None:
        """Hear no more."""
        self._deaf()

    # --- what is there -------------------------------------------------------------------------

    @property
    def item(self) -> ReviewItem | None:
        """The nucleus under review."""
        row = self.row
        return self.queue.items[row] if self.queue is not None and row is not None else None

    @property
    def row(self) -> int | None:
        """Where in the queue it stands."""
        if self.queue is None or self.nucleus is None:
            return None
        return self.queue.row(self.nucleus)

    @property
    def editing(self) -> bool:
        """Whether the outline is under the brush."""
        return self.repairs.mode == "brush"

    def progress(self) -> ReviewProgress:
        """How far the review is, by what the project holds: one count, whoever asks."""
        project = self.session.project
        if project is None:
            return ReviewProgress(0, 0, 0, 0)
        c = project.nuclei.counts()
        return ReviewProgress(c.candidates, c.accepted, c.rejected, c.unsure)

    def summary(self) -> Summary:
        """The line of the step's row."""
        progress = self.progress()
        text = progress.words()
        if progress.reviewed:
            text = text.replace(" reviewed", "")
        done = progress.total > 0 and progress.reviewed >= progress.total
        project = self.session.project
        if not progress.total and project is not None and project.nuclei.counts().points:
            text = "the outlines at your clicks"
        return Summary(text, "done" if done else "todo")

    def outlines(self) -> tuple[Outline | None, Outline | None]:
        """The outline of the nucleus under review: as it stands, and as it was before."""
        item, project = self.item, self.session.project
        if item is None or project is None or self.queue is None:
            return None, None
        old = old_outline(project, item, self._clicked.get(item.image))
        return self.queue.outline(item), old

    def chosen_outlines(self) -> list[Outline]:
        """The outlines of the nuclei of the image in front that are chosen together."""
        queue, chosen = self.queue, self.repairs.chosen
        rows = [queue.row(one) for one in chosen] if queue is not None else []
        items = [queue.items[row] for row in rows if queue is not None and row is not None]
        return [x.candidate.outline for x in items if x.image == self.session.image]

    # --- keeping up ----------------------------------------------------------------------------

    def enter(self) -> None:
        """The review is looked at."""
        self.open = True
        if self._stale:
            self._load()
        self.offers.ask()
        self._show()

    def leave(self) -> None:
        """The review is not looked at any more."""
        self.end_edit()
        self.open = False

    def _follow(self, change: Change) -> None:
        if change.what & What.PROJECT:
            self.queue, self.nucleus, self._waits, self._stale = None, None, None, True
            self._clicked.clear()
            self.repairs.mode, self.repairs.chosen, self._next = "", (), []
            self.filter = Filter()
            self.offers.reset()
            if self.open:
                self._load()
            self._show()
        elif change.what & ANEW:
            self._found_anew()
        elif change.what & DECIDED:
            self._decided()
        elif change.what & What.IMAGE:
            self._image_chosen()

        if change.what & (What.LEARNED | What.PROJECT) and self.open:
            self.offers.ask()

    def _found_anew(self) -> None:
        """Other nuclei to judge: with another run a new order, else each in its place."""
        if self.queue is not None and len(self.queue) < FEW and self._runs == self._runs_now():
            self._decided()
            return
        self._stale = True
        if self.open:
            self._load()
        self.changed.emit()

    def _runs_now(self) -> dict[str, str | None]:
        """By image, whose nuclei are judged."""
        project = self.session.project
        if project is None:
            return {}
        return {r.name: project.nuclei.adopted_run(r.name) for r in project.images()}

    @property
    def offering(self) -> bool:
        """Whether the outlines at clicks are just being made, to be judged."""
        return self.offers.busy

    def _image_chosen(self) -> None:
        """Another image came to the front: a nucleus of it is under review, or none."""
        image, item = self.session.image, self.item
        if not self.open or self.queue is None:
            return
        if image is None:
            self.end_edit()
            self.nucleus = None
            self._show()
        elif item is None or item.image != image:
            self.end_edit()
            self._go(self._first_of(image))
            self._waits = image if self.nucleus is None else None
            self._show()

    def _first_of(self, image: str) -> int | None:
        """The row of an image's first nucleus without a decision, else of its first one."""
        items = self.queue.items if self.queue is not None else ()
        rows = [r for r, x in enumerate(items) if x.image == image and self.filter.passes(x)]
        still = [row for row in rows if items[row].state == "unreviewed"]
        return next(iter(still or rows), None)

    def _decided(self) -> None:
        """Something was decided, drawn or taken back: by us, by an undo, or elsewhere."""
        if self.queue is None:
            self.changed.emit()
            return
        row, touched = self.row, self._touched()
        changed = self.queue.refresh()
        if len(changed) == 1:
            touched |= set(changed)
        known = sorted(r for r in map(self.queue.row, touched) if r is not None)
        gone = self.nucleus is not None and self.queue.row(self.nucleus) is None
        # what an act, or its undo, was about comes into view; where it took in others, they go
        if known and 0 < len(touched) <= ONE_ACT and (gone or self.nucleus not in touched):
            self._go(known[0])
        elif gone:
            self._go(self._open_after((row or 0) - 1))
        self._show()

    def _touched(self) -> set[str]:
        """Nuclei of this review that somebody's acts have changed since this was asked last."""
        project, since = self.session.project, self._version
        self._version = project.nuclei.version() if project is not None else 0
        if project is None or not self.open or not since or self._version == since:
            return set()
        return set().union(*project.nuclei.touched(since).values())

    def _load(self) -> None:
        project = self.session.project
        self._stale = False
        if project is not None:
            work = partial(ReviewQueue, project, reviewer=reviewer())
            self._submit(work, partial(self._loaded, project))

    def _loaded(self, project: Project, queue: ReviewQueue) -> None:
        if project is not self.session.project:
            return
        self.queue, self._runs = queue, self._runs_now()
        self._version = project.nuclei.version()
        queue.refresh()  # what was decided while it was read
        image = self.session.image
        if self.nucleus is None and image is not None and image == self._waits:
            self._go(self._first_of(image))
        elif self.nucleus is None or queue.row(self.nucleus) is None:
            self._go(self._open_after(-1))
        self._show()

    def _open_after(self, row: int) -> int | None:
        """The next nucleus that is open; where all is decided the first one, to be looked at."""
        if self.queue is None or not len(self.queue):
            return None
        while self._next:
            waiting = self.queue.row(self._next.pop(0))
            if waiting is not None and self.queue.items[waiting].state == "unreviewed":
                return waiting
        if not self.filter.active:
            following = self.queue.following(row)
            return 0 if following is None else following
        order = [(row + step) % len(self.queue) for step in range(1, len(self.queue) + 1)]
        passing = [r for r in order if self.filter.passes(self.queue.items[r])]
        for state in ("unreviewed", "unsure"):
            for at in passing:
                if self.queue.items[at].state == state:
                    return at
        return passing[0] if passing else None

    def narrow(self, wanted: Filter) -> None:
        """Go through these nuclei alone."""
        self.end_edit()
        self.filter = wanted
        item = self.item
        if self.queue is not None and (item is None or not wanted.passes(item)):
            self._go(self._open_after(-1))
        self._show()

    def passing(self) -> list[ReviewItem]:
        """The nuclei that the review goes through, in its order."""
        items = self.queue.items if self.queue is not None else ()
        if not self.filter.active:
            return list(items)
        return [item for item in items if self.filter.passes(item)]

    def above(self, confidence: float) -> list[ReviewItem]:
        """Those of them without a decision that are at least so sure."""
        if self.queue is None:
            return []
        found = self.queue.above(confidence)
        return [x for x in found if self.filter.passes(x)] if self.filter.active else found

    def _go(self, row: int | None) -> None:
        known = self.queue is not None and row is not None
        self.nucleus = self.queue.items[row].id if known else None  # type: ignore[union-attr,index]

    def _show(self) -> None:
        """The image of the nucleus comes to the front, and all is drawn anew."""
        item = self.item
        if self._since[0] != self.nucleus:
            self._since = (self.nucleus, monotonic())
        if self.open and item is not None:
            self._want_clicked(item.image)
            if item.image != self.session.image:
                self.session.show_image(item.image)
        self.changed.emit()

    def _want_clicked(self, image: str) -> None:
        """Ask once for what the clicks alone gave, to be drawn as the old outlines."""
        project = self.session.project
        if project is not None and image not in self._clicked:
            self._clicked[image] = None
            work = partial(clicked_outlines, project, image)
            self._submit(work, partial(self._clicked_found, project, image))

    def _clicked_found(self, project: Project, image: str, found: Any) -> None:
        if project is self.session.project and found is not None:
            self._clicked[image] = found
            self.changed.emit()

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
        decided = False
        with self.session.acting():
            queue.decide([item.id], state, ms=self._looked_ms())
            decided = True
        row = queue.row(item.id)
        if decided and row is not None:
            self._go(self._following(row))
        self._show()

    def _looked_ms(self) -> int | None:
        """How long the nucleus under review has been shown; None for what lay there for long."""
        shown, since = self._since
        ms = round(1000 * (monotonic() - since))
        return ms if shown == self.nucleus and ms < 1000 * LONGEST else None

    @property
    def at_random(self) -> bool:
        """Whether the nucleus under review was drawn at random, to see how right the rest is."""
        return self.queue is not None and self.row is not None and self.queue.drawn() == self.row

    def _following(self, row: int) -> int:
        """The row of what is looked at after a decision on this one."""
        following = self._open_after(row)
        if following is None or self.queue is None:
            return row
        still = self.queue.items[following].state in ("unreviewed", "unsure")
        return following if still or following == self.queue.drawn() else row

    def accept_above(self, confidence: float) -> None:
        """Accept every nucleus without a decision whose confidence is at least this."""
        queue = self.queue
        if queue is None:
            return
        self.end_edit()
        if self.filter.active:
            self.repairs.decide("accepted", [item.id for item in self.above(confidence)])
        else:
            with self.staying(), self.session.acting():
                count = queue.accept_above(confidence)
                self.session.say(f"{count} nuclei accepted; Z takes it back")
        if self.item is not None and self.item.state != "unreviewed":
            self._go(self._following(self.row or 0))
        self._show()

    def undo(self) -> None:
        """Take back the last action and show the nucleus that it was about."""
        self.end_edit()
        self.session.undo()

    def move(self, step: int) -> None:
        """Go along the queue, decided nuclei included."""
        if self.queue is not None and len(self.queue):
            self.end_edit()
            row = self.row if self.row is not None else -1
            for _ in range(len(self.queue)):
                row = (row + step) % len(self.queue)
                if self.filter.passes(self.queue.items[row]):
                    self._go(row)
                    break
            self._show()

    def go_to(self, nucleus: str) -> None:
        """Put this nucleus under review."""
        if self.queue is not None and self.queue.row(nucleus) is not None:
            self.end_edit()
            self.nucleus = nucleus
            self._show()

    def choose(self, place: tuple[float, float]) -> None:
        """Put the nucleus at a place of the image in front, (y, x), under review; the smallest."""
        here = self.at(place)
        if here:
            self.go_to(here[0].id)

    def here(self) -> list[ReviewItem]:
        """The nuclei of the image in front."""
        items = self.queue.items if self.queue is not None else ()
        return [item for item in items if item.image == self.session.image]

    def at(self, place: Place) -> list[ReviewItem]:
        """The nuclei at a place of the image in front, (y, x); the smallest first."""
        found = [item for item in self.here() if item.candidate.outline.holds(*place)]
        return sorted(found, key=lambda item: item.candidate.outline.area)

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
            self._show()

    def follow(self, nuclei: Iterable[str]) -> None:
        """Let these be asked for next."""
        self._next = [*nuclei, *self._next]

    def added(self, nucleus: str) -> None:
        """A nucleus was added by hand: it is under review, also where there was none before."""
        self.session.sync()
        if self.queue is None:
            self._load()
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
        item, queue = self.item, self.queue
        if item is not None and queue is not None:
            with self.session.acting():
                queue.redraw(item.id, outline)
