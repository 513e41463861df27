"""How predict treats one image: by which model, in one piece or tile by tile, into which files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import regular_file
from ..errors import NoisySegError
from ..exchange.formats import FORMATS
from ..exchange.formats.format import BEGINNING
from ..exchange.labels import writer_of
from ..exchange.marks import command_of
from ..slides import Box, Slide, content_hash, name_of, open_image
from ..slides.limits import MAX_LABELLED_PIXELS
from ..store import ASSUMED_MPP, SUFFIX
from ..whole import Model, Plan, Stitched, Tile, load_model, make_plan
from ..whole.drive import predict_tiles
from ..whole.model import learned_key, starter_key
from ..whole.outputs import COLUMNS, Summary, summary, write_image, write_outlines, write_table
from ..whole.stitch import PLAN, discard, source_of
from ..whole.tissue import find_tissue
from ..worker.cluster.address import Scheduler
from .output import Progress, say
from .paths import meant, open_project

if TYPE_CHECKING:
    from ..worker.cluster.tiles import Workers

STARTER = "starter"
ENDINGS = {name: FORMATS[name].ending for name in ("labels", "geojson")}
SMALL_TILE = 512
"""Side of the tiles of an image that is not a slide, when workers share it, px."""
Predict = Callable[[Path], tuple[NDArray[np.int32], float]]
"""An image file to its nuclei, and µm per pixel."""


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


def targets(file: Path, output: Path, format: str, tiled: bool) -> list[Path]:
    """The files into which an image's nuclei go; tiled: labels, a table, and what was asked for."""
    name = name_of(file)
    asked = output / f"{name}{ENDINGS[format]}"
    return [output / f"{name}.ome.zarr", output / f"{name}.csv", asked] if tiled else [asked]


def check_target(file: Path, target: Path) -> None:
    """Raise NoisySegError where a file to be written is the image, or was made by somebody else."""
    if not target.exists():
        return
    if target.samefile(file):
        raise NoisySegError(
            f"--output {target.parent}: would overwrite {file}; name another folder"
        )
    if target.suffix == ".zarr":
        source_of(target)
    elif not _is_ours(target):
        raise NoisySegError(
            f"{target} is there already, and was not made by an earlier prediction: name another "
            "folder, or move it away"
        )


def _is_ours(target: Path) -> bool:
    if not regular_file.is_file(target):
        return False
    if target.suffix == ".csv":
        first = ",".join(COLUMNS).encode()
        with regular_file.opened(target) as file:
            return file.readline(len(first) + 2).rstrip() == first
    if target.suffix == ENDINGS["labels"]:
        return writer_of(target) == "predict"
    with regular_file.opened(target) as file:
        return command_of(file.read(BEGINNING)) == "predict"


class Unlike(NoisySegError):
    """An image that a model cannot judge: it is left out."""


def in_one_piece(
    file: Path, asked: Asked, found: Predict, output: Path
) -> tuple[list[Path], Summary]:
    """Predict an image that is no slide; its file."""
    labels, size = found(file)
    (target,) = targets(file, output, asked.format, tiled=False)
    _write(target, labels, name_of(file))
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
        write_labels(target, labels, by="predict")


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
        if size is None and is_slide(slide):
            raise NoisySegError("the slide gives no pixel size, or an impossible one: give --mpp")
        if size is None:
            size = ASSUMED_MPP
            say(f"{file.name}: no pixel size in the file; {size} µm per pixel assumed (--mpp)")
        return size

    def _stitched(self, file: Path, slide: Slide, size: float) -> Stitched:
        """The tiles of an earlier command, or a new plan."""
        name, sha = name_of(file), content_hash(file)
        folder, labels = self.output / f"{name}.tiles", self.output / f"{name}.ome.zarr"
        plan = Plan.read(folder / PLAN) if (folder / PLAN).is_file() else None
        asked = (sha, size, bool(slide.icc), slide.channel)
        same = plan is not None and (plan.sha, plan.mpp, plan.icc, plan.channel) == asked
        if plan is None or not same or plan.model != self._loaded().key or self._asked.again:
            if plan is not None:
                say(
                    f"{file.name}: begun again, as what was there is of another slide, size, "
                    "model, channel or colours"
                )
                discard(folder, labels)
            # a small image is otherwise one tile, at which only one worker could work
            side = None if is_slide(slide) else SMALL_TILE
            plan = make_plan(slide, size, sha, self._loaded(), side)
        return Stitched(folder, labels, plan, name)

    def _written(self, file: Path, stitched: Stitched) -> tuple[list[Path], Summary]:
        plan, name = stitched.plan, name_of(file)
        labels, table, drawn = targets(file, self.output, self._asked.format, tiled=True)
        areas, doubtful = write_table(table, stitched)
        files = [labels, table]
        if self._asked.format == "geojson":
            files.insert(0, drawn)
            write_outlines(drawn, stitched, name)
        elif plan.height * plan.width <= MAX_LABELLED_PIXELS:
            files.append(drawn)
            write_image(drawn, stitched)
        tissue = plan.tissue.area_mm2(plan.mpp)
        shape = (plan.height, plan.width)
        return files, summary(file.name, shape, plan.mpp, tissue, areas, doubtful)

    def _tell(self, file: Path, done: int, count: int, laid: list[Tile]) -> None:
        self.progress.update(done / max(count, 1), f"{file.name}: {done} of {count} tiles")

    def _loaded(self) -> Model:
        if self._model is None:
            self._model = load_model(_source(self._asked.model), self._asked.device)
        return self._model


def workers_for(scheduler: Scheduler, asked: Asked, slides: Sequence[Path]) -> Workers:
    """The workers that predict tiles instead of this machine; NoisySegError if they cannot."""
    from ..worker.cluster.tiles import Workers

    workers = Workers.of(scheduler, _source(asked.model), asked.reading.channel, asked.device)
    workers.check({str(path.absolute()): content_hash(path) for path in slides})
    return workers


def _source(model: str) -> str:
    """A model's path: a project may be named without its ending."""
    return str(meant(Path(model))) if is_project(Path(model)) else model


def is_slide(slide: Slide) -> bool:
    """Whether an image is too large, or too much of a slide, to be worked on in one piece."""
    height, width = slide.shape
    return bool(slide.is_pyramid or height * width > MAX_LABELLED_PIXELS)


def key_of(model: str, starts: bool) -> str:
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


def is_project(path: Path) -> bool:
    """Whether a model's path is a project's, whose ending may be left out."""
    # "." has no name to be ended
    beside = path.name and path.with_name(path.name + SUFFIX).is_dir()
    return path.suffix == SUFFIX or bool(beside)


def by_run(asked: Asked) -> Predict:
    """A run's model. Raises NoisySegError without one."""
    from ..training.predict import load_model, predict_nuclei

    loaded = load_model(Path(asked.model), asked.device)

    def found(file: Path) -> tuple[NDArray[np.int32], float]:
        labels = predict_nuclei(loaded, file, asked.mpp, say, *asked.reading)
        with asked.reading.opened(file) as slide:
            return labels, asked.mpp or slide.mpp or ASSUMED_MPP

    return found


def by_starter(asked: Asked) -> Predict:
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
