"""Review: nucleus by nucleus in the order of the queue, each with the reason; a key a decision."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import Any, ClassVar

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QSizePolicy

from napari_noisyseg.gui.canvas import layers
from napari_noisyseg.gui.canvas.closeup import Closeup, centre
from napari_noisyseg.gui.canvas.outlines import PENS
from napari_noisyseg.gui.change import Change, What
from napari_noisyseg.gui.controllers.learning import Learning
from napari_noisyseg.gui.controllers.repairs import MOST_CLASSES
from napari_noisyseg.gui.controllers.review import ReviewController
from napari_noisyseg.gui.controllers.trust import Trust
from napari_noisyseg.gui.docks import StepDock
from napari_noisyseg.gui.docks.review.card import AcceptAbove, ReviewCard
from napari_noisyseg.gui.docks.review.filterrow import FilterRow
from napari_noisyseg.gui.docks.review.imagelist import ImageList
from napari_noisyseg.gui.docks.review.learning import LearningLine
from napari_noisyseg.gui.docks.review.measurements import MeasurementsView
from napari_noisyseg.gui.docks.review.repairing import TOOLS, Repairing
from napari_noisyseg.gui.docks.toggles import ShownKinds
from napari_noisyseg.gui.jobs import Jobs
from napari_noisyseg.gui.keys import Binding
from napari_noisyseg.gui.session import Session
from napari_noisyseg.gui.summary import Summary
from napari_noisyseg.gui.tools.editing import Editing
from napari_noisyseg.gui.tools.kit import kit_of
from napari_noisyseg.gui.tools.lines import Lines
from napari_noisyseg.gui.tools.picking import Picking
from napari_noisyseg.gui.widgets.legend import Legend, Stroke
from napari_noisyseg.gui.widgets.parts import More, button, column, label, line
from napari_noisyseg.gui.window import files
from napari_noisyseg.store.records import State

VIEW_UM = 40.0
"""what the canvas's shorter side shows of the tissue around a nucleus"""
FILTER = "Filter"


