"""The parent's side of a run: start it, ask it to stop, see whether it lives."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from napari_noisyseg import bounded_json, registry
from napari_noisyseg.annotation.advice import recommend
from napari_noisyseg.annotation.check import check
from napari_noisyseg.annotation.snapshot import write_snapshot
from napari_noisyseg.data.regions import SNAPSHOT
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.events import Failed
from napari_noisyseg.store.durable import write_atomically
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.runs import Run
from napari_noisyseg.store.spec import RunSpec, read_spec, write_spec
from napari_noisyseg.worker.parent import process

__all__ = ["check", "is_alive", "look", "lost", "recommend", "start", "stop"]

SETTINGS = "settings.json"
"""The settings in full, as the child resolved them."""
INIT = "init.safetensors"
MODEL = "model.safetensors"
READINGS = {"starter": "centres", "none": "watershed"}
"""What `init` says beside runs, and how nuclei are read: with the starter's networks or without."""
FIRST = "first_weights"
"""The setting that says whether networks begin with the starter's, in the words of `init`."""
LOOK = "look.txt"
"""Names the image that previews should show."""
LOST = Failed(
    "The training process is gone (killed, out of memory, or a power cut)",
    "Resume goes on from its last checkpoint.",
)
KILLED = Failed(
    "The training process is gone: it was killed, most likely because memory ran out",
    "Set a smaller crop, width or batch_size, or preset=small; Resume goes on from its last "
    "checkpoint.",
    remedy="Close other programs, or choose a smaller crop, width or batch size, or the small "
    "preset, under “Settings of the method”. Resume goes on from its last checkpoint.",
)
"""What to say of runs that ended without a word of their own."""


def start(project: Project, spec: RunSpec) -> Run:
    """Freeze the annotation and start a child on it; returns at once.

    Needs no lock on the project. Raises NoisySegError, with nothing left behind, when the run
    cannot work. A run that resumes another has a folder of its own and that run's snapshot.
    """
    if spec.time_budget and not spec.deadline:
        spec = spec.model_copy(update={"deadline": time.time() + spec.time_budget})
    resumed = project.runs.get(spec.resume) if spec.resume else None
    spec = _continued(resumed, spec) if resumed else _begun(spec)
    check(project, spec)
    if spec.scheduler is not None:
        spec = _on_a_cluster(spec, spec.scheduler)
    weights = _weights(project, spec.init) if spec.init else None
    with project.runs.making() as run:
        if resumed:
            _take_over(resumed, run.dir)
        else:
            needs = registry.describe(spec.method).needs
            write_snapshot(project, run.dir, spec.images, needs)
        if weights:
            shutil.copyfile(weights, run.dir / INIT)
        write_spec(run.dir, spec, created=time.time())
    launch(run, spec.threads)
    return run


def _on_a_cluster(spec: RunSpec, scheduler: str) -> RunSpec:
    """The spec with the address made sure of: raises NoisySegError where nobody there can train."""
    from napari_noisyseg.worker.cluster.address import Scheduler
    from napari_noisyseg.worker.cluster.offers import look

    address = Scheduler.of(scheduler, spec.insecure)
    look(address, spec.device)
    return spec.model_copy(update={"scheduler": address.address})


def launch(run: Run, threads: int | None = None) -> None:
    """Start a run's child; where that fails there is no run."""
    try:
        process.launch(run, threads)
    except BaseException:
        shutil.rmtree(run.dir, ignore_errors=True)
        raise


def replay(run: Run, folder: Path) -> Run:
    """Do a finished run again in another folder, from its snapshot, settings and seed alone.

    Returns at once. On the same machine its labels are the same. Errors: `NoisySegError` for a run
    that is not finished, or whose length was set by the clock or by hand.
    """
    spec = read_spec(run.dir)
    settings = run.dir / SETTINGS
    if run.state() != "finished" or not settings.is_file():
        raise NoisySegError(f"run {run.id} is {run.state()}: only a finished run can be repeated")
    if spec.time_budget is not None or spec.resume is not None:
        raise NoisySegError(
            f"run {run.id} had a time limit or continued another run: only a run with a fixed "
            "number of epochs (--epochs) gives the same labels again"
        )
    again = Run(folder)
    shutil.copytree(run.dir / SNAPSHOT, folder / SNAPSHOT, dirs_exist_ok=True)
    if (run.dir / INIT).is_file():
        shutil.copyfile(run.dir / INIT, folder / INIT)
    config = bounded_json.read_record(settings)
    here = {"config": config, "scheduler": None}
    write_spec(folder, spec.model_copy(update=here), created=time.time())
    process.launch(again, spec.threads)
    return again


