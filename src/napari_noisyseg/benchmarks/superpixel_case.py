"""Windows of MoNuSeg with affine or morphological noise, as in Li et al. 2021 (§3.1)."""

from __future__ import annotations

import math
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
from .patches import Counts, Patches, Protocol, load, many_nuclei

MPP = 0.25
Kind = Literal["affine", "morph"]
KINDS: tuple[Kind, ...] = ("affine", "morph")
CELLS = ((0.3, 0.5), (0.7, 0.7), (1.0, 0.7))
"""(alpha, beta): the share of nuclei, and how much of their size is changed"""
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

    def apply(self, truth: NDArray[np.int32], seed: int) -> NDArray[np.int32]:
        """Noisy labels of a window, int32 (h, w)."""
        beta = self.factor * self.beta
        if self.kind == "affine":
            return noise.affine(truth, beta, self.alpha, seed)
        return morphed(truth, beta, self.alpha, seed)


def morphed(truth: NDArray[np.int32], beta: float, alpha: float, seed: int) -> NDArray[np.int32]:
    """A share alpha of the nuclei grown or shrunk, half of them each, by beta of their size.

    The radius is that of a disk of the same size; what grows gives way to other nuclei.
    """
    ids = noise.ids_of(truth)
    struck = ids[noise.chosen(ids, alpha, seed)]
    grown = set(struck[noise.chosen(struck, 0.5, seed + 1)].tolist())
    noisy = np.where(np.isin(truth, struck), 0, truth)
    for i in struck.tolist():
        mask = truth == i
        drawn = _resized(mask, beta, i in grown)
        noisy[drawn & (noisy == 0)] = i
    return noisy.astype(np.int32)


def _resized(mask: NDArray[np.bool_], beta: float, grow: bool) -> NDArray[np.bool_]:
    disk = math.sqrt(mask.sum() / math.pi)
    if grow:
        return noise.dilated(mask, round(disk * (math.sqrt(1 + beta) - 1)))
    left = math.sqrt(max(1 - beta, 0.0))
    return noise.eroded(mask, round(disk * (1 - left)))


@cache
def protocol_of(data: Path, counts: Counts, kind: Kind, alpha: float, beta: float) -> Protocol:
    """Windows whose training part has noisy labels."""
    protocol = _windows(data, counts)
    found = Noise(kind, alpha, beta, _factor(data, counts, kind))
    noisy = np.stack([found.apply(truth, k) for k, truth in enumerate(protocol.train.truth)])
    return replace(protocol, train=replace(protocol.train, noisy=noisy))


@cache
def _windows(data: Path, counts: Counts) -> Protocol:
    return many_nuclei(load(data), "partial", counts=counts)


@cache
def _factor(data: Path, counts: Counts, kind: Kind) -> float:
    """What beta is multiplied by so that labels at REFERENCE have DICE, by bisection."""
    truth = _windows(data, counts).train.truth[:SEARCHED]
    low, high, factor = 0.25, 1.4, 1.0
    for _ in range(STEPS):
        tried = Noise(kind, *REFERENCE, factor)
        found = label_dice(np.stack([tried.apply(t, k) for k, t in enumerate(truth)]), truth)
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


def gains(method: Any, images: list[TrainingImage], patches: Patches) -> tuple[float, float]:
    """Dice of the labels before and after relabelling, at working resolution."""
    truth = [resize_mask(t > 0, i.known.shape) for i, t in zip(images, patches.truth, strict=True)]
    before = np.stack([image.labels["rough"] == 1 for image in images])
    after = np.stack([explain(method, image, "cpu")["corrected"] > 0.5 for image in images])
    return label_dice(before, np.stack(truth)), label_dice(after, np.stack(truth))
