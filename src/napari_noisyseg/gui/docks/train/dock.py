"""Train: one button, a method chosen already, and the run while it goes on in its own process."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QLabel, QPushButton, QVBoxLayout

from napari_noisyseg.events import Previewed
from napari_noisyseg.gui.change import ANNOTATION, FRONT, Change, What
from napari_noisyseg.gui.controllers import train
from napari_noisyseg.gui.controllers.adoption import Adoption
from napari_noisyseg.gui.controllers.follow import POLL_MS, Follower
from napari_noisyseg.gui.controllers.previews import LivePreview
from napari_noisyseg.gui.controllers.runspec import Choice
from napari_noisyseg.gui.docks import StepDock
from napari_noisyseg.gui.docks.toggles import ShownKinds
from napari_noisyseg.gui.docks.train.elsewhere import ElsewhereView
from napari_noisyseg.gui.docks.train.finding import FindNuclei
from napari_noisyseg.gui.docks.train.options import TrainOptions
from napari_noisyseg.gui.docks.train.question import FieldQuestion
from napari_noisyseg.gui.docks.train.rounds import RoundsView
from napari_noisyseg.gui.docks.train.runs_table import RunsOfProject
from napari_noisyseg.gui.docks.train.runview import RunView
from napari_noisyseg.gui.jobs import Jobs
from napari_noisyseg.gui.session import Session
from napari_noisyseg.gui.summary import Summary
from napari_noisyseg.gui.widgets.theme import Palette, palette

NO_TORCH = (
    "Training needs PyTorch, which is not installed here. Everything else works without it. "
    'To install it, close napari and run:<br><b>pip install "napari-noisyseg[train]"</b>'
)
SETTLE_MS = 600
"""quiet after the last click before the recommendation is thought over"""
BREATH_MS = 5000
"""between two drawings of the curve: a drawing takes a dozen milliseconds"""


class TrainDock(StepDock):
    """Draws the controller: the button, what it will do, the run as it goes, the runs so far."""

    step: ClassVar[str] = "train"
    title: ClassVar[str] = "Train"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.jobs = Jobs(self)
        self.options = TrainOptions()
        self.elsewhere = ElsewhereView(self.options.device.currentData)
        self.adoption = Adoption(session, self.jobs)
        self.controller = train.TrainController(
            session, self.jobs.do, self._choice, self.adoption.adopt
        )
        self.previews = LivePreview(session, self.jobs, self.follower)
        self._build()
        self._time()
        self._connect_controller()
        self._connect()
        self._project_changed()
        self._draw()

    @property
    def follower(self) -> Follower:
        """The runs that go on."""
        return self.controller.follower

    # --- building ------------------------------------------------------------------------------

    def _build(self) -> None:
        self.button = QPushButton("Train")
        self.button.setProperty("role", "primary")
        self.button.setMinimumHeight(40)
        self.question = FieldQuestion(self.session, self.controller.fields_due)
        self.question.hide()
        self.notice = QLabel(NO_TORCH, wordWrap=True, textFormat=Qt.TextFormat.RichText)
        self.notice.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.notice.setVisible(not train.can_train())
        self.view = RunView(palette())
        self.maps = ShownKinds(self.session)
        self.rounds = RoundsView(self.session, self.jobs)
        self.runs = RunsOfProject()
        self.finding = FindNuclei(self.session, self.controller.find_nuclei)
        box = QVBoxLayout(self)
        box.setContentsMargins(12, 10, 12, 10)
        box.setSpacing(10)
        shown = (self.view, self.maps, self.rounds)
        asked = (self.question, self.options, self.elsewhere)
        for part in (self.button, self.notice, *asked, *shown):
            box.addWidget(part)
        box.addWidget(self.finding)
        box.addWidget(self.runs)
        box.addStretch()

    def _time(self) -> None:
        self._poll = QTimer(self, interval=POLL_MS)
        self._poll.timeout.connect(self.controller.poll)
        self._poll.start()
        self._settle = QTimer(self, singleShot=True, interval=SETTLE_MS)
        self._settle.timeout.connect(self.controller.recommend)
        self._breath = QTimer(self, singleShot=True, interval=BREATH_MS)
        self._breath.timeout.connect(self._draw_soon)
        self._drawing = QTimer(self, singleShot=True, interval=0)
        self._drawing.timeout.connect(self._draw_run)

    def _connect_controller(self) -> None:
        mine = self.controller
        mine.changed.connect(self._draw)
        mine.progressed.connect(self._progressed)
        mine.advised.connect(self._advised)
        mine.pictured.connect(self.previews.show)
        mine.relabelled.connect(self._look_at_rounds)
        self.button.clicked.connect(lambda: mine.press())
        self.question.answered.connect(mine.train)
        self.question.put_off.connect(mine.put_off)
        self.runs.resume.clicked.connect(lambda: mine.resume())
        self.runs.predict.clicked.connect(lambda: mine.predict())
        self.runs.table.chosen.connect(lambda row: mine.show(mine.rows[row].id))

    def _connect(self) -> None:
        """All that is heard of the session, and all that it is told."""
        session = self.session
        self._deaf = session.on(ANNOTATION | FRONT | What.RUNS, self._follow)
        self.controller.runs_changed.connect(self._tell_of_runs)

    def _tell_of_runs(self) -> None:
        if not self.follower.living:
            self.previews.over()
        self.session.tell(What.RUNS)

    def closing(self) -> None:
        """The window is going: the runs go on without us."""
        self._deaf()
        for timer in (self._poll, self._settle, self._breath, self._drawing):
            timer.stop()
        self.controller.close()
        self.question.closing()
        self.maps.closing()
        self.rounds.closing()
        self.elsewhere.closing()
        self.jobs.close()

    def _choice(self) -> Choice:
        """What is chosen for the next run, and where it is to go."""
        chosen = self.options.choice()
        return replace(chosen, scheduler=self.elsewhere.elsewhere.scheduler)

    def enter(self) -> None:
        """The step was opened: what runs found is seen on bare tissue."""
        super().enter()
        run_id = self.controller.shown
        self.previews.open()
        progress = self.follower.progress(run_id) if run_id is not None else None
        if run_id is not None and progress is not None:
            self.previews.show(run_id, list[Previewed](progress.previews.values()))

    def leave(self) -> None:
        """The step was closed."""
        self.previews.close()
        super().leave()

    def stop(self) -> None:
        """Ask the shown run to stop."""
        self.controller.stop()

    # --- what changes --------------------------------------------------------------------------

    def _project_changed(self) -> None:
        if self.controller.take_project():
            self._look_at_rounds()
            self._image_changed()

    def _image_changed(self) -> None:
        """Another image came to the front: previews of what goes on are of it."""
        image = self.session.image
        if self.session.project is None or image is None:
            return
        self.controller.turn_to_image()
        self._look_at_rounds()

    def _follow(self, change: Change) -> None:
        if change.what & (What.PROJECT | What.IMAGES):
            self._project_changed()
        if change.what & What.IMAGE:
            self._image_changed()
        if change.what & ANNOTATION:
            self._settle.start()
        if change.what & What.RUNS:  # also one that the review has begun
            self.follower.look()

    def _advised(self) -> None:
        advice = self.controller.advice
        self.options.recommend(advice.method, advice.why, advice.have)

    def _look_at_rounds(self) -> None:
        self.rounds.look(self.controller.rounds_folder)

    def _progressed(self) -> None:
        if not self._breath.isActive():
            self._breath.start()

    # --- drawing -------------------------------------------------------------------------------

    def _draw_soon(self) -> None:
        """The panel's row and the curve in one drawing of the window."""
        self.changed.emit()
        self._drawing.start()

    def _draw(self) -> None:
        """Show everything as the controller has it; what is as before costs nothing."""
        mine = self.controller
        self._draw_question(mine.asking)
        self.runs.table.show_rows(mine.rows)
        self._mark(mine.shown)
        self.runs.setVisible(bool(mine.rows))
        self.runs.resume.setEnabled(mine.can_resume)
        self.runs.predict.setEnabled(mine.can_predict)
        self.finding.setEnabled(mine.can_find)
        self._draw_run()
        self.changed.emit()

    def _mark(self, run_id: str | None) -> None:
        """Mark the run that is shown; the table stays where it was scrolled to."""
        table = self.runs.table
        marked, ids = table.selected(), [row.id for row in table.rows]
        if (marked.id if marked is not None else None) != run_id:
            table.select(ids.index(run_id) if run_id in ids else None)

    def _draw_question(self, asking: bool) -> None:
        if asking and self.question.isHidden():
            with self.session.guard():
                self.question.ask()
        elif not asking:
            self.question.hide()

    def _draw_run(self) -> None:
        # what a run does, training or predicting, is known with its first words
        text, enabled = self.controller.button
        self.button.setText(text)
        self.button.setEnabled(enabled)
        progress = self.controller.progress
        if progress is not None:
            self.view.show_progress(progress)
        self.view.setVisible(progress is not None)
        self.maps.setVisible(progress is not None)

    def restyle(self, palette: Palette) -> None:
        """The curve takes on the theme's colours."""
        self.view.restyle(palette)

    def summary(self) -> Summary:
        """The line of the run that is shown."""
        return self.controller.summary()
