"""Models for other programs: ONNX files, and packages for the bioimage.io model zoo."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_noisyseg import registry, samples
from napari_noisyseg.api.bioimageio import About, package
from napari_noisyseg.api.predicting import STARTER, ModelLike
from napari_noisyseg.api.trainings import Training
from napari_noisyseg.coarse import starter
from napari_noisyseg.coarse.appearance import MPP, SIDE, appearance, crops
from napari_noisyseg.coarse.starter import CENTRES, OUTLINE
from napari_noisyseg.errors import JobError, NoisySegError
from napari_noisyseg.store import Project, Run
from napari_noisyseg.store.database import NAME as DATABASE
from napari_noisyseg.store.durable import write_atomically

F32 = NDArray[np.float32]
CLOSE = 1e-4
"""By how much ONNX Runtime may differ from torch, of logits or probabilities."""


@dataclass(frozen=True)
class Exported:
    """The file, and the largest difference from torch on real tissue; None: no torch is here."""

    path: Path
    difference: float | None


@dataclass(frozen=True)
class _Ready:
    """A model as an ONNX file, an input made of the bundled tissue, and what comes out of it."""

    onnx: bytes
    x: F32
    y: F32
    about: About
    difference: float | None


def export_model(
    model: ModelLike,
    out: str | os.PathLike[str],
    format: Literal["onnx", "bioimageio"] = "onnx",
    network: Literal["centres", "outline"] = "centres",
    author: str = "",
) -> Exported:
    """Write a model for programs that have neither NoisySeg nor torch.

    model: as in `predict`. out: a new file, `.onnx` or `.zip`. format: `onnx`, or `bioimageio` for
    a package of the model zoo, with test tensors and a page on input and output. network: which
    network of the starter or of a project: `centres` (where nuclei lie) or `outline` (at a click).
    author: who made the model; needed for a package of your own model.

    The file is run on the bundled tissue and compared with torch, if torch is installed.

    Returns the file and the largest difference from torch. Raises NoisySegError where the model
    cannot be read or the file is there; JobError where the two do not agree.
    """
    path = Path(out)
    if format not in ("onnx", "bioimageio"):
        raise NoisySegError(f"there is no format {format!r}: choose onnx or bioimageio")
    if path.exists():
        raise NoisySegError(f"{path} exists already: choose another name")
    if not path.absolute().parent.is_dir():
        raise NoisySegError(f"there is no folder {path.absolute().parent}: make it first")
    if format == "bioimageio" and model != STARTER and not author.strip():
        raise NoisySegError("a package needs an author: say who made the model (--author NAME)")
    ready = _ready(model, network)
    if ready.difference is not None and not ready.difference <= CLOSE:
        raise JobError(f"the ONNX file differs from torch by {ready.difference:.2g}: not written")
    content = ready.onnx
    if format == "bioimageio":
        made_by = author or "NoisySeg developers"
        content = package(ready.onnx, ready.x, ready.y, ready.about, made_by)
    write_atomically(path, content)
    return Exported(path, ready.difference)


def _ready(model: ModelLike, network: str) -> _Ready:
    if isinstance(model, Project) or model == STARTER:
        return _of_starter(model if isinstance(model, Project) else None, network)
    if isinstance(model, (str, os.PathLike)) and (Path(model) / DATABASE).exists():
        with Project.open(Path(model), write=False) as opened:
            return _of_starter(opened, network)
    return _of_run(model.dir if isinstance(model, (Training, Run)) else Path(model))


def _field() -> NDArray[np.uint8]:
    """Real tissue, whose middle is a test's input: uint8 (256, 256, 3)."""
    with Image.open(samples.FIELD) as image:
        return np.asarray(image.convert("RGB"))[128:384, 128:384]


def _of_starter(project: Project | None, network: str) -> _Ready:
    """One of the starter's networks, with what it learned in a project."""
    if network not in (CENTRES, OUTLINE):
        raise NoisySegError(f"there is no network {network!r}: choose {CENTRES} or {OUTLINE}")
    learned = None if project is None else project.learned.of(network)
    weights = starter.model_weights(network)
    if learned is not None:
        weights = starter.read_weights(learned.path)[0]
    onnx = starter.with_weights(starter.model(network), weights)
    planes = appearance(_field(), samples.FIELD_MPP)
    middle = np.array([[SIDE, SIDE], [SIDE + 18, SIDE + 9]], np.float64)
    x = planes[None] if network == CENTRES else crops(planes, middle, np.arange(2))
    y = _run_onnx(onnx, x)
    difference = None
    if find_spec("torch") is not None:
        from napari_noisyseg.learning.starter.check import logits

        difference = _apart(logits(weights, x), y)
    return _Ready(onnx, x, y, _about_starter(network, learned is not None), difference)


def _of_run(path: Path) -> _Ready:
    """The model of a training. Raises NoisySegError without torch."""
    if find_spec("torch") is None:
        raise NoisySegError(
            "the model of a training needs torch: pip install 'napari-noisyseg[train]'"
        )
    from napari_noisyseg.training.onnx_file import as_onnx, in_torch, seen
    from napari_noisyseg.training.predict import load_model

    loaded = load_model(path, "cpu")
    onnx, x = as_onnx(loaded), seen(loaded, _field(), samples.FIELD_MPP)
    y = _run_onnx(onnx, x)
    described = registry.describe(loaded.file.method)
    about = About(
        f"NoisySeg {loaded.file.method}",
        f"Probability of nucleus in H&E tissue; trained with {described.title} in NoisySeg.",
        loaded.config.working_mpp,
        ("red", "green", "blue", "hematoxylin"),
        "Red, green and blue divided by 255, and the density of hematoxylin scaled to 0..1 "
        "(`napari_noisyseg.stains.hematoxylin`).",
        ("nucleus",),
        "The probability that a pixel is nucleus.",
        described.paper,
    )
    return _Ready(onnx, x, y, about, _apart(in_torch(loaded, x), y))


def _run_onnx(onnx: bytes, x: F32) -> F32:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": x})[0], np.float32)


def _apart(one: F32, other: F32) -> float:
    return float(np.abs(one - other).max())


def _about_starter(network: str, adapted: bool) -> About:
    colours = ("red density", "green density", "blue density", "evidence")
    come_in = (
        "Optical densities of red, green and blue, each z-scored over the tissue, and how much a "
        "pixel looks like nucleus by its colour: `napari_noisyseg.coarse.appearance.appearance`"
    )
    name = f"NoisySeg starter {network}{' (adapted)' if adapted else ''}"
    learned = "Learned from Naylor et al. 2018 (CC BY 4.0) and DSB 2018 (CC0)."
    if network == CENTRES:
        return About(
            name, f"Where nuclei lie in H&E tissue. {learned}", MPP, colours, f"{come_in}.",
            ("depth", "nucleus"),
            "How deep in a nucleus a pixel lies, and whether it is nucleus; 0..1.", "", True,
        )  # fmt: skip
    return About(
        name, f"The nucleus at a click in H&E tissue. {learned}", MPP,
        (*colours, "this click", "other clicks"),
        f"{come_in}, and Gaussian spots at the click and at all others "
        "(`napari_noisyseg.coarse.appearance.crops`), 64 x 64 px around the click.",
        ("nucleus",), "The probability that a pixel is of the nucleus at the click.", "", True,
        SIDE,
    )  # fmt: skip
