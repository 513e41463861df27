"""Nuclei of an image, by any model there is."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.api.images import ImageLike, pixels
from napari_noisyseg.api.trainings import Training
from napari_noisyseg.coarse.centres import segment
from napari_noisyseg.coarse.project import centres_of, look_of
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.store import SUFFIX, Project, Run

STARTER = "starter"
ModelLike = str | os.PathLike[str] | Project | Training | Run


def predict(
    image: ImageLike,
    model: ModelLike = STARTER,
    mpp: float | None = None,
    device: str = "auto",
    channel: int | None = None,
) -> NDArray[np.int32]:
    """Find and outline every nucleus of an image.

    image: a file, or pixels (H, W, 3), uint8. model: "starter" (the networks that come with the
    package); a project or its folder (the starter with what it learned there); a `Training`, or
    its folder or .safetensors file. The starter needs no torch, and works on stained tissue
    in colour. mpp: µm per pixel; if None, the file's own value, else 0.25 with a warning.
    device: auto, cpu, cuda or mps, for models of a training. channel: of fluorescence, 1 the first.

    Returns labels, int32 (H, W), one number a nucleus, 0 elsewhere. Raises NoisySegError where the
    model cannot be read, or cannot judge the image.
    """
    if isinstance(model, (str, os.PathLike)) and Path(model).suffix == SUFFIX:
        with Project.open(model, write=False) as opened:
            return predict(image, opened, mpp, device, channel)
    if isinstance(model, Project):
        rgb, size = pixels(image, mpp, channel)
        return segment(rgb, size, look_of(model), network=centres_of(model))
    if model == STARTER:
        rgb, size = pixels(image, mpp, channel)
        return segment(rgb, size)
    if find_spec("torch") is None:
        raise NoisySegError(
            "the model of a training needs torch: pip install 'napari-noisyseg[train]'; the "
            "starter does without"
        )
    from napari_noisyseg.training.predict import load_model, nuclei_of

    path = model.dir if isinstance(model, (Training, Run)) else Path(model)
    loaded = load_model(path, device)
    rgb, size = pixels(image, mpp, channel)
    return nuclei_of(loaded, rgb, size)
