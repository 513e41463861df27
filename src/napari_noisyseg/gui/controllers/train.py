"""Training as the window sees it: which run is shown, what may be done, what is said; no Qt."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from psygnal import Signal

from napari_noisyseg import registry
from napari_noisyseg.annotation.advice import Advice
from napari_noisyseg.events import (
    Doing,
    Event,
    Failed,
    Finished,
    Previewed,
    Relabelled,
    Started,
    Stepped,
)
from napari_noisyseg.gui.controllers.duties import Duties, Submit
from napari_noisyseg.gui.controllers.follow import Follower
from napari_noisyseg.gui.controllers.history import History
from napari_noisyseg.gui.controllers.progress import RunProgress, note_words
from napari_noisyseg.gui.controllers.runs import PREDICTS, RESUMABLE, RunRow, state_of
from napari_noisyseg.gui.controllers.runspec import Choice, begin, predict_others, run_spec
from napari_noisyseg.gui.summary import Summary
from napari_noisyseg.slides import Box
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.runs import Run
from napari_noisyseg.worker.parent import client
from napari_noisyseg.worker.parent.slides import (
    is_slide,
    model_of,
    resume_slides,
    start_slides,
)

NOTHING_YET = Advice("scnet", "Mark nuclei first, or paint rough masks.", "")
COPYING = {
    "train": "preparing: copying the annotated fields",
    "resume": "preparing: copying the run to continue",
    "predict": "preparing: copying the images",
    "slide": "preparing: looking for the slide",
    "there": "preparing: asking whether the other machines find the image",
}
"""what happens from the press of a button until the child lives"""
UNITS = {"predict": "image", "slide": "tile", "there": "tile"}
"""what the work is counted in where it is no training"""


class Button(NamedTuple):
    """The one button of the step."""

    text: str
    enabled: bool


class TrainController:
    """All that the Train step knows and decides; the dock draws it and asks `poll` by a timer.

    submit: see `Submit`. choose: what is chosen for the next run; may raise NoisySegError. adopt:
    takes what has finished into the project.
    """

    changed = Signal()
    """anything that is shown may be another now"""
    progressed = Signal()
    """the run that is shown goes on: to be drawn when there is time"""
    advised = Signal()
    """`advice` is another"""
    pictured = Signal(str, object)
    """a run (its id) has made previews (a list of events)"""
    relabelled = Signal()
    """another run is shown, or it has made a round of relabelling"""
    runs_changed = Signal()
    """a run was started or has ended"""

    def __init__(
        self,
        session: Duties,
        submit: Submit,
        choose: Callable[[], Choice],
        adopt: Callable[[], object],
    ) -> None:
        self._session, self._submit, self._choose, self._adopt = session, submit, choose, adopt
        self.shown: str | None = None
        self.asking = False
        self.advice = NOTHING_YET
        self._starting: RunProgress | None = None
        self._project: Project | None = None
        self.follower = Follower()
        self.follower.told.connect(self._told)
        self.follower.ended.connect(self._ended)
        self._history = History(
            self.follower, submit, lambda: self._session.project, self._read, session.failed
        )
        self.follower.listed.connect(self._history.look)

    # --- what a person does --------------------------------------------------------------------

    def press(self) -> None:
        """The button: train, or stop what goes on."""
        (self.stop if self.follower.living else self.train)()

    def train(self) -> None:
        """Start a run with what is chosen; asks first whether every nucleus is marked."""
        self.put_off()
        with self._guard():
            self._session.require_image()
            choice = self._choose()
            if registry.describe(choice.method).needs.points and self.fields_due():
                self.asking = True
            else:
                self._start(choice)
        self.changed.emit()

    def put_off(self) -> None:
        """Ask nothing any more: not every nucleus is marked yet."""
        self.asking = False
        self.changed.emit()

    def resume(self) -> None:
        """Go on with the run that is shown."""
        run, project = self._run(), self._session.project
        if run is None or project is None:
            return
        with self._guard():
            if is_slide(run):
                choice = self._choose()
                work = partial(resume_slides, project, run, choice.device, choice.scheduler)
                self._prepare("there" if choice.scheduler else "slide", work)
            else:
                self._start(self._choose(), resume=run)

    def stop(self) -> None:
        """Ask the shown run, or all that go on, to stop at the next step."""
        project, living = self._session.project, self.follower.living
        if project is None:
            return
        with self._guard():
            for run_id in [self.shown] if self.shown in living else living:
                client.stop(project.runs.get(run_id))
                progress = self.follower.progress(run_id)
                if progress is not None:
                    progress.take_state(stopping=True, waiting=progress.waiting)
        self.changed.emit()

    def predict(self) -> None:
        """Predict the project's other images with the run that is shown, in the background."""
        run, project = self._run(), self._session.project
        if run is not None and project is not None:
            with self._guard():
                work = partial(predict_others, project, run, self._choose())
                self._prepare("predict", work)

    def find_nuclei(self, boxes: Sequence[Box] | None) -> None:
        """Predict the image in front tile by tile: all of it, or the tiles that boxes reach into.

        With the run that is shown where it has a model, else with the starter; on another machine
        where trainings go there.
        """
        with self._guard():
            record, project = self._session.require_image(), self._session.require_project()
            run = model_of(project, self._run() if self.can_predict else None)
            choice = self._choose()
            device = choice.device if run is not None else "cpu"
            regions = {record.name: None if boxes is None else list(boxes)}
            work = partial(start_slides, project, regions, run, device, choice.scheduler)
            self._prepare("there" if choice.scheduler else "slide", work)

    def show(self, run_id: str) -> None:
        """Show a run's curve and figures, and act on it from now on."""
        self.shown = run_id
        self.relabelled.emit()
        self.changed.emit()

    def fields_due(self) -> bool:
        """Whether there are points, but no field in any image that says they are all."""
        project = self._session.project
        if project is None or not project.nuclei.counts().points:
            return False
        return not any(
            field.complete
            for record in project.images()
            for field in project.nuclei.fields(record.name)
        )

    def _start(self, choice: Choice, resume: Run | None = None) -> None:
        needs = registry.describe(choice.method).needs
        bare = not (needs.points or needs.rough or needs.clean or needs.masks)
        unasked = bare and resume is None and not choice.by_hand
        spec = run_spec(choice, resume)
        work = partial(begin, self._session.require_project(), spec, unasked)
        self._prepare("train" if resume is None else "resume", work)

    def _prepare(self, what: str, work: Callable[[], Run]) -> None:
        unit = UNITS.get(what, "epoch")
        self._starting = RunProgress(doing=COPYING[what], unit=unit)
        self.changed.emit()
        self._submit(work, self._started, self._refused)

    def _started(self, run: Run) -> None:
        self._starting, self.shown = None, run.id
        self._history.goes_on(run.id)
        self.follower.expect(run.id)
        self.follower.look()
        self.show(run.id)
        self.runs_changed.emit()

    def _refused(self, error: BaseException) -> None:
        self._starting = None
        self.changed.emit()
        self._session.failed(error)

    @contextmanager
    def _guard(self) -> Iterator[None]:
        """What goes wrong inside is told and ends there."""
        try:
            yield
        except Exception as error:
            self._session.failed(error)

    # --- what the runs say ---------------------------------------------------------------------

    def poll(self) -> None:
        """Hear what is new; a few times a second."""
        self.follower.poll()

    def _told(self, run_id: str, events: list[Event]) -> None:
        for event in events:
            self._say(run_id, event)
        began = any(isinstance(event, Started) for event in events)
        if self.shown is None or (began and self.shown not in self.follower.living):
            self.show(run_id)  # also one that the review has begun
        previews = {event.image: event for event in events if isinstance(event, Previewed)}
        if run_id == self.shown and previews:
            self.pictured.emit(run_id, list(previews.values()))
        if any(isinstance(event, Relabelled) for event in events):
            self.relabelled.emit()
        # a state without an event, and what these say, is no matter for the next drawing
        if any(isinstance(e, Stepped) for e in events) and self._in_tiles(run_id):
            self._adopt()
        at_once = not events or any(isinstance(e, Doing | Finished | Failed) for e in events)
        (self.changed if at_once else self.progressed).emit()

    def _in_tiles(self, run_id: str) -> bool:
        """Whether what a run finds comes in while it works."""
        progress = self.follower.progress(run_id)
        return progress is not None and progress.unit == "tile"

    def _say(self, run_id: str, event: Event) -> None:
        """A run's last word, to whoever is at the window."""
        progress = self.follower.progress(run_id)
        if isinstance(event, Failed) and progress is not None:
            self._session.notice(f"{progress.words()}. {note_words(progress)}".strip())
        elif isinstance(event, Finished) and not event.stopped:
            if progress is not None and progress.few:
                self._session.notice(progress.words())
            else:
                self._session.say("finished: the nuclei are ready for review")

    def _ended(self, run_id: str, progress: RunProgress) -> None:
        self._history.ended(run_id, progress)
        self._adopt()
        self.runs_changed.emit()
        self.changed.emit()

    def _read(self, latest: str | None) -> None:
        """More is known of runs that ended before our time."""
        if self.shown is None and latest is not None:
            self.show(latest)
        self.changed.emit()

    # --- keeping up ----------------------------------------------------------------------------

    def take_project(self) -> bool:
        """Follow the session's project from now on; whether it is another than before."""
        project = self._session.project
        another = project is not self._project
        if another:
            self._project, self.shown, self.asking, self._starting = project, None, False, None
            self._history.clear()
            self.follower.follow(project)
            if project is not None:
                self.shown = next(reversed(self.follower.living), self.shown)
                self._adopt()
            self._history.look()
        self.recommend()
        return another

    def turn_to_image(self) -> None:
        """Another image came to the front: what goes on shows its pictures there."""
        project, image = self._session.project, self._session.image
        if project is not None and image is not None:
            with self._guard():
                for run_id in self.follower.living:
                    client.look(project.runs.get(run_id), image)

    def recommend(self) -> None:
        """Think over which method suits; to be asked when the annotation has settled."""
        project = self._session.project
        if project is None:
            self._advise(project, NOTHING_YET)
        else:
            done = partial(self._advise, project)
            self._submit(partial(client.recommend, project), done, self._session.failed)

    def _advise(self, project: Project | None, found: Advice) -> None:
        if project is self._session.project:
            why = f"{found.why[:1].upper()}{found.why[1:].rstrip('.')}."
            self.advice = Advice(found.method, why, found.have)
            self.advised.emit()

    def close(self) -> None:
        """The window is going: the runs go on without us."""
        self.follower.stop()

    # --- what is shown -------------------------------------------------------------------------

    @property
    def progress(self) -> RunProgress | None:
        """The run that is shown, as it stands; one that is being prepared comes first."""
        return self._starting or self._history.progress(self.shown)

    @property
    def rows(self) -> list[RunRow]:
        """A row of the table for each run, the newest first."""
        return self._history.rows

    def _run(self) -> Run | None:
        """The run that is shown."""
        project = self._session.project
        return project.runs.get(self.shown) if project is not None and self.shown else None

    @property
    def rounds_folder(self) -> Path | None:
        """The folder of the run that is shown, where its rounds of relabelling lie."""
        project, run_id = self._session.project, self.shown
        if project is None or run_id is None or not self.follower.knows(run_id):
            return None
        return project.runs.get(run_id).dir

    @property
    def button(self) -> Button:
        """What the one button says, and whether it can be pressed."""
        progress = self.progress
        if self._starting is not None:
            return Button("Starting …", False)
        if not self.follower.living:
            return Button("Train", can_train())
        if progress is not None and progress.end is None and progress.stopping:
            return Button("Stopping …", False)
        predicts = progress is not None and progress.end is None and progress.unit != "epoch"
        return Button("Stop predicting" if predicts else "Stop training", True)

    @property
    def can_resume(self) -> bool:
        """Whether the shown run can go on."""
        free = self._starting is None and not self.follower.living
        return free and can_train() and self._state() in RESUMABLE

    @property
    def can_find(self) -> bool:
        """Whether nuclei of an image can be sought now."""
        return self._starting is None and not self.follower.living

    @property
    def can_predict(self) -> bool:
        """Whether the shown run can predict other images."""
        return self._starting is None and can_train() and self._state() in PREDICTS

    def _state(self) -> str:
        progress = self._history.progress(self.shown)
        return state_of(progress) if progress is not None else ""

    def summary(self) -> Summary:
        """The line of the run that is shown: the one that goes on, else the last one."""
        if not can_train():
            return Summary("PyTorch is not installed", "warn")
        progress = self.progress
        if progress is None:
            return Summary("not trained yet")
        busy = progress.end is None
        return Summary(progress.brief(), progress.mark, progress.fraction if busy else None)


def can_train() -> bool:
    """Whether PyTorch is installed; looked up without importing it."""
    return find_spec("torch") is not None