def _begun(spec: RunSpec) -> RunSpec:
    """`init` of `READINGS` is no run's weights but a setting, which a person's own goes before."""
    if spec.init not in READINGS:
        return spec
    as_published = spec.init == "none" and spec.config.get("preset") == "paper"
    reading = {} if as_published else {"splitting": READINGS[spec.init]}
    has_first = FIRST in registry.describe(spec.method).schema["properties"]
    first = {FIRST: spec.init} if has_first else {}
    config = {**reading, **first, **spec.config}
    return spec.model_copy(update={"init": None, "config": config})


def _continued(resumed: Run, spec: RunSpec) -> RunSpec:
    """The spec of a run that goes on: the old method, settings and seed."""
    if resumed.state() in ("running", "waiting"):
        raise NoisySegError(f"run {resumed.id} is still running: stop it before resuming it")
    old = read_spec(resumed.dir)
    if spec.method != old.method:
        raise NoisySegError(
            f"run {resumed.id} was made with {old.method}, not {spec.method}: resume it as it "
            "was, or start from its weights with --init",
            window=f"run {resumed.id} was made with {old.method}, not {spec.method}: resume it as "
            "it was",
        )
    settings = resumed.dir / SETTINGS
    config = bounded_json.read_record(settings) if settings.exists() else old.config
    changes = {"config": {**config, **spec.config}, "seed": old.seed, "images": old.images}
    if spec.epochs is None and spec.time_budget is None:
        changes["epochs"] = old.epochs
    return spec.model_copy(update=changes)


def _take_over(resumed: Run, folder: Path) -> None:
    """Copy snapshot and checkpoints; the resumed run's own folder is left as it is."""
    checkpoints = resumed.dir / "checkpoints"
    if not checkpoints.is_dir() or not any(p.name.isdigit() for p in checkpoints.iterdir()):
        raise NoisySegError(
            f"run {resumed.id} left no checkpoint to resume from: train again without --resume",
            window="this run left no checkpoint to continue from: train again",
        )
    for name in (SNAPSHOT, "checkpoints"):
        shutil.copytree(
            resumed.dir / name, folder / name, ignore=shutil.ignore_patterns(".*"),
            dirs_exist_ok=True,
        )  # fmt: skip


def _weights(project: Project, init: str) -> Path:
    """The model file of a run, or of a path to one."""
    path = Path(init)
    if path.suffix != ".safetensors" and not (path / MODEL).is_file():
        path = project.runs.get(init).dir
    path = path if path.suffix == ".safetensors" else path / MODEL
    if not path.is_file():
        if init.endswith(".safetensors"):
            raise NoisySegError(
                f"--init {init}: there is no such file", window=f"{init}: there is no such file"
            )
        raise NoisySegError(
            f"--init {init}: has no model yet (it has not finished)",
            window=f"{init}: has no model yet: let it finish, or stop it",
        )
    return path


def stop(run: Run) -> None:
    """Ask the run to stop at its next step; it writes results and a checkpoint that resumes."""
    run.request_stop()


def look(run: Run, image: str) -> None:
    """Ask the run to show its next previews on this image, where it trains on it."""
    # a wish of the moment, made where people click: no wait for the disk
    write_atomically(run.dir / LOOK, image, durable=False)


def is_alive(run: Run) -> bool:
    """Whether the run's process works (or is about to)."""
    process.reap(run)
    return run.state() in ("running", "waiting")


def lost(run: Run) -> Failed:
    """What to say of a run whose process is gone without a word."""
    return KILLED if process.was_killed(run) else LOST
