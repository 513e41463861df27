"""predict: nuclei of other images, by a trained model, or by the starter without torch."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import numpy as np
import typer
from numpy.typing import NDArray

from ..annotation.advice import nuclei
from ..errors import JobError, NoisySegError
from ..exchange.formats import FORMATS
from ..slides import Box, Slide, content_hash, open_image
from ..slides.limits import MAX_LABELLED_PIXELS
from ..store import ASSUMED_MPP, SUFFIX
from ..whole import Model, Plan, Stitched, Tile, load_model, make_plan
from ..whole.cohort import MANIFEST, Cohort
from ..whole.drive import predict_tiles
from ..whole.model import learned_key, starter_key
from ..whole.outputs import Summary, summary, write_image, write_outlines, write_table
from ..whole.stitch import PLAN
from ..whole.tissue import find_tissue
from ..worker.cluster.address import Scheduler
from .output import Progress, say, show
from .projects import Channel, Icc, image_files, open_project, tell_profile
from .training import Device, Insecure, SchedulerAddress

if TYPE_CHECKING:
    from ..worker.cluster.tiles import Workers

STARTER = "starter"
ENDINGS = {name: FORMATS[name].ending for name in ("labels", "geojson")}
SMALL_TILE = 512
"""Side of the tiles of an image that is not a slide, when workers share it, px."""
Predict = Callable[[Path], tuple[NDArray[np.int32], float]]
"""An image file to its nuclei, and µm per pixel."""


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
            help="Folder for <stem>.tif or .geojson; of a slide also <stem>.ome.zarr and .csv.",
        ),
    ],
    format: Annotated[
        Literal["labels", "geojson"], typer.Option(help="Label images, or outlines for QuPath.")
    ] = "labels",
    device: Device = "auto",
    mpp: Annotated[
        float | None, typer.Option(min=0.001, help="µm per pixel, if the file has none.")
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
    files = image_files(images)
    starts = model == STARTER or _is_project(Path(model))
    if not starts and find_spec("torch") is None:
        raise NoisySegError(
            "predicting with a run's model needs torch: pip install 'napari-noisyseg[train]'; "
            "--model starter does not need it"
        )
    kinds, wrong = _sorted_out(files, output, format, Reading(channel, icc))
    asked = Asked(model, _key(model, starts), format, device, mpp, Reading(channel, icc), again)
    workers = None
    if scheduler is not None:
        workers = _workers(Scheduler.of(scheduler, insecure), asked, list(kinds))
        kinds = dict.fromkeys(kinds, True)
    found = _starter(asked) if starts else _run(asked)
    _make_folder(output)
    _all(files, kinds, wrong, asked, found, Engine(asked, output, workers))


class Reading(NamedTuple):
    """How images are read: which channel of fluorescence, and whether by their colour profile."""

    channel: int | None
    icc: bool

    def opened(self, file: Path) -> Slide:
        """The image, opened so. Raises NoisySegError."""
        return open_image(file, self.channel, self.icc)


class Asked(NamedTuple):
    """What the command was given; key: a digest of the model's weights."""

    model: str
    key: str
    format: str
    device: str
    mpp: float | None
    reading: Reading
    again: bool

    def of(self, file: Path) -> dict[str, Any]:
        """What makes the results of an image what they are, in plain values."""
        how = {"icc": True} if self.reading.icc else {}
        return {
            "file": str(file), "sha": content_hash(file), "model": self.key,
            "format": self.format, "mpp": self.mpp, "channel": self.reading.channel, **how,
        }  # fmt: skip


def _sorted_out(
    files: list[Path], output: Path, format: str, reading: Reading
) -> tuple[dict[Path, bool], dict[Path, NoisySegError]]:
    """Which images go tile by tile, and which cannot be opened.

    Raises where none can, and where one cannot and no slide is among them: then nothing is begun.
    """
    kinds: dict[Path, bool] = {}
    wrong: dict[Path, NoisySegError] = {}
    for file in files:
        _check_target(file, output / f"{file.stem}{ENDINGS[format]}")
        try:
            with reading.opened(file) as slide:
                kinds[file] = _is_slide(slide)
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
        key = asked.of(file) if file in kinds else {"file": str(file)}
        if not asked.again and file in kinds and cohort.is_done(file.stem, key):
            found_before = cohort.nuclei(file.stem)
            say(f"{file.name}: already done, {nuclei(found_before)}")
            ready, count = ready + 1, count + found_before
            continue
        try:
            if file in wrong:
                raise wrong[file]
            progress.update(i / len(files), file.name)
            named, row = engine.slide(file) if kinds[file] else _small(file, asked, found, output)
        except NoisySegError as error:
            wrong[file] = error
            say(f"{file.name}: {error}")
            cohort.failed(file.stem, key, str(error))
            continue
        cohort.done(file.stem, key, [target.name for target in named], row)
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
    _conclude(ready, wrong, output)


