"""The next round: training again, from what was decided since, as the last time; no Qt."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.gui.change import Change, What
from napari_noisyseg.gui.controllers.runspec import begin
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.runs import Run
from napari_noisyseg.store.spec import RunSpec, read_spec
from napari_noisyseg.worker.adoption.gains import Round, rounds

if TYPE_CHECKING:
    from napari_noisyseg.gui.session import Session
    from napari_noisyseg.gui.work import Submit

TOLD = What.DECISIONS | What.CANDIDATES | What.RUNS | What.PROJECT
RESUMED = 20
"""runs that one may go on from, one after the other, at most"""


class NextRound:
    """What each round bought, read out of the way while somebody `looks`; and the next one."""

    changed = Signal()
    """something that is shown changed"""

    def __init__(self, session: Session, submit: Submit) -> None:
        self._session, self._submit = session, submit
        self.rounds: list[Round] = []
        self.starting = False
        self._looks = self._busy = self._stale = False
        self._deaf = session.on(TOLD, self._follow)

    def close(self) -> None:
        """Hear no more."""
        self._deaf()

    def look(self, looks: bool) -> None:
        """Somebody looks at it, or does not any more."""
        self._looks = looks
        if looks:
            self.ask()

    @property
    def words(self) -> str:
        """What the newest round bought that can be told of, in a sentence."""
        told = [one for one in self.rounds if one.gain is not None and one.decisions]
        if not told:
            return (
                "The gain of a round is measured on decisions that were made after it began: "
                "review some of its nuclei."
            )
        one = told[-1]
        before, now = (round(100 * (share or 0)) for share in (one.right_before, one.right))
        text = (
            f"Of the {one.decisions} nuclei judged since it began, round {one.number} has {now} in "
            f"100 right; the previous round had {before}"
        )
        # seconds say nothing of a minute
        if one.per_minute is None or one.minutes < 1:
            return f"{text}."
        return f"{text}. That is {100 * one.per_minute:+.1f} for each minute of review before it."

    def begin(self) -> None:
        """Train again; what keeps it from that is told."""
        project = self._session.project
        if project is None or self.starting:
            return
        self.starting = True
        done, failed = partial(self._begun, project), partial(self._refused, project)
        self._submit(partial(begin_next, project), done, failed)
        self.changed.emit()

    def _begun(self, project: Project, run: Run) -> None:
        self.starting = False
        if project is self._session.project:
            method = run.spec().get("method", "")
            self._session.say(
                f"the next round has begun ({method}). You can go on reviewing; its nuclei appear "
                "when it is done"
            )
            self._session.tell(What.RUNS)
        self.changed.emit()

    def _refused(self, project: Project, error: BaseException) -> None:
        self.starting = False
        self._session.failed(error)
        self.changed.emit()

    # --- what the rounds bought ----------------------------------------------------------------

    def ask(self) -> None:
        """Count again."""
        project = self._session.project
        if project is None:
            self.rounds = []
            self.changed.emit()
        elif self._busy:
            self._stale = True
        else:
            self._busy, self._stale = True, False
            self._submit(partial(rounds, project), partial(self._came, project), self._failed)

    def _follow(self, change: Change) -> None:
        if self._looks or change.what & What.PROJECT:
            self.ask()

    def _came(self, project: Project, found: list[Round]) -> None:
        self._busy = False
        if self._stale:
            self.ask()
        elif project is self._session.project:
            self.rounds = found
            self.changed.emit()

    def _failed(self, error: BaseException) -> None:
        self._busy = False
        self._session.failed(error)


def begin_next(project: Project) -> Run:
    """Start a training as the last one was, on what is decided now; NoisySegError says why not."""
    return begin(project, next_spec(project), unasked=False)


def next_spec(project: Project) -> RunSpec:
    """What the next round is asked to do: the method, settings and time of the last training."""
    if not project.writable:
        raise NoisySegError("this project is open read-only: train where it can be written")
    runs = [run for run in project.runs.list() if _trains(run)]
    if not runs:
        raise NoisySegError("there was no training yet: start the first one under Train")
    if any(run.alive() for run in runs):
        raise NoisySegError("a training is running: wait for its nuclei, or stop it under Train")
    last = runs[-1]
    said = project.nuclei.verdicts(ways=("queue", "audit", "bulk"))
    if not any(verdict.time >= last.created for verdict in said):
        raise NoisySegError("nothing was decided since the last round began: review some nuclei")
    spec = read_spec(last.dir)
    deadline = None if spec.time_budget is None else time.time() + spec.time_budget
    return spec.model_copy(
        update={"config": _config(project, spec), "resume": None, "deadline": deadline,
                "yielding": True, "preview_seconds": 5.0}
    )  # fmt: skip


def _trains(run: Run) -> bool:
    """Whether a run trained, or trains; one that is damaged is passed over."""
    try:
        return not run.spec().get("predicts")
    except NoisySegError:
        return False


def _config(project: Project, spec: RunSpec) -> dict[str, object]:
    """The settings of a run; one that went on from another has them of that one."""
    for _ in range(RESUMED):
        if spec.resume is None:
            break
        spec = read_spec(project.runs.get(spec.resume).dir)
    return spec.config
