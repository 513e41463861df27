"""Review: nucleus by nucleus, the most doubtful first, each with the reason; one key a decision."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any, ClassVar

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QSizePolicy

from napari_noisyseg.gui.canvas import layers
from napari_noisyseg.gui.canvas.closeup import COARSE, Closeup, Hiding, centre
from napari_noisyseg.gui.canvas.editing import Editing
from napari_noisyseg.gui.canvas.repaint import repaint
from napari_noisyseg.gui.docks import StepDock
from napari_noisyseg.gui.docks.review.card import AcceptAbove, ReviewCard
from napari_noisyseg.gui.docks.review.measurements import MeasurementsView
from napari_noisyseg.gui.docks.toggles import MapToggles
from napari_noisyseg.gui.jobs import Jobs
from napari_noisyseg.gui.keys import Binding
from napari_noisyseg.gui.session import Session
from napari_noisyseg.gui.summary import Summary
from napari_noisyseg.gui.widgets.parts import More, button, column, label, line
from napari_noisyseg.gui.window import files
from napari_noisyseg.review.before import clicked_outlines, old_outline
from napari_noisyseg.review.queue import ReviewItem, ReviewProgress, ReviewQueue
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import Outline, State

VIEW_UM = 40.0
"""what the canvas's shorter side shows of the tissue around a nucleus"""
SETTLE_MS = 300


