"""Fluorescence nuclei of the 2018 Data Science Bowl: images to train on, 100 held out, one loop.

Nuclei of 150 images, of large ones a window, train; the Dice of 100 others is what counts. Images
come in many sizes and from many microscopes, without a scale: they are worked on as they are. With
little light (`faint`) the same images are as hard for a threshold as the paper's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .. import losses
from ..data.loader import TrainingData
from ..data.prepare import training_image
from ..data.regions import region_of
from ..errors import NoisySegError
from ..learning.settings.igtt import IGTTConfig
from ..method import Batch, Method, MethodConfig, Progress, Revision, TrainingImage
from ..methods.igtt import IGTT, PLANE
from .steps import take_steps
from .tissue import fields

Mask = NDArray[np.bool_]
Labels = Callable[[int], Sequence[NDArray[np.float32]]]
SET = "dsb2018/fluo"
MPP = 0.5
"""said of every image, so that the small preset leaves it as it is"""
WINDOW = 256
"""px: larger images are trained on by their middle"""
PHOTONS, DARK = 42, 0.1
"""Of a faint image: how many are counted where it is brightest, and the share of these that is
counted everywhere. With 42 Otsu's Dice on the images to train on is 0.69, as in Table 6."""


@dataclass(frozen=True)
class Cells:
    """Images uint8 (H, W, 3) and where their nuclei are, bool (H, W)."""

    rgb: tuple[NDArray[np.uint8], ...]
    truth: tuple[Mask, ...]


@dataclass(frozen=True)
class Size:
    """Images to train on, epochs over them, channels of the U-Net at its first scale."""

    images: int
    epochs: int
    width: int


def is_test(image: int) -> bool:
    """Whether an image, by its place in the order of names, is held out: two of each five."""
    return image % 5 in (1, 3)


@cache
def load(data: Path) -> tuple[Cells, Cells]:
    """Windows to train on and whole images to test on; NoisySegError where there are none."""
    found = fields(data, SET)
    if not found:
        raise NoisySegError(f"{data / SET}: no images there; --data names the folder above")
    train = [f for i, f in enumerate(found) if not is_test(i)]
    test = [f for i, f in enumerate(found) if is_test(i)]
    return (
        Cells(tuple(_middle(f.rgb()) for f in train), tuple(_middle(f.truth()) > 0 for f in train)),
        Cells(tuple(f.rgb() for f in test), tuple(f.truth() > 0 for f in test)),
    )


@cache
def faint(data: Path) -> tuple[Cells, Cells]:
    """The images of `load` as a camera would count them in little light; their masks are the same.

    Simulated: Poisson counts of the image's brightness and of a dark background.
    """
    train, test = load(data)
    return _counted(train, 1000), _counted(test, 0)


def _counted(cells: Cells, seed: int) -> Cells:
    dimmed = (_in_little_light(rgb, seed + k) for k, rgb in enumerate(cells.rgb))
    return Cells(tuple(dimmed), cells.truth)


def _in_little_light(rgb: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    light = rgb.mean(axis=2) / max(int(rgb.max()), 1)
    counts = np.random.default_rng(seed).poisson((light + DARK) * PHOTONS)
    # 200 of 255 for the brightest: what is counted above it by chance is not cut off
    grey = np.clip(200 * counts / ((1 + DARK) * PHOTONS), 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def _middle(image: NDArray[Any]) -> NDArray[Any]:
    y, x = (max(0, (n - WINDOW) // 2) for n in image.shape[:2])
    return np.ascontiguousarray(image[y : y + WINDOW, x : x + WINDOW])


def spread(count: int, wanted: int) -> list[int]:
    """Places of `wanted` out of `count`, evenly spread."""
    return [round(place) for place in np.linspace(0, count - 1, min(wanted, count))]


class Taught(IGTT):
    """The same network and schedule, taught by given masks with cross-entropy, as a yardstick.

    labels: the masks of an epoch, (H, W) each; the same again, or newly drawn (Theorem 3).
    """

    def __init__(self, config: IGTTConfig, seed: int, labels: Labels):
        super().__init__(config, "cpu", seed)
        self.labels = labels

    def begin(self, images: Sequence[TrainingImage]) -> Iterator[Revision]:
        """The masks of the first epoch."""
        for index, label in enumerate(self.labels(0)):
            yield Revision(index, PLANE, label)

    def revise(self, progress: Progress, images: Sequence[TrainingImage]) -> Iterator[Revision]:
        """The masks of a further epoch."""
        for index, label in enumerate(self.labels(progress.epoch)):
            yield Revision(index, PLANE, label)

    def _terms(self, net: torch.nn.Module, batch: Batch) -> dict[str, torch.Tensor]:
        label = batch.planes[PLANE]
        known = ~label.isnan()
        target = torch.where(known, label, 0.0).clamp(0, 1)
        logits = net(self.sight.input(batch.image, batch.hematoxylin))
        loss = losses.soft_cross_entropy(logits, target, known)
        return {"determinant": torch.ones(()), "total": loss}


def images_of(cells: Cells, config: MethodConfig, count: int) -> list[TrainingImage]:
    """Some of the images as a method trains on them: without any label."""
    chosen = spread(len(cells.rgb), count)
    return [training_image(region_of(cells.rgb[i], MPP, str(i)), config, ()) for i in chosen]


def train(method: IGTT, images: Sequence[TrainingImage], epochs: int, seed: int = 0) -> int:
    """The loop's steps; how many there were."""
    data = TrainingData(images, method.config, method.needs, seed=seed)
    return take_steps(method, data, method.config, epochs)


def probability(
    method: Method, config: MethodConfig, rgb: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """Of nucleus, (H, W)."""
    image = training_image(region_of(rgb, MPP), config, ())
    planes = (torch.from_numpy(values)[None] for values in (image.image, image.hematoxylin))
    found: NDArray[np.float32] = method.predict(*planes).probability[0].numpy()
    return found


def mean_dice(cells: Cells, segment: Callable[[NDArray[np.uint8]], Mask]) -> float:
    """Mean over the images of the Dice of what `segment` calls nucleus; no post-processing."""
    return float(np.mean(dices(cells, segment)))


def dices(cells: Cells, segment: Callable[[NDArray[np.uint8]], Mask]) -> list[float]:
    """The Dice of each image."""
    return [dice(segment(rgb), truth) for rgb, truth in zip(cells.rgb, cells.truth, strict=True)]


def dice(found: Mask, truth: Mask) -> float:
    """Of two masks; 1 where both are empty."""
    total = int(found.sum()) + int(truth.sum())
    return 2 * int((found & truth).sum()) / total if total else 1.0