def _conclude(ready: int, wrong: Mapping[Path, NoisySegError], output: Path) -> None:
    if not ready and len(wrong) == 1 and not isinstance(next(iter(wrong.values())), Unlike):
        raise next(iter(wrong.values()))
    if not ready:
        raise NoisySegError(f"nothing could be predicted in {_counted(len(wrong))}")
    failed = [error for error in wrong.values() if not isinstance(error, Unlike)]
    if failed:
        raise JobError(
            f"{len(failed)} of {ready + len(wrong)} images could not be predicted; "
            f"{output / MANIFEST} says why"
        )


class Unlike(NoisySegError):
    """An image that a model cannot judge: it is left out."""


def _small(file: Path, asked: Asked, found: Predict, output: Path) -> tuple[list[Path], Summary]:
    """An image in one piece."""
    labels, size = found(file)
    target = output / f"{file.stem}{ENDINGS[asked.format]}"
    _write(target, labels, file.stem)
    areas = np.bincount(labels.ravel())[1:]
    with asked.reading.opened(file) as slide:
        tissue = find_tissue(slide, size).area_mm2(size)
    row = summary(file.name, labels.shape, size, tissue, areas[areas > 0] * size**2, None)
    return [target], row


def _write(target: Path, labels: NDArray[np.int32], image: str) -> None:
    from ..exchange.labels import write_labels
    from ..exchange.predicted import write_outlines

    if target.suffix == ENDINGS["geojson"]:
        write_outlines(target, labels, image)
    else:
        write_labels(target, labels)


def _counted(count: int) -> str:
    return "this image" if count == 1 else f"these {count} images"


class Engine:
    """Slides, tile by tile; the model is loaded when the first one comes."""

    def __init__(self, asked: Asked, output: Path, workers: Workers | None = None) -> None:
        self._asked, self.output, self._workers = asked, output, workers
        self.progress = Progress("predict")
        self._model: Model | None = None

    def slide(self, file: Path) -> tuple[list[Path], Summary]:
        """All that was not done yet of a slide, and its files. Raises NoisySegError."""
        with self._asked.reading.opened(file) as slide:
            stitched = self._stitched(file, slide, self._size(file, slide))
            there = self._workers and self._workers.on(file, stitched.plan, say)
            tiles, tell = list(stitched.plan.tiles()), partial(self._tell, file)
            predict_tiles(slide, self._loaded(), stitched, tiles, tell, elsewhere=there)
        stitched.lay_all()
        return self._written(file, stitched)

    def _size(self, file: Path, slide: Slide) -> float:
        """µm per pixel; never guessed for a slide."""
        size = self._asked.mpp or slide.mpp
        if size is None and _is_slide(slide):
            raise NoisySegError("the slide gives no pixel size, or an impossible one: give --mpp")
        if size is None:
            size = ASSUMED_MPP
            say(f"{file.name}: no pixel size in the file; {size} µm per pixel assumed (--mpp)")
        return size

    def _stitched(self, file: Path, slide: Slide, size: float) -> Stitched:
        """The tiles of an earlier command, or a new plan."""
        folder, sha = self.output / f"{file.stem}.tiles", content_hash(file)
        labels = self.output / f"{file.stem}.ome.zarr"
        plan = Plan.read(folder / PLAN) if (folder / PLAN).is_file() else None
        asked = (sha, size, bool(slide.icc))
        same = plan is not None and (plan.sha, plan.mpp, plan.icc) == asked
        if plan is None or not same or plan.model != self._loaded().key or self._asked.again:
            if plan is not None:
                say(
                    f"{file.name}: begun anew; what was there is of another slide, size, model or "
                    "colours"
                )
                shutil.rmtree(folder)
                shutil.rmtree(labels, ignore_errors=True)
            # a small image is otherwise one tile, at which only one worker could work
            side = None if _is_slide(slide) else SMALL_TILE
            plan = make_plan(slide, size, sha, self._loaded(), side)
        return Stitched(folder, labels, plan, file.stem)

    def _written(self, file: Path, stitched: Stitched) -> tuple[list[Path], Summary]:
        plan, stem = stitched.plan, self.output / file.stem
        files = [stitched.labels, stem.with_name(f"{file.stem}.csv")]
        areas, doubtful = write_table(files[1], stitched)
        if self._asked.format == "geojson":
            files.insert(0, stem.with_name(f"{file.stem}.geojson"))
            write_outlines(files[0], stitched, file.stem)
        elif plan.height * plan.width <= MAX_LABELLED_PIXELS:
            files.append(stem.with_name(f"{file.stem}.tif"))
            write_image(files[-1], stitched)
        tissue = plan.tissue.area_mm2(plan.mpp)
        shape = (plan.height, plan.width)
        return files, summary(file.name, shape, plan.mpp, tissue, areas, doubtful)

    def _tell(self, file: Path, done: int, count: int, laid: list[Tile]) -> None:
        self.progress.update(done / max(count, 1), f"{file.name}: {done} of {count} tiles")

    def _loaded(self) -> Model:
        if self._model is None:
            self._model = load_model(_source(self._asked.model), self._asked.device)
        return self._model