class ReviewDock(StepDock):
    """The nucleus under review, the decisions on it, and what the decisions so far say."""

    step: ClassVar[str] = "review"
    title: ClassVar[str] = "Review"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.jobs = Jobs(self)
        self.closeup = Closeup(session.viewer)
        self.hiding = Hiding(session.viewer)
        self.clearing = Hiding(session.viewer, COARSE | {"points", "fields", "suggested"})
        self.editing = Editing(session.viewer, self._redrawn)
        self.queue: ReviewQueue | None = None
        self._row: int | None = None
        self._open = self._own = False
        self._stale = True
        self._clicked: dict[str, Any] = {}
        self._content: Any = None
        self._build()
        self._bind_keys()
        self._connect()
        self._forget()

    # --- building ------------------------------------------------------------------------------

    def _build(self) -> None:
        self.card = ReviewCard()
        self.above = AcceptAbove()
        self.maps = MapToggles(self.session, self.jobs)
        self.measurements = MeasurementsView(self.session, self.jobs)
        box = column(self)
        box.addWidget(self.card)
        box.addLayout(line(*self._decisions(), spacing=4))
        box.addLayout(line(*self._moves(), spacing=4))
        box.addWidget(self.maps)
        box.addWidget(label("Thick white: the outline now. Thin orange: before.", "quiet"))
        box.addWidget(self.above)
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
            made = button(words, f"{words[2:]} ({key})", partial(self.decide, state))
            made.setMinimumHeight(40)
            made.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
            found.append(made)
        self.accept_button, self.reject_button, self.unsure_button = found
        return found

    def _moves(self) -> list[Any]:
        self.back_button = button("←", "The one before (Left)", partial(self.move, -1))
        self.edit_button = button("Edit", "Correct the outline with a brush (E)", self.edit)
        self.undo_button = button("Undo", "Take back the last action (Z)", self.undo)
        self.hide_button = button("Hide", "Hide the masks while pressed (H)", lambda: None)
        self.hide_button.pressed.connect(self.hiding.hide)
        self.hide_button.released.connect(self.hiding.back)
        self.next_button = button("→", "The next one (Right)", partial(self.move, 1))
        found = [self.back_button, self.edit_button, self.undo_button, self.hide_button,
                 self.next_button]  # fmt: skip
        for made in found:
            made.setMinimumWidth(36)
            made.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        return found

    def _bind_keys(self) -> None:
        self.session.keys.bind(
            self.step,
            Binding("A", "accept", partial(self.decide, "accepted")),
            Binding("R", "reject", partial(self.decide, "rejected")),
            Binding("U", "unsure", partial(self.decide, "unsure")),
            Binding("E", "edit", self.edit),
            Binding("X", "erase while editing", self.editing.erase, footer=False),
            Binding("Z", "undo", self.undo),
            Binding("H", "hide while held", self.hiding.hide, self.hiding.back),
            Binding("Left", "previous", partial(self.move, -1), footer=False),
            Binding("Right", "next", partial(self.move, 1), footer=False),
        )

    def _connect(self) -> None:
        session = self.session
        session.project_changed.connect(self._forget, max_args=0)
        session.runs_changed.connect(self._outdate, max_args=0)
        session.annotation_changed.connect(self._outdate, max_args=0)
        session.review_changed.connect(self._reviewed, max_args=0)
        self.above.wanted.connect(self.accept_above)
        self.measurements.chosen.connect(self.go_to)
        self.table.toggle.toggled.connect(self.measurements.open)
        self._settle = QTimer(self, singleShot=True, interval=SETTLE_MS)
        self._settle.timeout.connect(self._load)

    def closing(self) -> None:
        """The window is going."""
        session = self.session
        session.project_changed.disconnect(self._forget)
        session.runs_changed.disconnect(self._outdate)
        session.annotation_changed.disconnect(self._outdate)
        session.review_changed.disconnect(self._reviewed)
        self._settle.stop()
        self.maps.closing()
        self.jobs.close()

    def enter(self) -> None:
        """The step was opened: show where the review stands."""
        super().enter()
        self._open = True
        self.clearing.hide()
        if self._stale:
            self._load()
        else:
            self._show_item()

    def leave(self) -> None:
        """The step was closed: our outlines go from the canvas."""
        self._open = False
        self.editing.end()
        self.hiding.back()
        self.closeup.remove()
        self.clearing.back()
        super().leave()

    # --- the queue -----------------------------------------------------------------------------

    def _forget(self) -> None:
        """Another project, or other images; an undo alone, which says so too, changes neither."""
        project = self.session.project
        content = (project, [record.name for record in project.images()] if project else [])
        if content == self._content:
            return
        self._content = content
        self.queue, self._row = None, None
        self._clicked.clear()
        self._outdate()
        self._show()

    def _outdate(self) -> None:
        self._stale = True
        if self._open:
            self._settle.start()
        self.changed.emit()

    def _load(self) -> None:
        project = self.session.project
        self._stale = False
        if project is not None:
            self.jobs.do(partial(ReviewQueue, project), partial(self._loaded, project), self._no)

    def _want_clicked(self, project: Project, image: str) -> None:
        """Ask once for what the clicks alone gave, to be drawn as the old outlines."""
        if image not in self._clicked:
            self._clicked[image] = None
            work = partial(clicked_outlines, project, image)
            self.jobs.do(work, partial(self._clicked_found, project, image), self._no)

    def _clicked_found(self, project: Project, image: str, found: Any) -> None:
        if project is self.session.project and found is not None:
            self._clicked[image] = found
            if self._open and self.item is not None and self.item.image == image:
                self._draw()

    def _no(self, error: BaseException) -> None:
        with self.session.guard():
            raise error

    def _loaded(self, project: Project, queue: ReviewQueue) -> None:
        if project is not self.session.project:
            return
        item = self.item
        self.queue = queue
        self._row = queue.row(item.id) if item is not None else None
        if self._row is None:
            self._row = queue.open_after(-1)
        self.above.suggest(queue)
        self._show()

    def _reviewed(self) -> None:
        """A decision was made or taken back: by us, by an undo, or elsewhere."""
        if self.queue is None or self._own:
            return
        with self.session.guard():
            item, changed = self.item, self.queue.refresh()
            for nucleus in changed[:50]:
                self._repaint(nucleus)
            if len(changed) == 1:
                self._row = self.queue.row(changed[0])
            elif item is not None:
                self._row = self.queue.row(item.id)
            if self._row is None:
                self._row = self.queue.open_after(-1)
            if self.editing.active:
                self.editing.end()
                self.edit()
        self._show()

    @property
    def item(self) -> ReviewItem | None:
        """The nucleus under review."""
        if self.queue is None or self._row is None or self._row >= len(self.queue):
            return None
        return self.queue.items[self._row]

    # --- what a person does --------------------------------------------------------------------

    def decide(self, state: State) -> None:
        """Decide on the nucleus under review and go on to the next one without a decision."""
        item = self.item
        if item is None or self.queue is None or self._row is None:
            return
        self.editing.end()
        with self.session.guard():
            self.queue.decide([item.id], state)
            self._repaint(item.id)
            self._decided()
            following = self.queue.open_after(self._row)
            self._row = self._row if following is None else following
        self._show()

    def accept_above(self, confidence: float) -> None:
        """Accept every nucleus without a decision whose confidence is at least this."""
        if self.queue is None:
            return
        with self.session.guard():
            count = self.queue.accept_above(confidence)
            self._decided()
            self.session.say(f"{count} nuclei accepted; Z takes it back")
            if self.item is not None and self.item.state != "unreviewed":
                self._row = self.queue.open_after(self._row or 0)
        self._show()

    def _decided(self) -> None:
        self.session.saved_at = datetime.now()
        self._own = True
        try:
            self.session.review_changed.emit()
        finally:
            self._own = False

    def undo(self) -> None:
        """Take back the last action and show the nucleus that it was about."""
        self.editing.end()
        self.session.undo()

    def move(self, step: int) -> None:
        """Go along the queue, decided nuclei included."""
        if self.queue is None or not len(self.queue):
            return
        self.editing.end()
        self._row = ((self._row or 0) + step) % len(self.queue)
        self._show()

    def go_to(self, nucleus: str) -> None:
        """Put this nucleus under review."""
        row = self.queue.row(nucleus) if self.queue is not None else None
        if row is not None:
            self.editing.end()
            self._row = row
            self._show()

    def edit(self) -> None:
        """Begin to correct the outline, or end it."""
        item = self.item
        if item is None or self.queue is None or self.session.project is None:
            return
        if self.editing.active:
            self.editing.end()
        else:
            with self.session.guard():
                self.session.keys.scope = self.step
                record = self.session.project.image(item.image)
                self.closeup.remove()
                self.editing.begin(record, self.queue.outline(item))
        self._show()

    def _redrawn(self, outline: Outline) -> None:
        item = self.item
        if item is None or self.queue is None:
            return
        with self.session.guard():
            self.queue.redraw(item.id, outline)
            self._repaint(item.id)
            self._decided()

    # --- what is shown -------------------------------------------------------------------------

    def _show(self) -> None:
        progress = self.queue.progress() if self.queue is not None else ReviewProgress(0, 0, 0, 0)
        self.card.show_item(self.item, progress, editing=self.editing.active)
        self.above.show_queue(self.queue)
        here = self.item is not None
        for made in (self.accept_button, self.reject_button, self.unsure_button, self.back_button,
                     self.next_button, self.edit_button, self.hide_button):  # fmt: skip
            made.setEnabled(here)
        self.undo_button.setEnabled(self.session.project is not None)
        self.edit_button.setText("Done" if self.editing.active else "Edit")
        self.measurements.show_queue(self.queue)
        if self.item is not None:
            self.measurements.follow(self.item)
        if self._open and not self.editing.active:
            self._show_item()
        self.changed.emit()

    def _show_item(self) -> None:
        item, project = self.item, self.session.project
        if item is None or project is None or self.queue is None:
            self.closeup.remove()
            return
        with self.session.guard():
            if item.image != self.session.image:
                self.session.show_image(item.image)
            record, viewer = project.image(item.image), self.session.viewer
            centre(viewer, record, (item.candidate.y, item.candidate.x), VIEW_UM)
            self._want_clicked(project, item.image)
            self._draw()

    def _draw(self) -> None:
        item, project = self.item, self.session.project
        if item is not None and project is not None and self.queue is not None:
            record = project.image(item.image)
            old = old_outline(project, item, self._clicked.get(item.image))
            self.closeup.show(record, self.queue.outline(item), old)

    def _repaint(self, nucleus: str) -> None:
        row = self.queue.row(nucleus) if self.queue is not None else None
        if self.queue is None or self.session.project is None or row is None:
            return
        item = self.queue.items[row]
        layer = layers.find(self.session.viewer, item.image, "refined")
        if layer is not None:
            record = self.session.project.image(item.image)
            repaint(layer, item, self.queue.outline(item), (record.height, record.width))

    def summary(self) -> Summary:
        """How far the review is; from the project's counts until the queue is read."""
        project = self.session.project
        if project is None:
            return Summary("nothing to review yet")
        if self.queue is not None and not self._stale:
            progress = self.queue.progress()
        else:
            c = project.nuclei.counts()
            progress = ReviewProgress(c.candidates, c.accepted, c.rejected, c.unsure)
        text = progress.words()
        if progress.reviewed:
            text = text.replace(" reviewed", "")
        done = progress.total > 0 and progress.reviewed >= progress.total
        return Summary(text, "done" if done else "todo")
