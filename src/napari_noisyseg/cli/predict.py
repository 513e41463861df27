"""predict: nuclei of other images, by a trained model, or by the starter without torch."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

import typer

from ..annotation.advice import nuclei
from ..errors import JobError, NoisySegError
from ..slides import name_of
from ..store import checked_mpp
from ..whole.cohort import MANIFEST, Cohort
from ..worker.cluster.address import Scheduler
from .output import say, show
from .paths import check_outside, image_files
from .predict_image import (
    STARTER,
    Asked,
    Engine,
    Predict,
    Reading,
    Unlike,
    by_run,
    by_starter,
    check_target,
    in_one_piece,
    is_project,
    is_slide,
    key_of,
    targets,
    workers_for,
)
from .projects import Channel, Icc, tell_profile
from .training import Device, Insecure, SchedulerAddress


def register(app: typer.Typer) -> None:
    """Add this command to the app."""
    app.command()(predict)


def predict(
    images: Annotated[
        list[Path], typer.Argument(metavar="IMAGE...", help="Images, slides, or folders of them.")
    ],
    model: Annotated[
        str,
        typer.Option(
            metavar="RUN_DIR|starter|PROJECT",
            help="A run's folder; 'starter', which comes with the package; or a project, for the "
            "starter with what it learned there.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            help="Folder for <name>.tif or .geojson; of a slide also <name>.ome.zarr and .csv.",
        ),
    ],
    format: Annotated[
        Literal["labels", "geojson"], typer.Option(help="Label images, or outlines for QuPath.")
    ] = "labels",
    device: Device = "auto",
    mpp: Annotated[
        float | None,
        typer.Option(help="µm per pixel of every image. Default: what its file says."),
    ] = None,
    channel: Channel = None,
    again: Annotated[
        bool, typer.Option("--again", help="Also predict images that are already done.")
    ] = False,
    scheduler: SchedulerAddress = None,
    insecure: Insecure = False,
    icc: Icc = False,
) -> None:
    """Find nuclei in other images and whole slides.

    Slides are done tile by tile; after a stop the same command does what is missing. With slides,
    DIR/manifest.json lists what is done and DIR/summary.csv what was found.
    """
    files, mpp = image_files(images), None if mpp is None else checked_mpp(mpp)
    check_outside(output)
    starts = model == STARTER or is_project(Path(model))
    if not starts and find_spec("torch") is None:
        raise NoisySegError(
            "predicting with a run's model needs torch: pip install 'napari-noisyseg[train]'; "
            "--model starter does not need it"
        )
    reading, workers = Reading(channel, icc), None
    kinds, wrong = _sorted_out(files, reading)
    if scheduler is not None:
        kinds = dict.fromkeys(kinds, True)
    for file, tiled in kinds.items():
        for target in targets(file, output, format, tiled):
            check_target(file, target)
    asked = Asked(model, key_of(model, starts), format, device, mpp, reading, again)
    if scheduler is not None:
        workers = workers_for(Scheduler.of(scheduler, insecure), asked, list(kinds))
    found = by_starter(asked) if starts else by_run(asked)
    _make_folder(output)
    _all(files, kinds, wrong, asked, found, Engine(asked, output, workers))


def _sorted_out(
    files: list[Path], reading: Reading
) -> tuple[dict[Path, bool], dict[Path, NoisySegError]]:
    """Which images go tile by tile, and which cannot be opened.

    Raises where none can, and where one cannot and no slide is among them: then nothing is begun.
    """
    kinds: dict[Path, bool] = {}
    wrong: dict[Path, NoisySegError] = {}
    for file in files:
        try:
            with reading.opened(file) as slide:
                kinds[file] = is_slide(slide)
                tell_profile(file.name, reading.icc, slide.icc)
        except NoisySegError as error:
            wrong[file] = error
    if wrong and not any(kinds.values()):
        raise next(iter(wrong.values()))
    return kinds, wrong


def _all(
    files: list[Path],
    kinds: Mapping[Path, bool],
    wrong: dict[Path, NoisySegError],
    asked: Asked,
    found: Predict,
    engine: Engine,
) -> None:
    """Predict every image; failures are reported, and the others are done."""
    # only with slides is there a manifest; small images leave just their own files
    output, progress, ready, count = engine.output, engine.progress, 0, 0
    cohort = Cohort(output, keeps=any(kinds.values()))
    for i, file in enumerate(files):
        name = name_of(file)
        key = asked.of(file) if file in kinds else {"file": str(file)}
        if not asked.again and file in kinds and cohort.is_done(name, key):
            found_before = cohort.nuclei(name)
            say(f"{file.name}: already done, {nuclei(found_before)}")
            ready, count = ready + 1, count + found_before
            continue
        try:
            if file in wrong:
                raise wrong[file]
            progress.update(i / len(files), file.name)
            if kinds[file]:
                named, row = engine.slide(file)
            else:
                with progress.waiting(i / len(files), file.name):
                    named, row = in_one_piece(file, asked, found, output)
        except NoisySegError as error:
            wrong[file] = error
            say(f"{file.name}: {error}")
            cohort.failed(name, key, str(error))
            continue
        cohort.done(name, key, [target.name for target in named], row)
        say(f"{file.name}: {nuclei(row.nuclei)}")
        show(named[0])
        ready, count = ready + 1, count + row.nuclei
    progress.update(1.0, "")
    progress.close()
    sys.stdout.flush()
    if ready > 1:
        say(f"{ready} images: {nuclei(count)} in all")
    if ready and wrong:
        cohort.keep()
    _conclude(ready, wrong, cohort)


def _conclude(ready: int, wrong: Mapping[Path, NoisySegError], cohort: Cohort) -> None:
    if not ready and len(wrong) == 1 and not isinstance(next(iter(wrong.values())), Unlike):
        raise next(iter(wrong.values()))
    if not ready:
        raise NoisySegError(f"nothing could be predicted in {_counted(len(wrong))}")
    failed = [error for error in wrong.values() if not isinstance(error, Unlike)]
    if failed:
        why = f"{cohort.folder / MANIFEST} says why" if cohort.keeps else str(failed[0])
        raise JobError(
            f"{len(failed)} of {ready + len(wrong)} images could not be predicted: {why}"
        )


def _counted(count: int) -> str:
    return "this image" if count == 1 else f"these {count} images"


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        # a file of this name, or one in the path to it
        reason = "it is a file" if folder.is_file() else error.strerror
        raise NoisySegError(
            f"--output {folder}: cannot be made ({reason}); name a folder that you may write in"
        ) from None
    if not os.access(folder, os.W_OK):
        raise NoisySegError(f"--output {folder}: cannot be written in; name another folder")
