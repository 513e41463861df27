"""Windows of MoNuSeg with affine or morphological noise, as in Li et al. 2021 (§3.1).

The paper's noise strikes samples: here windows, all nuclei of which are changed alike. Noise that
strikes nuclei one by one stands beside it: of that the networks see the mean, which is the truth.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .. import noise
from ..data.prepare import training_image
from ..data.regions import region_of
from ..data.resample import resize_mask
from ..method import MethodConfig, TrainingImage
from ..training.explain import explain
from .patches import Counts, Patches, load, many_nuclei
from .windows import MPP

Kind = Literal["affine", "morph"]
Struck = Literal["windows", "nuclei"]
KINDS: tuple[Kind, ...] = ("affine", "morph")
CELLS = ((0.3, 0.5), (0.7, 0.7), (1.0, 0.7))
"""(alpha, beta): the share of windows (or nuclei), and how much of their size is changed"""
REFERENCE, DICE = (0.7, 0.7), 0.73
"""The labels' Dice there (supplement, Table 2)"""
TOLERANCE = 0.02
SEARCHED = 96
"""windows on which the strength is sought that gives this Dice"""
STEPS = 12


@dataclass(frozen=True)
class Noise:
    """Noise of one kind and cell. factor: on beta, so that REFERENCE has DICE."""

    kind: Kind
    alpha: float
    beta: float
    factor: float = 1.0
    struck: Struck = "windows"

    def apply(self, truth: NDArray[np.int32]) -> NDArray[np.int32]:
        """Noisy labels of windows, int32 (n, h, w)."""
        beta = self.factor * self.beta
        if self.struck == "windows":
            return np.stack(noise.strike_images(truth, self.kind, self.alpha, beta))
        one_by_one = noise.affine if self.kind == "affine" else morphed
        return np.stack([one_by_one(t, beta, self.alpha, k) for k, t in enumerate(truth)])


def morphed(truth: NDArray[np.int32], beta: float, alpha: float, seed: int) -> NDArray[np.int32]:
    """A share alpha of the nuclei grown or shrunk, half of them each, by beta of their size.

    What grows gives way to other nuclei.
    """
    ids = noise.ids_of(truth)
    struck = ids[noise.chosen(ids, alpha, seed)]
    grown = set(struck[noise.chosen(struck, 0.5, seed + 1)].tolist())
    noisy = np.where(np.isin(truth, struck), 0, truth)
    for i in struck.tolist():
        drawn = noise.resized(truth == i, beta, i in grown)
        noisy[drawn & (noisy == 0)] = i
    return noisy.astype(np.int32)


@dataclass(frozen=True)
class Case:
    """Windows to train on, to test on, and to choose settings by; no window is in two of them.

    far: of images that none is trained on, of other organs too; near, choice: of those trained on.
    The paper's test images come from where its training images do: that is `near`.
    """

    train: Patches
    far: Patches
    near: Patches
    choice: Patches


@cache
def noisy_case(
    data: Path, counts: Counts, kind: Kind, alpha: float, beta: float, struck: Struck = "windows"
) -> Case:
    """Windows whose training part has noisy labels; alpha 0: clean ones, the ceiling."""
    case = windows(data, counts)
    found = Noise(kind, alpha, beta, _factor(data, counts, kind, struck), struck)
    noisy = found.apply(case.train.truth) if alpha else case.train.truth
    return replace(case, train=replace(case.train, noisy=noisy))


@cache
def windows(data: Path, counts: Counts) -> Case:
    """Windows with their true nuclei; counts.meta: of `near`, and of `choice`.

    `choice` is the first part: by these windows the presets were chosen (decisions 42 and 46).
    """
    drawn = many_nuclei(load(data), "partial", counts=replace(counts, meta=2 * counts.meta))
    half = len(drawn.meta) // 2
    choice, near = (_some(drawn.meta, part) for part in (slice(half), slice(half, None)))
    return Case(drawn.train, drawn.test, near, choice)


def _some(patches: Patches, which: slice) -> Patches:
    p = patches
    return Patches(p.rgb[which], p.truth[which], p.noisy[which], p.image[which])


@cache
def _factor(data: Path, counts: Counts, kind: Kind, struck: Struck) -> float:
    """What beta is multiplied by so that labels at REFERENCE have DICE, by bisection."""
    truth = windows(data, counts).train.truth[:SEARCHED]
    low, high, factor = 0.25, 2.0, 1.0
    for _ in range(STEPS):
        found = label_dice(Noise(kind, *REFERENCE, factor, struck).apply(truth), truth)
        if abs(found - DICE) < TOLERANCE / 4:
            break
        low, high = (factor, high) if found > DICE else (low, factor)
        factor = (low + high) / 2
    return factor


def label_dice(noisy: NDArray[Any], truth: NDArray[Any]) -> float:
    """Mean foreground Dice of labels (n, h, w)."""
    pairs = zip(noisy, truth, strict=True)
    return float(np.mean([noise.foreground_dice(a, b) for a, b in pairs]))


def images_of(patches: Patches, config: MethodConfig, labels: Any) -> list[TrainingImage]:
    """The windows as training images with rough labels that are known everywhere."""
    on = np.ones(patches.rgb.shape[1:3], bool)
    return [
        training_image(region_of(rgb, MPP, str(k), known=on, rough=rough), config, labels)
        for k, (rgb, rough) in enumerate(zip(patches.rgb, patches.noisy, strict=True))
    ]


def gains(
    method: Any, images: list[TrainingImage], patches: Patches, device: str = "cpu"
) -> tuple[float, float]:
    """Dice of the labels before and after relabelling, at working resolution."""
    truth = [resize_mask(t > 0, i.known.shape) for i, t in zip(images, patches.truth, strict=True)]
    before = np.stack([image.labels["rough"] == 1 for image in images])
    after = np.stack([explain(method, image, device)["corrected"] > 0.5 for image in images])
    return label_dice(before, np.stack(truth)), label_dice(after, np.stack(truth))