def _workers(scheduler: Scheduler, asked: Asked, slides: Sequence[Path]) -> Workers:
    """The workers that predict tiles instead of this machine; NoisySegError if they cannot."""
    from ..worker.cluster.tiles import Workers

    workers = Workers.of(scheduler, _source(asked.model), asked.reading.channel, asked.device)
    workers.check({str(path.absolute()): content_hash(path) for path in slides})
    return workers


def _source(model: str) -> str:
    """A model's path: a project may be named without its ending."""
    return model + SUFFIX if not Path(model).is_dir() and _is_project(Path(model)) else model


def _is_slide(slide: Slide) -> bool:
    """Whether an image is too large, or too much of a slide, to be worked on in one piece."""
    height, width = slide.shape
    return bool(slide.is_pyramid or height * width > MAX_LABELLED_PIXELS)


def _key(model: str, starts: bool) -> str:
    """A digest of the model's weights. Raises NoisySegError where there is none."""
    if model == STARTER:
        return starter_key()
    if starts:
        with open_project(Path(model)) as opened:
            return learned_key(opened) or starter_key()
    path = Path(model)
    file = path / "model.safetensors" if path.is_dir() else path
    # the loader says so if it is not a model
    return content_hash(file) if file.is_file() else ""


def _is_project(path: Path) -> bool:
    return path.suffix == SUFFIX or path.with_name(path.name + SUFFIX).is_dir()


def _run(asked: Asked) -> Predict:
    from ..training.predict import load_model, predict_nuclei

    loaded = load_model(Path(asked.model), asked.device)

    def found(file: Path) -> tuple[NDArray[np.int32], float]:
        labels = predict_nuclei(loaded, file, asked.mpp, say, *asked.reading)
        with asked.reading.opened(file) as slide:
            return labels, asked.mpp or slide.mpp or ASSUMED_MPP

    return found


def _starter(asked: Asked) -> Predict:
    """The starter; of a project, with what it learned there. Raises NoisySegError without it."""
    from ..coarse.appearance import unlike
    from ..coarse.centres import segment
    from ..coarse.project import centres_of, look_of
    from ..coarse.starter import CENTRES, OUTLINE, shipped

    look, network, model = None, None, asked.model
    if model != STARTER:
        with open_project(Path(model)) as opened:
            look, network = look_of(opened), centres_of(opened)
        if look is None and network is None:
            say(f"{model}: nothing was learned in this project yet; the starter is used")
    for name in (CENTRES, OUTLINE):
        shipped(name)

    def found(file: Path) -> tuple[NDArray[np.int32], float]:
        with asked.reading.opened(file) as slide:
            rgb, size = slide.read(Box(0, 0, *slide.shape)), asked.mpp or slide.mpp
        doubt = unlike(rgb)
        if doubt:
            raise Unlike(f"{doubt}, and the starter knows only stained tissue in colour")
        if size is None:
            size = ASSUMED_MPP
            say(f"{file.name}: no pixel size in the file; {size} µm per pixel assumed (--mpp)")
        return segment(rgb, size, look, network=network), size

    return found


def _check_target(file: Path, target: Path) -> None:
    if target.exists() and target.samefile(file):
        raise NoisySegError(
            f"--output {target.parent}: would overwrite {file}; name another folder"
        )


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
