"""What a person asked for, as the order that a worker takes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from napari_noisyseg.annotation.check import check_begun
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.runs import Run
from napari_noisyseg.store.spec import RunSpec
from napari_noisyseg.worker.adoption.found import read_results
from napari_noisyseg.worker.parent import client
from napari_noisyseg.worker.parent.predicting import start_prediction


@dataclass(frozen=True, slots=True)
class Choice:
    """A training as a person asks for it: exactly one of `epochs` and `seconds` is set.

    by_hand: the method was chosen, not only left as it was recommended. scheduler: the address of
    the other machine to work on; None: here.
    """

    method: str
    config: dict[str, bool | int | float | str]
    epochs: int | None
    seconds: float | None
    device: str
    by_hand: bool = False
    scheduler: str | None = None


def run_spec(choice: Choice, resume: Run | None = None) -> RunSpec:
    """The run that a person asked for; a resumed one keeps its method and settings."""
    before: dict[str, Any] = resume.spec() if resume is not None else {}
    return RunSpec(
        method=before.get("method", choice.method),
        config={} if resume is not None else choice.config,
        epochs=choice.epochs,
        time_budget=choice.seconds,
        deadline=None if choice.seconds is None else time.time() + choice.seconds,
        device=choice.device,
        seed=before.get("seed", 0),
        yielding=True,
        preview_seconds=5.0,
        resume=resume.id if resume is not None else None,
        scheduler=choice.scheduler,
    )


def begin(project: Project, spec: RunSpec, unasked: bool) -> Run:
    """Start the run; `unasked`: its method needs no annotation and nobody has chosen it."""
    if unasked:
        check_begun(project)
    return client.start(project, spec)


def predict_others(project: Project, run: Run, choice: Choice) -> Run:
    """Start a prediction of all images of the project that the run has no results of."""
    seen = {result.image for result in read_results(run.dir)}
    others = [record.name for record in project.images() if record.name not in seen]
    return start_prediction(project, run, others, choice.device, choice.scheduler)
