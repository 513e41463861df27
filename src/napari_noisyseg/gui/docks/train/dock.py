"""Train: one button, a method chosen already, and the run while it goes on in its own process."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from typing import Any, ClassVar

from napari.settings import get_settings
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QLabel, QPushButton, QVBoxLayout

from napari_noisyseg import registry
from napari_noisyseg.events import Event, Failed, Finished, Previewed, Relabelled
from napari_noisyseg.gui.change import ANNOTATION, FRONT, Change, What
from napari_noisyseg.gui.controllers.adoption import Adoption
from napari_noisyseg.gui.controllers.follow import Follower
from napari_noisyseg.gui.controllers.previews import LivePreview
from napari_noisyseg.gui.controllers.progress import RunProgress, first_line
from napari_noisyseg.gui.controllers.runspec import Choice, predict_others, run_spec
from napari_noisyseg.gui.docks import StepDock
from napari_noisyseg.gui.docks.toggles import MapToggles
from napari_noisyseg.gui.docks.train.options import TrainOptions
from napari_noisyseg.gui.docks.train.question import FieldQuestion
from napari_noisyseg.gui.docks.train.rounds import RoundsView
from napari_noisyseg.gui.docks.train.runs_table import RunsOfProject, read_ended, run_row, state_of
from napari_noisyseg.gui.docks.train.runview import RunView
from napari_noisyseg.gui.jobs import Jobs
from napari_noisyseg.gui.session import Session
from napari_noisyseg.gui.summary import Summary
from napari_noisyseg.gui.widgets.theme import palette
from napari_noisyseg.store.runs import Run
from napari_noisyseg.worker import client
from napari_noisyseg.worker.advice import Advice

NO_TORCH = (
    "Training needs PyTorch, which is not installed here. Everything else works without it. "
    'To install it, close napari and run:<br><b>pip install "napari-noisyseg[train]"</b>'
)
SETTLE_MS = 600
"""quiet after the last click before the recommendation is thought over"""
BREATH_MS = 5000
"""between two drawings of the curve"""
RESUMABLE = ("stopped", "failed", "lost")


class TrainDock(StepDock):
    """The Train button, what it will do, the run as it goes, and the runs so far."""

    step: ClassVar[str] = "train"
    title: ClassVar[str] = "Train"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.follower = Follower(self)
        self.jobs = Jobs(self)
        self.adoption = Adoption(session, self.jobs)
        self._shown: str | None = None
        self._starting = False
        self._over: dict[str, RunProgress] = {}
        self.previews = LivePreview(session, self.jobs, self.follower)
        self._build()
        self._connect()
        self._take_project()

    # --- building ------------------------------------------------------------------------------

    def _build(self) -> None:
        self.button = QPushButton("Train")
        self.button.setProperty("role", "primary")
        self.button.setMinimumHeight(40)
        self.options = TrainOptions()
        self.question = FieldQuestion(self.session)
        self.question.hide()
        self.notice = QLabel(NO_TORCH, wordWrap=True, textFormat=Qt.TextFormat.RichText)
        self.notice.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.notice.setVisible(not can_train())
        self.view = RunView(palette())
        self.view.hide()
        self.maps = MapToggles(self.session)
        self.rounds = RoundsView(self.session, self.jobs)
        self.runs = RunsOfProject()
        box = QVBoxLayout(self)
        box.setContentsMargins(12, 10, 12, 10)
        box.setSpacing(10)
        shown = (self.view, self.maps, self.rounds)
        for part in (self.button, self.notice, self.question, self.options, *shown):
            box.addWidget(part)
        box.addWidget(self.runs)
        box.addStretch()

    def _connect(self) -> None:
        session = self.session
        self._deaf = session.on(ANNOTATION | FRONT, self._follow)
        get_settings().appearance.events.theme.connect(self._restyle)
        self._settle = QTimer(self, singleShot=True, interval=SETTLE_MS)
        self._settle.timeout.connect(self._recommend)
        self._breath = QTimer(self, singleShot=True, interval=BREATH_MS)
        self._breath.timeout.connect(self._draw_soon)
        self._drawing = QTimer(self, singleShot=True, interval=0)
        self._drawing.timeout.connect(self._show_progress)
        self.follower.told.connect(self._told)
        self.follower.ended.connect(self._ended)
        self.follower.listed.connect(self._listed)
        self.question.answered.connect(self.train)
        self.button.clicked.connect(self._press)
        self.runs.resume.clicked.connect(self.resume)
        self.runs.predict.clicked.connect(self.predict)
        self.runs.table.chosen.connect(lambda row: self.show_run(self.runs.table.rows[row].id))

    def closing(self) -> None:
        """The window is going: the runs go on without us."""
        self._deaf()
        get_settings().appearance.events.theme.disconnect(self._restyle)
        self._settle.stop()
        self._breath.stop()
        self._drawing.stop()
        self.follower.stop()
        self.maps.closing()
        self.rounds.closing()
        self.jobs.close()

    def enter(self) -> None:
        """The step was opened: what runs found is seen on bare tissue."""
        super().enter()
        self.previews.open()
        progress = self.follower.progress(self._shown) if self._shown is not None else None
        if self._shown is not None and progress is not None:
            self.previews.show(self._shown, progress.previews.values())

    def leave(self) -> None:
        """The step was closed."""
        self.previews.close()
        super().leave()

    # --- what a person does --------------------------------------------------------------------

    def _press(self) -> None:
        (self.stop if self.follower.living else self.train)()

    def train(self) -> None:
        """Start a run with what is chosen; asks first whether every nucleus is marked."""
        with self.session.guard():
            self.question.hide()
            self.session.require_image()
            choice = self.options.choice()
            needs = registry.describe(choice.method).needs
            if needs.points and self.question.due():
                self.question.ask()
                return
            self._start(choice)

    def resume(self) -> None:
        """Go on with the selected run."""
        run = self.selected()
        if run is None:
            return
        with self.session.guard():
            self._start(self.options.choice(), resume=run)

    def stop(self) -> None:
        """Ask the shown run, or all that go on, to stop at the next step."""
        project, running = self.session.project, self.follower.living
        chosen = [self._shown] if self._shown in running else running
        if project is None:
            return
        with self.session.guard():
            for run_id in chosen:
                client.stop(project.runs.get(run_id))
        self.view.line.setText("stopping at the next step …")

    def predict(self) -> None:
        """Predict the project's other images with the selected run, in the background."""
        run, project = self.selected(), self.session.project
        if run is None or project is None:
            return
        self._starting = True
        self._refresh()
        device = self.options.choice().device
        work = partial(predict_others, project, run, device)
        self.jobs.do(work, self._started, self._refused)

    def selected(self) -> Run | None:
        """The run that is marked in the table, else the one that is shown."""
        run_id = self._selected_id()
        if self.session.project is None or run_id is None:
            return None
        return self.session.project.runs.get(run_id)

    def _selected_id(self) -> str | None:
        row = self.runs.table.selected()
        return row.id if row is not None else self._shown

    def _start(self, choice: Choice, resume: Run | None = None) -> None:
        project = self.session.require_project()
        spec = run_spec(choice, resume)
        self._starting = True
        self._refresh()
        self.jobs.do(partial(client.start, project, spec), self._started, self._refused)

    def _started(self, run: Run) -> None:
        self._starting = False
        self._shown = run.id
        self.follower.look()
        self.show_run(run.id)
        self.session.tell(What.RUNS)

    def _refused(self, error: BaseException) -> None:
        self._starting = False
        self._refresh()
        with self.session.guard():
            raise error

    # --- what the runs say ---------------------------------------------------------------------

    def _told(self, run_id: str, events: list[Event]) -> None:
        previews: dict[str, Previewed] = {}
        for event in events:
            match event:
                case Previewed(image=image):
                    previews[image] = event
                case Failed(message=message, hint=hint):
                    self.session.notice(f"{first_line(message)}. {hint}".strip())
                case Finished(stopped=False):
                    self.session.say("finished: the nuclei are ready for review")
        if run_id == self._shown or self._shown is None:
            self._shown = run_id
            self.previews.show(run_id, previews.values())
        if any(isinstance(event, Relabelled) for event in events):
            self._look_at_rounds()
        if any(isinstance(event, Finished | Failed) for event in events):
            self._keep_up()
        elif not self._breath.isActive():
            self._breath.start()

    def _keep_up(self) -> None:
        """Draw the curve and say how far it is: seldom, as a drawing takes a dozen milliseconds."""
        self._show_progress()
        self.changed.emit()

    def _draw_soon(self) -> None:
        """`_keep_up`, with the panel's row and the curve in one drawing of the window."""
        self.changed.emit()
        self._drawing.start()

    def _progress(self, run_id: str | None) -> RunProgress | None:
        """A run as it stands, as far as it was read."""
        if run_id is None:
            return None
        return self.follower.progress(run_id) or self._over.get(run_id)

    def _show_progress(self) -> None:
        progress = self._progress(self._shown)
        if progress is not None:
            self.view.show_progress(progress)
        self.view.setVisible(progress is not None)
        self.maps.setVisible(progress is not None)

    def _look_at_rounds(self) -> None:
        """The rounds of the run that is shown, if its method relabels in rounds."""
        project, run_id = self.session.project, self._shown
        if project is None or run_id is None or not self.follower.knows(run_id):
            self.rounds.look(None)
        else:
            self.rounds.look(project.runs.get(run_id).dir)

    def _ended(self, run_id: str, progress: RunProgress) -> None:
        self._over[run_id] = progress
        if not self.follower.living:
            self.previews.over()
        if run_id == self._shown:
            self._show_progress()
        self.adoption.adopt()
        self.session.tell(What.RUNS)

    def _listed(self) -> None:
        """Runs came or ended: those that ended before our time are read in the background."""
        project = self.session.project
        runs = project.runs.list() if project is not None else []
        runs = [run for run in runs if self.follower.knows(run.id)]
        unread = [run for run in runs if self._progress(run.id) is None]
        if unread:
            self.jobs.do(
                partial(_read_all, unread), partial(self._read, project), self.adoption.failed
            )
        known = [(run, self._progress(run.id)) for run in reversed(runs)]
        self.runs.table.show_rows(
            [run_row(run, found) for run, found in known if found is not None]
        )
        self.runs.setVisible(bool(self.runs.table.rows))
        self._refresh()

    def _read(self, project: Any, found: dict[str, RunProgress]) -> None:
        if project is self.session.project:
            self._over |= {run: p for run, p in found.items() if run not in self._over}
            if self._shown is None and found:
                self._shown = max(found)
                self._look_at_rounds()
            self._show_progress()
            self._listed()

    def show_run(self, run_id: str) -> None:
        """Show a run's curve and figures."""
        self._shown = run_id
        ids = [row.id for row in self.runs.table.rows]
        self.runs.table.select(ids.index(run_id) if run_id in ids else None)
        self._look_at_rounds()
        self._show_progress()
        self._refresh()

    # --- keeping up ----------------------------------------------------------------------------

    def _take_project(self) -> None:
        project = self.session.project
        if project is self._project:
            self._recommend()
            return
        self._project, self._shown = project, None
        self._over.clear()
        self.follower.follow(project)
        self.question.hide()
        if project is not None:
            if self.follower.living:
                self._shown = self.follower.living[-1]
            self.adoption.adopt()
        self._listed()
        self._show_progress()
        self._image_changed()
        self._recommend()

    _project: Any = None

    def _image_changed(self) -> None:
        """Another image came to the front: its results with it, and previews of what goes on."""
        project, image = self.session.project, self.session.image
        if project is None or image is None:
            return
        with self.session.guard():
            for run_id in self.follower.living:
                client.look(project.runs.get(run_id), image)
        self._look_at_rounds()

    def _follow(self, change: Change) -> None:
        if change.what & (What.PROJECT | What.IMAGES):
            self._take_project()
        if change.what & What.IMAGE:
            self._image_changed()
        if change.what & ANNOTATION:
            self._settle.start()

    def _recommend(self) -> None:
        project = self.session.project
        if project is None:
            self.options.recommend("scnet", "Mark nuclei first, or paint rough masks.")
        else:
            said = partial(self._recommended, project)
            self.jobs.do(partial(client.recommend, project), said, self.adoption.failed)

    def _recommended(self, project: Any, found: Advice) -> None:
        if project is self.session.project:
            why = f"{found.why[:1].upper()}{found.why[1:]}."
            self.options.recommend(found.method, why, found.have)

    def _refresh(self) -> None:
        running = bool(self.follower.living)
        self.button.setText(
            "Starting …" if self._starting else "Stop training" if running else "Train"
        )
        self.button.setEnabled(not self._starting and (running or can_train()))
        progress = self._progress(self._selected_id())
        state = state_of(progress) if progress is not None else ""
        self.runs.resume.setEnabled(state in RESUMABLE and can_train() and not running)
        self.runs.predict.setEnabled(state in ("finished", "stopped") and can_train())
        self.changed.emit()

    def _restyle(self) -> None:
        self.view.restyle(palette())

    def summary(self) -> Summary:
        """The line of the run that is shown: the one that goes on, else the last one."""
        if not can_train():
            return Summary("PyTorch is not installed", "warn")
        progress = self._progress(self._shown)
        if progress is None:
            return Summary("not trained yet")
        if progress.end is None:
            return Summary(progress.words(), "busy", progress.fraction)
        if isinstance(progress.end, Failed):
            return Summary(progress.words(), "warn")
        return Summary(progress.words(), "stale" if progress.end.stopped else "done")


def can_train() -> bool:
    """Whether PyTorch is installed; looked up without importing it."""
    return find_spec("torch") is not None


def _read_all(runs: list[Run]) -> dict[str, RunProgress]:
    return {run.id: read_ended(run) for run in runs}
