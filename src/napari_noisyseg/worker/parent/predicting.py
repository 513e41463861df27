"""Further images of a project, predicted with a run's model: a run of its own, without training.

The same child does it (`PREDICTS` in the spec says so). Its events are those of a training with no
steps per epoch: an "epoch" is an image.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from napari_noisyseg.annotation import snapshot
from napari_noisyseg.coarse.project import copy_learned
from napari_noisyseg.coarse.readers import readers_in
from napari_noisyseg.data.regions import SNAPSHOT, Region, open_regions, save_regions
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.events import Event, Finished, Started, Stepped
from napari_noisyseg.slides import Box
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import ImageRecord
from napari_noisyseg.store.runs import Run
from napari_noisyseg.store.spec import RunSpec, write_spec
from napari_noisyseg.worker.parent.client import INIT, MODEL, launch
from napari_noisyseg.worker.parent.slides import PREDICTS, start_slides

LARGEST = 50_000_000
"""pixels of an image up to which it is predicted whole; slides go tile by tile"""


def start_prediction(
    project: Project,
    model: Run,
    images: Sequence[str],
    device: str = "auto",
    scheduler: str | None = None,
) -> Run:
    """Predict images of the project with a run's model, in a child; returns at once.

    Slides, and all of the images where there is one among them or a scheduler's workers are to do
    it, go tile by tile (`slides`).

    What the starter learned in the project until now is used where nuclei are read with it. Raises
    NoisySegError, with nothing left behind, when that cannot be.
    """
    records = [project.image(name) for name in images]
    _check(model, records)
    slides = any(r.link is not None or r.height * r.width > LARGEST for r in records)
    if slides or scheduler is not None:
        return start_slides(project, dict.fromkeys(images), model, device, scheduler)
    with project.runs.making() as run:
        regions = (_whole(project, project.image(name)) for name in images)
        save_regions(run.dir / SNAPSHOT, regions)
        copy_learned(project, run.dir / SNAPSHOT)
        shutil.copyfile(model.dir / MODEL, run.dir / INIT)
        spec = RunSpec(
            method=str(model.spec()["method"]),
            device=device,
            init=model.id,
            images=list(images),
            everywhere=True,
        )
        write_spec(run.dir, spec, created=time.time(), **{PREDICTS: True})
    launch(run)
    return run


def _check(model: Run, records: Sequence[ImageRecord]) -> None:
    if find_spec("torch") is None:
        raise NoisySegError('predicting needs PyTorch: pip install "napari-noisyseg[train]"')
    if not (model.dir / MODEL).is_file():
        raise NoisySegError(f"run {model.id} has no model yet: let it finish, or stop it")
    if not records:
        raise NoisySegError("there is no other image to predict: open one more image first")


def _whole(project: Project, record: ImageRecord) -> Region:
    box = Box(0, 0, record.height, record.width)
    slide = project.pixels(record.name)
    try:
        return snapshot.region(project, record, record.name, box, slide.read(box))
    finally:
        slide.close()


def predict(folder: Path, stopping: Callable[[], bool]) -> Iterator[Event]:
    """The child's work: each image in turn, until asked to stop."""
    from napari_noisyseg.training.predict import load_model
    from napari_noisyseg.worker.child.results import write_results

    run, began = Run(folder), time.time()
    spec = run.spec()
    regions = open_regions(run.dir / SNAPSHOT)
    learned = readers_in(run.dir / SNAPSHOT)
    model = replace(load_model(run.dir / INIT, spec["device"]), readers=learned)
    yield Started(spec["method"], len(regions), 0, model.device)
    files, count = [], 0
    wanted = (region for region in regions if not stopping())
    for i, (file, refined) in enumerate(write_results(run.dir, model, wanted, everywhere=True)):
        files.append(file)
        count += len(refined.found)
        left = (time.time() - began) / (i + 1) * (len(regions) - i - 1)
        yield Stepped(i, i, len(regions), {}, left)
    yield Finished(
        len(files) < len(regions), time.time() - began, {"nuclei": float(count)}, tuple(files)
    )