class ReviewDock(StepDock):
    """Draws the review: the nucleus, the decisions on it, and what they say so far."""

    step: ClassVar[str] = "review"
    title: ClassVar[str] = "Review"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.jobs = Jobs(self)
        self.review = ReviewController(session, self._submit)
        self.lessons = Jobs(self)
        self.counts = Jobs(self)
        self.trust = Trust(self.review, self._submit_count)
        self.learning = Learning(session, self._submit_lesson)
        self.closeup = Closeup(session.viewer)
        self.editing = Editing(session, self.review.redraw)
        self.picking = Picking(session, self.review.choose)
        self.lines = Lines(session, self.review.repairs, self.closeup)
        self._centred: Any = None
        self._grid: Any = None
        self._build()
        self._bind_keys()
        self.review.changed.connect(self._soon)
        self.trust.changed.connect(self._soon)
        # whoever heard of the nuclei while the labels were still being written read old ones
        self.review.adopted.connect(lambda: kit_of(session).results.forget())
        self._deaf = session.on(What.LAYERS, self._layer_gone)
        self.above.wanted.connect(self.review.accept_above)
        self.filters.changed.connect(self.review.narrow)
        self.images.chosen.connect(session.show_image)
        for more in (self.filter_more, self.images_more):
            more.toggle.toggled.connect(self._soon)
        self.measurements.chosen.connect(self.review.go_to)
        self.table.toggle.toggled.connect(self.measurements.open)
        self._drawing = QTimer(self, singleShot=True, interval=0)
        self._drawing.timeout.connect(self._draw)
        self._draw()

    def _submit(self, work: Any, done: Any, failed: Any = None) -> None:
        self.jobs.do(work, done, failed or self.session.failed)

    def _submit_lesson(self, work: Any, done: Any, failed: Any = None) -> None:
        self.lessons.do(work, done, failed or self.session.failed)

    def _submit_count(self, work: Any, done: Any, failed: Any = None) -> None:
        self.counts.do(work, done, failed or self.session.failed)

    # --- building ------------------------------------------------------------------------------

    def _build(self) -> None:
        self.card = ReviewCard()
        self.above = AcceptAbove(self.review.above)
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
        self.table = More(self.measurements, title="Measurements of every nucleus")
        box.addWidget(self.table)
        self.export_button = button(
            "Export nuclei…", "All refined nuclei or only accepted ones, in the format you choose",
            lambda: files.export(self.session, self),
        )  # fmt: skip
        box.addWidget(self.export_button)
        box.addStretch()

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
        self.back_button = button("←", "The one before (Left)", partial(self.review.move, -1))
        self.undo_button = button("Undo", "Take back the last action (Z)", self.review.undo)
        self.hide_button = button("Hide", "Hide the masks while pressed (H)", lambda: None)
        self.hide_button.pressed.connect(lambda: self._bare(True))
        self.hide_button.released.connect(lambda: self._bare(False))
        self.grid_button = button(
            "Grid", "Many nuclei side by side: click the wrong ones, accept the rest (G)",
            self.show_grid,
        )  # fmt: skip
        self.next_button = button("→", "The next one (Right)", partial(self.review.move, 1))
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
            Binding("A", "accept", partial(self.review.decide, "accepted")),
            Binding("R", "reject", partial(self.review.decide, "rejected")),
            Binding("U", "unsure", partial(self.review.decide, "unsure")),
            *(
                Binding(key, tip, partial(repairs.use, mode), footer=False)
                for mode, _, key, tip in TOOLS
            ),
            *(
                Binding(
                    str(n),
                    "class of that number; again: none",
                    partial(repairs.name, n),
                    footer=False,
                )
                for n in range(1, MOST_CLASSES + 1)
            ),
            Binding("G", "many nuclei side by side", self.show_grid, footer=False),
            Binding("C", "comment", self.repairing.comment.begin, footer=False),
            Binding("Esc", "lay the tool down", repairs.drop, footer=False),
            Binding("X", "erase while editing", self.editing.erase, footer=False),
            Binding("Z", "undo", self.review.undo),
            Binding("H", "hide while held", lambda: self._bare(True), lambda: self._bare(False)),
            Binding("Left", "previous", partial(self.review.move, -1), footer=False),
            Binding("Right", "next", partial(self.review.move, 1), footer=False),
        )

    def closing(self) -> None:
        """The window is going."""
        self._drawing.stop()
        self.repairing.comment.keep()
        if self._grid is not None:
            self._grid.close()
        self._deaf()
        self.review.close()
        self.trust.close()
        self.learning.close()
        self.lessons.close()
        self.counts.close()
        self.maps.closing()
        self.jobs.close()

    def enter(self) -> None:
        """The step was opened: show where the review stands."""
        self._centred = None
        self.review.enter()
        self.trust.ask()

    def leave(self) -> None:
        """The step was closed: our outlines go from the canvas."""
        self.repairing.comment.keep()
        self.review.leave()
        self.editing.end()
        self.lines.lay()
        self.picking.lay()
        self.closeup.remove()

    def _layer_gone(self, change: Change) -> None:
        """A person has deleted the layer under the brush: nothing is edited any more.

        The outlines of the nucleus under review come back.
        """
        if self.editing.active and self.editing.layer() is None:
            self.review.end_edit()
        elif self.review.open and self.review.item is not None and self.closeup.layer is None:
            self._soon()

    def _bare(self, bare: bool) -> None:
        self.session.look(bare=bare)

    # --- what is shown -------------------------------------------------------------------------

    def summary(self) -> Summary:
        """How far the review is."""
        return self.review.summary()

    def _soon(self) -> None:
        """One drawing for all that one act changes."""
        self._drawing.start()

    def _draw(self) -> None:
        review, item = self.review, self.review.item
        self.card.show_item(item, review.progress(), review.repairs.hint, review.offering)
        self.repairing.show_item(item)
        self._draw_lists()
        self.above.show_queue(review.queue)
        self._draw_rest()
        for made in (self.accept_button, self.reject_button, self.unsure_button, self.hide_button):
            made.setEnabled(item is not None)
        for made in (self.back_button, self.next_button):
            made.setEnabled(review.queue is not None and len(review.queue) > 0)
        self.undo_button.setEnabled(self.session.project is not None)
        self.measurements.show_queue(review.queue)
        if item is not None:
            self.measurements.follow(item)
        with self.session.guard(), self.session.together() if self._relays() else nullcontext():
            self._draw_canvas()
        self.changed.emit()

    def _draw_rest(self) -> None:
        """How right the nuclei are that nobody looked at."""
        if self.trust.found is None:
            self.trust.ask()
        words = self.trust.words
        self.rest.setText(words)
        self.rest.setVisible(bool(words))

    def _draw_lists(self) -> None:
        """Filters and images, where they are open; which nuclei pass is said in any case."""
        review, session = self.review, self.session
        self.filters.set_filter(review.filter)
        if self.filter_more.toggle.isChecked():
            self.filters.list_choices(session.project, review.queue, session.image or "")
        words = FILTER
        if review.filter.active and review.queue is not None:
            words = f"{FILTER} · {len(review.passing())} of {len(review.queue)} nuclei"
        self.filter_more.toggle.setText(words)
        self.images_more.setVisible(session.project is not None and len(session.front.names()) > 1)
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

    def _relays(self) -> bool:
        """Whether layers come, go, or are of another image: napari then draws just once."""
        layer, review, item = self.closeup.layer, self.review, self.review.item
        of = layers.image_name(layer) if layer is not None else None
        here = review.open and item is not None and item.image == self.session.image
        wanted = self.session.image if here else None
        return of != wanted or (here and review.editing) != self.editing.active

    def _draw_canvas(self) -> None:
        review, item, project = self.review, self.review.item, self.session.project
        here = item is not None and project is not None and item.image == self.session.image
        if not review.open or not here:
            self.editing.end()
            self.closeup.remove()
            self._lend()
            return
        assert item is not None
        assert project is not None
        record = project.image(item.image)
        if self._centred != item.id:
            self._centred = item.id
            # whoever adds nuclei sees them come where the click was
            if review.repairs.mode != "add":
                centre(self.session.viewer, record, (item.candidate.y, item.candidate.x), VIEW_UM)
        new, old = review.outlines()
        if review.editing and new is not None:
            self.closeup.clear()
            self.editing.show(record, item.id, new)
        else:
            self.editing.end()
            self._lend()
            self.closeup.show(record, new, old, review.chosen_outlines())

    def _lend(self) -> None:
        """The tool in use is in the hand; where none is, a click chooses a nucleus."""
        mode = self.review.repairs.mode
        if self.review.open and mode and mode != "brush":
            self.picking.lay()
            self.lines.take()
        elif self.review.open:
            self.lines.lay()
            self.picking.take()
        else:
            self.lines.lay()
            self.picking.lay()
