"""A network for timings: the method `supervised`, trained for some seconds on one real field."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from .. import registry, stains
from ..coarse import starter
from ..data.prepare import planes_of_pixels
from ..data.resample import resize, resize_mask, working_shape
from ..method import Batch, Method, Preset, Progress
from ..training.device import choose
from ..training.model import ModelFile
from ..training.predict import Model
from ..whole.trained import Trained
from .tissue import fields

STEPS = 40


def model_of(data: Path) -> Trained:
    """`small` on a CPU, `paper` on a GPU; enough of a network that there are nuclei to part."""
    device = choose().name
    if device == "cpu":
        torch.set_num_threads(1)
        starter.THREADS = 1
    preset: Preset = "small" if device == "cpu" else "paper"
    kind = registry.load("supervised")
    config = kind.Config.from_preset(preset, train_on="clean")
    method = kind(config, device, 0)
    _train(method, data, config.working_mpp, device)
    file = ModelFile("supervised", config.model_dump(), config.working_mpp)
    return Trained.of(Model(method, config, file, device), "timed")


def _train(method: Method, data: Path, mpp: float, device: str) -> None:
    field = fields(data, "monuseg")[0]
    rgb = field.rgb()[:512, :512]
    shape = working_shape((512, 512), field.mpp, mpp)
    image, component = planes_of_pixels(resize(rgb, shape), stains.FIXED)
    nucleus = resize_mask(field.truth()[:512, :512] > 0, shape).astype(np.uint8)
    known = torch.ones(1, *shape, dtype=torch.bool, device=device)
    batch = Batch(
        image=torch.from_numpy(image)[None].to(device),
        hematoxylin=torch.from_numpy(component)[None].to(device),
        labels={"clean": torch.from_numpy(nucleus)[None].to(device)},
        known=known,
        tissue=known,
        planes={},
        half=torch.zeros(1, dtype=torch.long, device=device),
    )
    for step in range(STEPS):
        method.step(batch, Progress(0, 1, step, step / STEPS))
