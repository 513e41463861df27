"""Slides of a project, predicted tile by tile: a run whose tiles are adopted as they come."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from napari_noisyseg.coarse.project import copy_learned
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box, content_hash
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.runs import EVENTS, Run
from napari_noisyseg.store.spec import RunSpec, read_spec, write_spec
from napari_noisyseg.whole import Plan
from napari_noisyseg.whole.model import learned_key, starter_key, taught_key
from napari_noisyseg.whole.stitch import PLAN
from napari_noisyseg.worker.adoption.tiles import ADOPTED, FOLDER, SlideTask, tasks_of
from napari_noisyseg.worker.parent import process
from napari_noisyseg.worker.parent.client import INIT, MODEL, launch

PREDICTS = "predicts"
"""note in the spec of a run that does not train"""
STARTER = "starter"
PATIENCE = 20.0
"""Seconds in which a child that has said its last word comes to its end"""
Regions = Mapping[str, Sequence[Box] | None]
"""Images, and the boxes of each in which nuclei are sought; None for all of it."""


def start_slides(
    project: Project,
    regions: Regions,
    model: Run | None = None,
    device: str = "auto",
    scheduler: str | None = None,
) -> Run:
    """Predict images tile by tile, in a child; returns at once.

    model: a run that has one; None for the starter. What the starter learned in the project is used
    either way. scheduler: of the workers that are to do it, who must find the images under the same
    paths. Where the same model has done a part of the same images before, that run goes on, and
    only what is missing is done. Raises NoisySegError, with nothing left behind, when that cannot
    be.
    """
    _check(project, regions, model)
    if scheduler is not None:
        scheduler = _check_there(project, regions, model, scheduler)
    weights = None if model is None else model.dir / MODEL
    learned = learned_key(project)
    key = taught_key(content_hash(weights), learned) if weights else learned or starter_key()
    before = _before(project, list(regions), key)
    if before is not None:
        return _go_on(project, before, regions, device, scheduler)
    with project.runs.making() as run:
        _put_weights(project, weights, run.dir)
        method = STARTER if model is None else str(model.spec()["method"])
        init = None if model is None else model.id
        spec = RunSpec(
            method=method, device=device, init=init, images=list(regions), scheduler=scheduler
        )
        _write(run, spec, key, [(name, boxes) for name, boxes in regions.items()])
    launch(run)
    return run


def resume_slides(
    project: Project, run: Run, device: str = "auto", scheduler: str | None = None
) -> Run:
    """Go on with a run that predicts slides. Raises as `start_slides` does."""
    regions = {task.image: task.regions for task in tasks_of(run)}
    return start_slides(project, regions, model_of(project, run), device, scheduler)


def is_slide(run: Run) -> bool:
    """Whether a run predicts images tile by tile."""
    return (run.dir / FOLDER).is_dir()


def model_of(project: Project, run: Run | None) -> Run | None:
    """The run whose model a run would predict with; None where that is the starter."""
    if run is None or (run.dir / MODEL).is_file():
        return run
    init = run.spec().get("init")
    return project.runs.get(str(init)) if init and is_slide(run) else None


def _check(project: Project, regions: Regions, model: Run | None) -> None:
    if not regions:
        raise NoisySegError("there is no image to predict: open one first")
    for name, boxes in regions.items():
        if project.image(name).mpp_assumed:
            raise NoisySegError(
                f"nobody has said how large the pixels of {name} are: enter its µm per pixel first"
            )
        if boxes is not None and not boxes:
            raise NoisySegError(f"{name} has no field to predict: mark one, or predict all of it")
        with closing(project.pixels(name)) as slide:
            record = project.image(name)
            # size and time do not tell of one that was replaced with care
            if record.link is not None and content_hash(slide.path) != record.sha:
                raise NoisySegError(
                    f"{slide.path} has another content than the slide {name} had: bring that one "
                    "back, or add this one as a new image; what was annotated is safe"
                )
    if model is None:
        return
    if find_spec("torch") is None:
        raise NoisySegError('predicting needs PyTorch: pip install "napari-noisyseg[train]"')
    if not (model.dir / MODEL).is_file():
        raise NoisySegError(f"run {model.id} has no model yet: let it finish, or stop it")


def _check_there(project: Project, regions: Regions, model: Run | None, scheduler: str) -> str:
    """The scheduler's address; raises NoisySegError where its workers cannot do it."""
    from napari_noisyseg.worker.cluster.address import Scheduler
    from napari_noisyseg.worker.cluster.parcel import proof_of
    from napari_noisyseg.worker.cluster.tiles import check_workers

    address, proofs = Scheduler.of(scheduler), []
    for name in regions:
        with closing(project.pixels(name)) as slide:
            proofs.append(proof_of(slide, project.image(name).sha)[1])
    check_workers(address, dict(proofs), model is not None)
    return address.address


