"""predict: nuclei of other images, by a trained model, or by the starter without torch."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer
from numpy.typing import NDArray

from ..errors import NoisySegError
from ..exchange.formats import FORMATS
from ..slides import Box, open_image
from ..slides.limits import check_labelled
from ..store import ASSUMED_MPP, SUFFIX
from .output import Progress, say, show
from .projects import Channel, image_files, open_project
from .training import Device

STARTER = "starter"
ENDINGS = {name: FORMATS[name].ending for name in ("labels", "geojson")}
Predict = Callable[[Path], NDArray[np.int32] | None]
"""An image file to its nuclei; None where that cannot be, once it has been said why."""


def register(app: typer.Typer) -> None:
    """Add this command to the app."""
    app.command()(predict)


def predict(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...")],
    model: Annotated[
        str,
        typer.Option(
            metavar="RUN_DIR|starter|PROJECT",
            help="A run's folder; 'starter', which comes with the package; or a project, for the "
            "starter with what it learned there.",
        ),
    ],
    output: Annotated[Path, typer.Option(metavar="DIR", help="Where DIR/<stem>.tif go.")],
    format: Annotated[
        Literal["labels", "geojson"], typer.Option(help="Label images, or outlines for QuPath.")
    ] = "labels",
    device: Device = "auto",
    mpp: Annotated[
        float | None, typer.Option(min=0.001, help="µm per pixel, if the file has none.")
    ] = None,
    channel: Channel = None,
) -> None:
    """Predict nuclei on other images with a trained model, or with the starter."""
    files = image_files(images)
    starts = model == STARTER or _is_project(Path(model))
    if not starts and find_spec("torch") is None:
        raise NoisySegError(
            "predicting with a run's model needs torch: pip install 'napari-noisyseg[train]'; "
            "--model starter does without"
        )
    targets = {file: output / f"{file.stem}{ENDINGS[format]}" for file in files}
    for file, target in targets.items():
        with open_image(file, channel) as slide:
            check_labelled(file, *slide.shape)
        _check_target(file, target)
    found = _starter(model, mpp, channel) if starts else _run(Path(model), device, mpp, channel)
    _make_folder(output)
    _all(targets, found)


def _all(targets: Mapping[Path, Path], found: Predict) -> None:
    """Every image to its file. Raises NoisySegError when not one could be predicted."""
    progress, written = Progress("predict"), 0
    for i, (file, target) in enumerate(targets.items(), start=1):
        labels = found(file)
        if labels is not None:
            _write(target, labels, file.stem)
            written += 1
            show(target)
        progress.update(i / len(targets), file.name)
    progress.close()
    sys.stdout.flush()
    if not written:
        raise NoisySegError(f"nothing could be predicted in {_counted(len(targets))}")


def _write(target: Path, labels: NDArray[np.int32], image: str) -> None:
    from ..exchange.labels import write_labels
    from ..exchange.predicted import write_outlines

    if target.suffix == ENDINGS["geojson"]:
        write_outlines(target, labels, image)
    else:
        write_labels(target, labels)


def _counted(count: int) -> str:
    return "this image" if count == 1 else f"these {count} images"


def _is_project(path: Path) -> bool:
    return path.suffix == SUFFIX or path.with_name(path.name + SUFFIX).is_dir()


def _run(model: Path, device: str, mpp: float | None, channel: int | None) -> Predict:
    from ..training.predict import load_model, predict_nuclei

    loaded = load_model(model, device)
    return lambda file: predict_nuclei(loaded, file, mpp, say, channel)


def _starter(model: str, mpp: float | None, channel: int | None) -> Predict:
    """The starter; of a project, with what it learned there. Raises NoisySegError without it."""
    from ..coarse.appearance import unlike
    from ..coarse.centres import segment
    from ..coarse.project import centres_of, look_of
    from ..coarse.starter import CENTRES, OUTLINE, shipped

    look, network = None, None
    if model != STARTER:
        with open_project(Path(model)) as opened:
            look, network = look_of(opened), centres_of(opened)
        if look is None and network is None:
            say(f"{model}: nothing was learned in it yet; the starter is used as it comes")
    for name in (CENTRES, OUTLINE):
        shipped(name)

    def found(file: Path) -> NDArray[np.int32] | None:
        with open_image(file, channel) as slide:
            rgb, size = slide.read(Box(0, 0, *slide.shape)), mpp or slide.mpp
        doubt = unlike(rgb)
        if doubt:
            say(f"{file.name}: {doubt}, and the starter has seen stained tissue in colour only")
            return None
        if size is None:
            size = ASSUMED_MPP
            say(f"{file.name}: no pixel size in the file; {size} µm per pixel assumed (--mpp)")
        return segment(rgb, size, look, network=network)

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
