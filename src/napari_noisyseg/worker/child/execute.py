"""A run from its folder: everything the child does, as one stream of events."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_noisyseg import registry, regular_file
from napari_noisyseg.annotation.check import check_tiles
from napari_noisyseg.coarse.readers import AS_SHIPPED, Readers, readers_in
from napari_noisyseg.data.loader import TrainingData
from napari_noisyseg.data.prepare import training_image
from napari_noisyseg.data.regions import SNAPSHOT, StoredRegion, open_regions
from napari_noisyseg.data.resample import working_shape
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.events import Doing, Event, Finished
from napari_noisyseg.method import Method, MethodConfig, TrainingImage
from napari_noisyseg.store.durable import write_atomically
from napari_noisyseg.store.spec import RunSpec, read_spec
from napari_noisyseg.training.beginning import Beginning, begin
from napari_noisyseg.training.checkpoint import load_newest
from napari_noisyseg.training.device import Device, choose, set_threads
from napari_noisyseg.training.loop import Training, train
from napari_noisyseg.training.model import ModelFile, read_model
from napari_noisyseg.training.plan import Plan, settings
from napari_noisyseg.training.preview import Preview
from napari_noisyseg.worker.child.results import model_of, write_results

SETTINGS, INIT, LOOK = "settings.json", "init.safetensors", "look.txt"
LOOK_BYTES = 2**16
AFTERWARDS = 1.5
"""Seconds that ending the process and taking the results into the project need at least."""
WRITING = 0.5
"""Seconds per megapixel for writing results and taking them in."""
CAUTION = 1.25
"""Factor on the measured time of prediction and outlines."""

Stopping = Callable[[], bool]


@dataclass
class Job:
    """A run's folder, opened: what to do, with what, on what."""

    folder: Path
    spec: RunSpec
    began: float
    device: Device
    config: MethodConfig
    method: Method
    regions: Sequence[StoredRegion]
    note: str
    first: str
    """SHA-256 of the first weights; empty where networks did not begin with them"""
    readers: Readers
    preview: Preview = field(init=False)

    def __post_init__(self) -> None:
        first = self.regions[0].load()
        self.preview = Preview(
            first, self.config, self.folder, self.device.name, readers=self.readers
        )


def execute(folder: Path, stopping: Stopping) -> Iterator[Event]:
    """Train as the folder's spec says and write results; stops soon after `stopping()` is true.

    A run that is stopped has a checkpoint, a model and results as well.
    """
    began = time.time()
    yield Doing("reading the fields")
    job = _open(folder, began)
    yield Doing("drawing the first picture")
    yield job.preview.take(job.method, 0)
    yield Doing("preparing the labels")
    run = _training(job)
    stopped = False
    stream = train(run)
    for event in stream:
        yield event
        run.deadline = _deadline(job)
        run.preview = job.preview = _asked_for(job, run.data.images)
        if stopping():
            stopped = True
            stream.close()
    yield Doing("writing the nuclei")
    yield from _finish(job, run, stopped)


def _asked_for(job: Job, images: Sequence[TrainingImage]) -> Preview:
    """The preview of the image that somebody looks at, else the one so far."""
    try:
        image = regular_file.read_text(job.folder / LOOK, LOOK_BYTES).strip()
    except NoisySegError:
        return job.preview
    if image == job.preview.region.image:
        return job.preview
    for region, trained in zip(job.regions, images, strict=True):
        if region.image == image:
            return job.preview.of(region.load(), trained)
    return job.preview


def _open(folder: Path, began: float) -> Job:
    spec = read_spec(folder)
    set_threads(spec.threads)
    device = choose(spec.device)
    kind = registry.load(spec.method)
    start = read_model(folder / INIT) if (folder / INIT).is_file() else None
    given = {**_settings_of(start[0], spec), **spec.config} if start else spec.config
    config, words = settings(kind, given, device.name, spec.time_budget)
    # only now it is certain which preset the tile comes from
    check_tiles({**spec.config, "tile": config.tile}, {})
    write_atomically(folder / SETTINGS, json.dumps(config.model_dump(), indent=1))
    method = kind(config, device.name, spec.seed)
    regions = open_regions(folder / SNAPSHOT)
    beginning = Beginning()
    if start:
        _load_weights(method, start[1], spec)
    else:
        beginning = begin(method, config, (region.load().rgb for region in regions))
    readers = readers_in(folder / SNAPSHOT)
    taught = readers != AS_SHIPPED and config.prediction().splitting == "centres"
    learned = "read with what was learned from your decisions" if taught else ""
    note = ", ".join(filter(None, [words, beginning.words, learned, f"on {device.words}"]))
    return Job(
        folder, spec, began, device, config, method, regions, note, beginning.sha256, readers
    )


