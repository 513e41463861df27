"""Review: nucleus by nucleus in the order of the queue, each with the reason; a key a decision."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QCheckBox, QSizePolicy

from napari_noisyseg.gui.canvas.outlines import PENS, outline_paths
from napari_noisyseg.gui.change import Change, What
from napari_noisyseg.gui.controllers.learning import Learning
from napari_noisyseg.gui.controllers.nextround import NextRound
from napari_noisyseg.gui.controllers.people import People
from napari_noisyseg.gui.controllers.repairs import MOST_CLASSES
from napari_noisyseg.gui.controllers.review import ReviewController
from napari_noisyseg.gui.controllers.shapes import Shapes
from napari_noisyseg.gui.controllers.trust import Trust
from napari_noisyseg.gui.docks import StepDock
from napari_noisyseg.gui.docks.review.card import AcceptAbove, ReviewCard
from napari_noisyseg.gui.docks.review.filterrow import FilterRow
from napari_noisyseg.gui.docks.review.imagelist import ImageList
from napari_noisyseg.gui.docks.review.learning import LearningLine
from napari_noisyseg.gui.docks.review.measurements import MeasurementsView
from napari_noisyseg.gui.docks.review.oncanvas import OnCanvas
from napari_noisyseg.gui.docks.review.people import TwoPeople
from napari_noisyseg.gui.docks.review.repairing import TOOLS, Repairing
from napari_noisyseg.gui.docks.review.rounds import TITLE as ROUNDS
from napari_noisyseg.gui.docks.review.rounds import RoundsOfReview
from napari_noisyseg.gui.docks.toggles import ShownKinds
from napari_noisyseg.gui.jobs import Jobs
from napari_noisyseg.gui.keys import Binding
from napari_noisyseg.gui.session import Session
from napari_noisyseg.gui.settings import keep, setting
from napari_noisyseg.gui.summary import Summary
from napari_noisyseg.gui.tools.kit import kit_of
from napari_noisyseg.gui.widgets.legend import Legend, Stroke
from napari_noisyseg.gui.widgets.parts import More, button, column, label, line, offer
from napari_noisyseg.gui.widgets.theme import Palette, palette
from napari_noisyseg.gui.window import files
from napari_noisyseg.store.records import State

FILTER = "Filter"
NOT_SHOWN = "Its image could not be opened. Choose the image to try it again, or go on with A."
UNSEEN = What.FIELDS | What.ROUGH
"""a review looks the same after these, but there is something else to undo"""
BREATH_MS = 30
"""after a nucleus was drawn, until the next ones are made ready"""


class ReviewDock(StepDock):
    """Draws the review: the nucleus, the decisions on it, and what they say so far."""

    step: ClassVar[str] = "review"
    title: ClassVar[str] = "Review"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.jobs = Jobs(self)
        self.lessons, self.counts, self.ahead = Jobs(self), Jobs(self), Jobs(self)
        name = setting("review", "reviewer", "")
        shapes = Shapes(self._submit_ahead, outline_paths)
        self.review = ReviewController(session, self._submit, shapes, name)
        self.trust = Trust(self.review, self._submit_count)
        self.people = People(self.review, self._submit_count)
        self.next_round = NextRound(session, self._submit_count)
        self.learning = Learning(session, self._submit_lesson)
        self.canvas = OnCanvas(self.review)
        self._grid: Any = None
        self._named = self.review.who.name
        self._build()
        self._bind_keys()
        self.review.changed.connect(self._soon)
        self.trust.changed.connect(self._draw_rest)
        for part in (self.people, self.next_round):
            part.changed.connect(self._soon)
        # whoever heard of the nuclei while the labels were still being written read old ones
        self.review.adopted.connect(lambda: kit_of(session).results.forget())
        self._deaf = session.on(What.LAYERS | What.VIEW | UNSEEN, self._follow)
        self.above.wanted.connect(self.review.accept_above)
        self.filters.changed.connect(self.review.narrow)
        self.images.chosen.connect(self.review.sight.look_at)
        for more in (self.filter_more, self.images_more):
            more.toggle.toggled.connect(self._soon)
        self.measurements.chosen.connect(self.review.go_to)
        self.table.toggle.toggled.connect(self.measurements.open)
        self.people_more.toggle.toggled.connect(self.people.look)
        self.rounds_more.toggle.toggled.connect(self._look_at_rounds)
        self._breath = QTimer(self, singleShot=True, interval=BREATH_MS)
        self._breath.timeout.connect(self.review.look_ahead)
        self._drawing = QTimer(self, singleShot=True, interval=0)
        self._drawing.timeout.connect(self._draw)
        self._draw()

    def _submit(self, work: Any, done: Any, failed: Any = None) -> None:
        self.jobs.do(work, done, failed or self.session.failed)

    def _submit_lesson(self, work: Any, done: Any, failed: Any = None) -> None:
        self.lessons.do(work, done, failed or self.session.failed)

    def _submit_count(self, work: Any, done: Any, failed: Any = None) -> None:
        self.counts.do(work, done, failed or self.session.failed)

    def _submit_ahead(self, work: Any, done: Any, failed: Any = None) -> None:
        self.ahead.do(work, done, failed or self.session.failed)

    # --- building ------------------------------------------------------------------------------

    def _build(self) -> None:
        self.card = ReviewCard()
        self.above = AcceptAbove(self.review.course.above)
        self.repairing = Repairing(self.review.repairs)
        self.edit_button = self.repairing.tools.buttons["brush"]
        self.maps = ShownKinds(self.session)
        self.measurements = MeasurementsView(self.session, self.jobs)
        box = column(self)
        box.addWidget(self.card)
        box.addLayout(line(*self._decisions(), spacing=4))
        box.addLayout(line(*self._moves(), spacing=4))
        box.addWidget(self.repairing)
        box.addWidget(self.maps)
        self.by_class = QCheckBox("Colour by class")
        self.by_class.setToolTip(
            "Outlines in the colours of their classes; the line style shows the decision (V)"
        )
        self.by_class.clicked.connect(lambda wanted: self.session.look(by_class=wanted))
        box.addWidget(self.by_class)
        box.addWidget(
            Legend((Stroke("the outline now", PENS["now"]), Stroke("before", PENS["before"])))
        )
        self.filters, self.images = FilterRow(), ImageList()
        self.filter_more = More(self.filters, title=FILTER)
        self.images_more = More(self.images, title="Images")
        box.addWidget(self.filter_more)
        box.addWidget(self.images_more)
        box.addWidget(self.above)
        self.rest = label(role="quiet", wrap=True)
        box.addWidget(self.rest)
        self.lesson = LearningLine(self.learning)
        box.addWidget(self.lesson)
        self.two = TwoPeople(self.people, self.review)
        self.people_more = More(self.two, title=self.two.title())
        self.rounds: RoundsOfReview | None = None
        self.rounds_more = More(title=ROUNDS)
        self.table = More(self.measurements, title="Measurements of every nucleus")
        for part in (self.people_more, self.rounds_more, self.table):
            box.addWidget(part)
        box.addLayout(line(*self._ends(), spacing=4))
        box.addStretch()

    def _ends(self) -> list[Any]:
        self.export_button = button(
            "Export nuclei…", "All refined nuclei or only accepted ones, in the format you choose",
            lambda: files.export(self.session, self),
        )  # fmt: skip
        self.round_button = button(
            "Next round", "Train again with the last settings and your decisions so far (T)",
            self.next_round.begin,
        )  # fmt: skip
        ends = [self.round_button, self.export_button]
        for made in ends:
            made.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        return ends

    def _decisions(self) -> list[Any]:
        found = []
        choices: tuple[tuple[str, str, State], ...] = (
            ("✓ Accept", "A", "accepted"),
            ("✗ Reject", "R", "rejected"),
            ("? Unsure", "U", "unsure"),
        )
        for words, key, state in choices:
            made = button(words, f"{words[2:]} ({key})", partial(self.review.decide, state))
            made.setMinimumHeight(40)
            made.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
            found.append(made)
        self.accept_button, self.reject_button, self.unsure_button = found
        return found

    def _moves(self) -> list[Any]:
        self.back_button = button("←", "Previous nucleus (Left)", partial(self.review.move, -1))
        self.undo_button = button("Undo", "Take back the last action (Z)", self.review.undo)
        self.hide_button = button("Hide", "Hide the masks while pressed (H)", lambda: None)
        self.hide_button.pressed.connect(lambda: self._bare(True))
        self.hide_button.released.connect(lambda: self._bare(False))
        self.grid_button = button(
            "Grid", "Many nuclei side by side: click the wrong ones, accept the rest (G)",
            self.show_grid,
        )  # fmt: skip
        self.next_button = button("→", "Next nucleus (Right)", partial(self.review.move, 1))
        found = [self.back_button, self.undo_button, self.hide_button, self.grid_button,
                 self.next_button]  # fmt: skip
        for made in found:
            made.setMinimumWidth(36)
            made.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        return found

    def _bind_keys(self) -> None:
        repairs = self.review.repairs
        self.session.keys.bind(
            self.step,
            Binding("A", "accept", self._now(partial(self.review.decide, "accepted"))),
            Binding("R", "reject", self._now(partial(self.review.decide, "rejected"))),
            Binding("U", "unsure", self._now(partial(self.review.decide, "unsure"))),
            *(
                Binding(key, tip, partial(repairs.use, mode), footer=False)
                for mode, _, key, tip in TOOLS
            ),
            *(
                Binding(
                    str(n),
                    "class of that number; again: no class",
                    partial(repairs.name, n),
                    footer=False,
                )
                for n in range(1, MOST_CLASSES + 1)
            ),
            Binding("T", "next round of training", self.next_round.begin, footer=False),
            Binding("G", "many nuclei side by side", self.show_grid, footer=False),
            Binding("V", "colour by class", self._flip_colours, footer=False),
            Binding("C", "comment", self.repairing.comment.begin, footer=False),
            Binding("Esc", "put the tool away", repairs.drop, footer=False),
            Binding("X", "erase while editing", self.canvas.editing.erase, footer=False),
            Binding("Z", "undo", self._now(self.review.undo)),
            Binding("H", "hide while held", lambda: self._bare(True), lambda: self._bare(False)),
            Binding("Left", "previous", self._now(partial(self.review.move, -1)), footer=False),
            Binding("Right", "next", self._now(partial(self.review.move, 1)), footer=False),
        )

    def closing(self) -> None:
        """The window is going."""
        self._drawing.stop()
        self._breath.stop()
        self.repairing.comment.keep()
        if self._grid is not None:
            self._grid.close()
        self._deaf()
        self.review.close()
        for part in (self.trust, self.people, self.next_round, self.learning):
            part.close()
        self.maps.closing()
        for jobs in (self.lessons, self.counts, self.ahead, self.jobs):
            jobs.close()

    def enter(self) -> None:
        """The step was opened: show where the review stands."""
        self.canvas.shown = None
        self.review.enter()
        self.trust.ask()

    def leave(self) -> None:
        """The step was closed: our outlines go from the canvas."""
        self.repairing.comment.keep()
        self.review.leave()
        self.canvas.leave()

    def _follow(self, change: Change) -> None:
        if change.what & What.LAYERS:
            self._layer_gone()
        if change.what & What.VIEW:
            self.by_class.setChecked(self.session.view.by_class)
        if change.what & UNSEEN:
            self._soon()

    def _layer_gone(self) -> None:
        """A person has deleted the layer under the brush: nothing is edited any more.

        The outlines of the nucleus under review come back.
        """
        editing = self.canvas.editing
        if editing.active and editing.layer() is None:
            self.review.end_edit()
        elif self.canvas.lacks():
            self._soon()

    def _flip_colours(self) -> None:
        self.session.look(by_class=not self.session.view.by_class)

    def _bare(self, bare: bool) -> None:
        self.session.look(bare=bare)

    # --- what is shown -------------------------------------------------------------------------

    def summary(self) -> Summary:
        """How far the review is."""
        return self.review.reading.summary()

    def _soon(self) -> None:
        """One drawing for all that one act changes."""
        self._drawing.start()

    def _now(self, act: Callable[[], object]) -> Callable[[], None]:
        """An act after which all is drawn at once: the window is not painted in between."""

        def acting() -> None:
            act()
            if self._drawing.isActive():
                self._drawing.stop()
                self._draw()

        return acting

    def _draw(self) -> None:
        review, item = self.review, self.review.item
        self.card.show_item(item, review.progress(), self._hint(), review.offering)
        self.repairing.show_item(review.shown)
        self._draw_lists()
        self.above.show_queue(review.queue)
        self._draw_rest()
        self._draw_people()
        self.hide_button.setEnabled(item is not None)
        judged = review.shown is not None or bool(review.repairs.chosen)
        for made in (self.accept_button, self.reject_button, self.unsure_button):
            made.setEnabled(judged)
        for made in (self.back_button, self.next_button):
            made.setEnabled(review.queue is not None and len(review.queue) > 0)
        offer(self.undo_button, "Take back", self.session.undoing.next().undo, "Z")
        self.measurements.show_queue(review.queue)
        if item is not None:
            self.measurements.follow(item)
        with self.session.guard():
            self.canvas.draw()
        self._breath.start()
        self.changed.emit()

    def _hint(self) -> str:
        """What to do with the tool, why the nucleus is not seen, or what two people said of it."""
        review, item = self.review, self.review.item
        if review.repairs.hint or item is None:
            return review.repairs.hint
        return NOT_SHOWN if review.shown is None else self.people.said(item.id)

    def _draw_people(self) -> None:
        """Who judges; a second person has nothing but decisions to make."""
        self.two.show_it()
        self.people_more.toggle.setText(self.two.title())
        alone = not self.review.who.blind
        for part in (self.repairing, self.above, self.lesson, self.maps, self.by_class,
                     self.rounds_more, self.round_button):  # fmt: skip
            part.setVisible(alone)
        self.round_button.setEnabled(not self.next_round.starting)
        if self.review.who.name != self._named:
            self._named = self.review.who.name
            keep("review", "reviewer", self._named)

    def _look_at_rounds(self, looks: bool) -> None:
        """The table and its plot are made when they are first asked for."""
        if self.rounds is None:
            self.rounds = RoundsOfReview(self.next_round)
            self.rounds_more.body.layout().addWidget(self.rounds)
            self.rounds.restyle(palette(self))  # the window's theme may not be that of the settings
        self.next_round.look(looks)

    def restyle(self, palette: Palette) -> None:
        """The plot takes on the theme's colours."""
        if self.rounds is not None:
            self.rounds.restyle(palette)

    def _draw_rest(self) -> None:
        """How right the nuclei are that nobody looked at."""
        if self.trust.due:
            self.trust.ask()
        words = "" if self.review.who.blind else self.trust.words
        self.rest.setText(words)
        self.rest.setVisible(bool(words))

    def _draw_lists(self) -> None:
        """Filters and images, where they are open; which nuclei pass is said in any case."""
        review, session = self.review, self.session
        self.filters.set_filter(review.course.filter)
        if self.filter_more.toggle.isChecked():
            self.filters.list_choices(session.project, review.queue, session.image or "")
        words = FILTER
        if review.course.filter.active and review.queue is not None:
            words = f"{FILTER} · {len(review.course.passing())} of {len(review.queue)} nuclei"
        self.filter_more.toggle.setText(words)
        many = session.project is not None and len(session.front.names()) > 1
        self.images_more.setVisible(many and not review.who.blind)
        if self.images_more.toggle.isChecked():
            self.images.show_project(session.project, session.image)

    def show_grid(self) -> None:
        """Many nuclei side by side, in a window of its own."""
        from napari_noisyseg.gui.window.grid import Grid

        if self.review.queue is None or not len(self.review.queue):
            return
        if self._grid is None:
            self._grid = Grid(self.review, self)
            self._grid.finished.connect(self._grid_closed)
        self._grid.show()
        self._grid.raise_()
        self._grid.activateWindow()

    def _grid_closed(self, _: int = 0) -> None:
        self._grid = None
