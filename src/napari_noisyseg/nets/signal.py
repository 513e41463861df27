"""What of an image may be nucleus, without asking anyone: darkness of the stain, or intensity."""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Modality = Literal["auto", "stained", "fluorescence", "inverted"]

BRIGHT = 0.35
"""Median brightness of an image from which its ground is bright: tissue on glass, not black."""
COLOURED = 0.04
"""Mean difference of an image's largest and smallest channel above which it shows colours."""
DARKEST = 1 / 255
"""least light that comes through a stain: density is 1 there"""
GAUSSIAN = (0.0545, 0.2442, 0.4026, 0.2442, 0.0545)
LEAST_CONTRAST = 2 / 255
"""Deviation below which an image is not brought to 1: noise of a blank one stays small."""


def signal(image: Tensor, hematoxylin: Tensor, modality: Modality = "auto") -> Tensor:
    """Brighter where a nucleus is more likely, (B, 1, h, w) in 0..1; each image by itself.

    image: RGB (B, 3, h, w) in 0..1; hematoxylin (B, 1, h, w), 1 = no stain. stained: the optical
    density of the stain, which is how much there is of it (Beer-Lambert), without its grain.
    fluorescence: intensity; inverted: darkness. auto: as `modality_of` each image says.
    """
    kinds = modality_of(image) if modality == "auto" else [modality] * len(image)
    intensity = image.mean(dim=1, keepdim=True)
    shown = {"fluorescence": intensity, "inverted": 1 - intensity}
    if "stained" in kinds:
        shown["stained"] = _smooth(hematoxylin.clamp(min=DARKEST).log() / math.log(DARKEST))
    return torch.stack([shown[kind][k] for k, kind in enumerate(kinds)])


def modality_of(image: Tensor) -> list[Modality]:
    """What each image of (B, 3, h, w) seems to be: better asked of a whole one than of a part.

    Where the ground is bright: stained if there are colours, else inverted fluorescence.
    """
    ground = image.amax(dim=1).flatten(1).median(dim=1).values
    chroma = (image.amax(dim=1) - image.amin(dim=1)).flatten(1).mean(dim=1)
    bright: Modality
    found: list[Modality] = []
    for level, colour in zip(ground.tolist(), chroma.tolist(), strict=True):
        bright = "stained" if colour > COLOURED else "inverted"
        found.append(bright if level > BRIGHT else "fluorescence")
    return found


def _smooth(x: Tensor) -> Tensor:
    """(B, 1, h, w) after a Gaussian of 1 px; borders are repeated."""
    weights = x.new_tensor(GAUSSIAN)
    for shape, pad in (((1, 1, -1, 1), (0, 0, 2, 2)), ((1, 1, 1, -1), (2, 2, 0, 0))):
        x = F.conv2d(F.pad(x, pad, mode="replicate"), weights.view(shape))
    return x


def standardised(x: Tensor) -> Tensor:
    """Each image of (B, 1, h, w) with mean 0 and deviation 1 (z-score)."""
    mean = x.mean(dim=(-2, -1), keepdim=True)
    deviation = x.std(dim=(-2, -1), keepdim=True, correction=0)
    return (x - mean) / deviation.clamp(min=LEAST_CONTRAST)
