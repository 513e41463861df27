"""What a method's settings ask of data and prediction, as typed plans that hold the defaults.

A method's `Config` hands them out (`MethodConfig.pixels`, `sampling`, `prediction`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Stains = Literal["fixed", "estimated"]
"""One stain matrix for all images, or each image's own."""
Recipe = Literal["mended", "paper", "published"]
"""How the cluster label is made (`coarse.published`)."""
Splitting = Literal["watershed", "components", "centres"]
"""How nuclei are read from a prediction (`instances.reading`)."""


@dataclass(frozen=True, slots=True)
class PixelPlan:
    """How an image becomes what networks see and learn from.

    level_stains: bring pale and dark slides to one level. superpixel_um: side of a superpixel, µm.
    """

    stains: Stains = "fixed"
    level_stains: bool = False
    superpixel_um: float = 3.2
    cluster_recipe: Recipe = "mended"


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How a tile may be changed, besides mirroring.

    scale: range of the zoom; rotation: degrees either way; shear: largest shear; stain: largest
    relative change of the stains' density (0: none).
    """

    scale: tuple[float, float] = (0.8, 1.25)
    rotation: float = 180.0
    shear: float = 0.1
    stain: float = 0.0


@dataclass(frozen=True, slots=True)
class SamplingPlan:
    """Which tiles are cut from images, and how many come at once, changed how.

    tile, overlap, crop: working pixels. meta_batch_size: tiles around clean nuclei beside the
    `batch_size` others. hold_out: keep some tiles, where there are enough, to choose the best
    weights by. split_overlap: share of either half's tiles that the other sees as well.
    """

    tile: int
    overlap: int
    crop: int
    batch_size: int
    meta_batch_size: int
    hold_out: bool = True
    split_overlap: float = 0.0
    augmentation: Augmentation = Augmentation()


@dataclass(frozen=True, slots=True)
class Tiling:
    """Windows of `side` working pixels that overlap by `overlap`, blended; small images are one.

    The SC-Net paper's is Tiling(224, 80).
    """

    side: int = 1024
    overlap: int = 160


@dataclass(frozen=True, slots=True)
class PredictionPlan:
    """In which windows images are predicted, and how nuclei are read from that."""

    tiling: Tiling = Tiling()
    splitting: Splitting = "watershed"