def _settings_of(file: ModelFile, spec: RunSpec) -> dict[str, Any]:
    """Settings of the run to start from: its networks' shapes must be ours."""
    if file.method != spec.method:
        raise NoisySegError(
            f"--init {spec.init}: was trained with {file.method}, whose weights do not fit "
            f"{spec.method}",
            window=f"{spec.init}: was trained with {file.method}, whose weights do not fit "
            f"{spec.method}",
        )
    return file.config


def _load_weights(method: Method, weights: Any, spec: RunSpec) -> None:
    try:
        method.load_weights(weights)
    except (KeyError, RuntimeError, ValueError) as error:
        raise NoisySegError(
            f"--init {spec.init}: its networks have another shape; leave width and encoder as "
            f"they were there ({str(error).splitlines()[0]})",
            window=f"{spec.init}: its networks have another shape; leave width and encoder under "
            "“Settings of the method” as they were there",
        ) from error


def _training(job: Job) -> Training:
    """Prepare every region and put the loop's parts together, resumed where asked."""
    spec, kind = job.spec, type(job.method)
    labels = job.config.label_planes() or kind.needs.labels
    images = [training_image(region.load(), job.config, labels) for region in job.regions]
    data = TrainingData(images, job.config, kind.needs, job.device.name, spec.seed)
    checkpoint = load_newest(job.folder / "checkpoints") if spec.resume else None
    planned = checkpoint.position.epochs if checkpoint and not spec.time_budget else None
    plan = Plan(
        epochs=spec.epochs or planned,
        deadline=_deadline(job),
        seed=spec.seed,
        preview_seconds=spec.preview_seconds,
        checkpoint_seconds=spec.checkpoint_seconds,
        note=job.note,
    )
    job.preview.trained = data.images[0]
    run = Training(job.method, job.config, data, plan, job.device.name, job.folder, job.preview)
    if checkpoint:
        run.resume(checkpoint)
    return run


def _deadline(job: Job) -> float | None:
    """When training must end for results to be written in time, by what a preview takes."""
    if job.spec.deadline is None:
        return None
    preview = job.preview
    seconds = AFTERWARDS
    for region in job.regions:
        level0 = region.box.height * region.box.width
        rows, columns = working_shape(region.box.shape, region.mpp, job.config.working_mpp)
        seconds += CAUTION * preview.predict_seconds * rows * columns
        seconds += CAUTION * preview.refine_seconds * level0 + WRITING * level0 / 1e6
    return job.spec.deadline - seconds


def _finish(job: Job, run: Training, stopped: bool) -> Iterator[Event]:
    """Write the model and the results, and say what came of it."""
    began = time.time()
    provenance = {
        "run": job.folder.name,
        "seed": job.spec.seed,
        "steps": run.at.step,
        "epochs": run.at.epoch,
        "images": sorted({image.name for image in run.data.images}),
        "created": began,
        "first_weights": job.first or None,
    }
    model = model_of(run, job.spec.method, provenance, job.readers)
    files: list[str] = []
    scores: list[float] = []
    results = write_results(job.folder, model, job.regions, job.spec.everywhere, run.data.images)
    for file, refined in results:
        files.append(file)
        scores += [found.score for found in refined.found]
    figures = {
        **{f"loss_{name}": value for name, value in run.outcome.told().items()},
        "nuclei": float(len(scores)),
        "confidence": sum(scores) / len(scores) if scores else 0.0,
        "epochs": float(run.at.epoch),
        "steps": float(run.at.step),
        "outside_networks": _outside(run),
        "writing_seconds": time.time() - began,
    }
    if run.at.best is not None:
        figures["best"] = run.at.best
    yield Finished(stopped, time.time() - job.began, figures, tuple(files))


def _outside(run: Training) -> float:
    """Share of a step's time that making its batch takes."""
    total = run.seconds["data"] + run.seconds["step"]
    return run.seconds["data"] / total if total else 0.0
