"""A run's model after seconds of training: a small network that sees nuclei in real tissue."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from napari_noisyseg import registry, stains
from napari_noisyseg.data.prepare import planes_of_pixels
from napari_noisyseg.data.resample import resize, resize_mask
from napari_noisyseg.method import Batch, Method, Progress
from napari_noisyseg.training.model import NAME, ModelFile, write_model

STEPS = 40
SETTINGS = {"working_mpp": 0.5, "width": 8, "stem": "stride2", "level_stains": False}


def trained_file(
    folder: Path, field: tuple[NDArray[np.uint8], NDArray[np.int32]], splitting: str
) -> Path:
    """A model file of the method `supervised` at 0.5 µm, its nuclei read by `splitting`."""
    rgb, labels = field
    config = registry.load("supervised").Config.from_preset(
        "small", splitting=splitting, **SETTINGS
    )
    method = _trained(rgb.tobytes(), labels.tobytes(), rgb.shape[0])
    write_model(folder / NAME, ModelFile("supervised", config.model_dump(), 0.5), method.weights())
    return folder / NAME


@lru_cache(1)
def _trained(rgb: bytes, labels: bytes, side: int) -> Method:
    torch.set_num_threads(1)
    kind = registry.load("supervised")
    method = kind(kind.Config.from_preset("small", train_on="clean", **SETTINGS), "cpu", 0)
    small = resize(np.frombuffer(rgb, np.uint8).reshape(side, side, 3), (side // 2, side // 2))
    mask = np.frombuffer(labels, np.int32).reshape(side, side) > 0
    image, component = planes_of_pixels(small, stains.FIXED)
    known = torch.ones(1, *small.shape[:2], dtype=torch.bool)
    batch = Batch(
        image=torch.from_numpy(image)[None],
        hematoxylin=torch.from_numpy(component)[None],
        labels={
            "clean": torch.from_numpy(resize_mask(mask, small.shape[:2]).astype(np.uint8))[None]
        },
        known=known,
        tissue=known,
        planes={},
        half=torch.zeros(1, dtype=torch.long),
    )
    for step in range(STEPS):
        method.step(batch, Progress(0, 1, step, step / STEPS))
    return method