def _put_weights(project: Project, weights: Path | None, folder: Path) -> None:
    if weights is not None:
        shutil.copyfile(weights, folder / INIT)
    copy_learned(project, folder)


def _before(project: Project, images: list[str], key: str) -> Run | None:
    """The last run of the same model on the same images."""
    for run in reversed(project.runs.list()):
        if is_slide(run) and _is_same(project, run, images, key):
            if run.state() in ("running", "waiting"):
                raise NoisySegError(
                    f"run {run.id} works on this already: let it finish, or stop it"
                )
            return run
    return None


def _is_same(project: Project, run: Run, images: list[str], key: str) -> bool:
    """Whether a run is of this model and of the images as they are now; a damaged one is not."""
    with contextlib.suppress(NoisySegError):
        tasks = tasks_of(run)
        same = run.spec().get("key") == key and [task.image for task in tasks] == images
        return same and all(_fits(project, task) for task in tasks)
    return False


def _fits(project: Project, task: SlideTask) -> bool:
    """Whether the tiles of a task, if there are any, are of the image in its present size."""
    if not (task.folder / PLAN).is_file():
        return True
    plan, record = Plan.read(task.folder / PLAN), project.image(task.image)
    now = (record.height, record.width, record.mpp, record.sha)
    return (plan.height, plan.width, plan.mpp, plan.sha) == now


def _go_on(project: Project, run: Run, regions: Regions, device: str, scheduler: str | None) -> Run:
    """Let a run go on, with further regions where it had not all of an image."""
    joined: list[tuple[str, Sequence[Box] | None]] = []
    for task in tasks_of(run):
        more = regions[task.image]
        whole = more is None or task.regions is None
        joined.append((task.image, None if whole else [*(task.regions or ()), *(more or ())]))
        if project.nuclei.adopted_run(task.image) != run.id:
            # another run's nuclei took the place of its own: they come in again
            (task.folder / ADOPTED).unlink(missing_ok=True)
    spec = read_spec(run.dir).model_copy(update={"device": device, "scheduler": scheduler})
    _write(run, spec, str(run.spec()["key"]), joined)
    (run.dir / "STOP").unlink(missing_ok=True)
    with contextlib.suppress(FileNotFoundError):
        # what it said last is no word on what it does now
        (run.dir / EVENTS).replace(run.dir / f"before-{EVENTS}")
    launch_again(run)
    return run


def launch_again(run: Run) -> None:
    """Start a child on a run that has tiles, once the last one is gone; the tiles stay."""
    limit = time.monotonic() + PATIENCE
    while run.alive() and time.monotonic() < limit:
        process.reap(run)
        time.sleep(0.05)
    process.reap(run)
    process.launch(run)


def _write(
    run: Run, spec: RunSpec, key: str, regions: Sequence[tuple[str, Sequence[Box] | None]]
) -> None:
    tasks: list[dict[str, Any]] = [
        {"image": name, "regions": None if boxes is None else [list(box) for box in boxes]}
        for name, boxes in regions
    ]
    notes = {PREDICTS: True, "key": key, FOLDER: tasks}
    write_spec(run.dir, spec, created=time.time(), **notes)
