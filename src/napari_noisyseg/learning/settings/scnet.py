"""Settings of SC-Net: the paper's, and the published code's or ours where it is silent."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from napari_noisyseg.learning import presets
from napari_noisyseg.learning.settings.stain import StainConfig
from napari_noisyseg.method import Departures, Preset
from napari_noisyseg.nets.build import Encoder
from napari_noisyseg.nets.resunet import Stem
from napari_noisyseg.plans import (
    PixelPlan,
    PredictionPlan,
    Recipe,
    SamplingPlan,
    Stains,
    Tiling,
)


class SCNetConfig(StainConfig):
    """The paper's settings; where it is silent, the published code's or ours, and it says so."""

    batch_size: Annotated[int, Field(ge=1, le=256)] = 16
    """tiles per update, half of them for each network (published: 8 for each)"""
    coarse: Literal["cluster", "local", "outline", "both"] = "cluster"
    """coarse label c of Eqs. 4 and 6: the paper's k-means cluster; or (ours) the outline at each
    click, untrained or by the network that comes with the package; or what the cluster and the
    untrained outline agree on or only one of them says"""
    cluster_recipe: Recipe = "paper"
    """cluster label: k-means on [RGB/10, min(distance, 20 px)] cleaned by opening; mended with
    distances in nucleus radii (ours, measured better); or cleaned by closing, with background the
    cluster that overlaps disks at the points least (published)"""
    stains: Stains = "estimated"
    """stain matrix W of Eq. 1: one for all images (published), or factorised from each image"""
    use_vor: bool = True
    """Voronoi loss, Eq. 3"""
    use_clu: bool = True
    """loss on the coarse label, Eq. 4"""
    use_cot: bool = True
    """co-training loss, Eqs. 5-7"""
    use_color: bool = True
    """colorization loss, Eq. 8"""
    eta: Annotated[float, Field(ge=0, le=100)] = 1.0
    """final weight of co-training in Eq. 9: alpha = eta (N / Nmax)^2"""
    epsilon: Annotated[float, Field(ge=0, le=100)] = 0.1
    """first weight of colorization in Eq. 9: beta = epsilon (1 - N / Nmax)^2"""
    ema_alpha: Annotated[float, Field(gt=0, le=1)] = 0.1
    """weight of the newest prediction in the pseudo label, Eq. 5 (published; not in the paper)"""
    gamma: Annotated[int, Field(ge=1, le=1000)] = 3
    """epochs between two updates of the pseudo labels (published: 5)"""
    hold_out: bool = True
    """keep a tenth of the tiles to choose the best weights by; off: every tile teaches"""
    split_overlap: Annotated[float, Field(ge=0, le=1)] = 0.0
    """share of each network's training tiles that the other sees as well (Table IV)"""
    color_loss: Literal["squared", "absolute"] = "squared"
    """distance of colours in Eq. 8 (published: absolute)"""
    color_fading: Literal["early", "late"] = "early"
    """beta of Eq. 9: early (1 - N / Nmax)^2, late 1 - (N / Nmax)^2 (published)"""
    second_net: Literal["same", "unet"] = "same"
    """second network: the same shape from another seed, or a plain U-Net (published)"""
    decoder: Literal["separate", "shared"] = "separate"
    """C of Eq. 8: a U-Net on the probability map, or one more output of the decoder that segments
    (published; a plain U-Net as second network keeps a U-Net for its colours)"""
    width: Annotated[int, Field(ge=4, le=256)] = 64
    """channels of the segmentation networks at their first scale"""
    encoder: Encoder = "3-4-6-3"
    """residual blocks at each scale: 3-4-6-3 is the paper's ResNet-34"""
    stem: Stem = "stride4"
    """how the first layers shrink the image; stride4 is ResNet's own"""
    color_width: Annotated[int, Field(ge=2, le=256)] = 32
    """channels of the colorization network at its first scale (not in the paper)"""
    color_depth: Annotated[int, Field(ge=1, le=5)] = 4
    """number of times the colorization network halves the image"""
    lr: Annotated[float, Field(gt=0, le=1)] = 1e-3
    """first learning rate of Adam"""
    lr_schedule: Literal["steps", "cosine"] = "steps"
    """learning rate: a tenth after each 30 % of the schedule, or a cosine (ours)"""
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 5e-4
    """weight decay of Adam"""
    adam_beta2: Annotated[float, Field(ge=0.5, lt=1)] = 0.999
    """second decay rate of Adam (published: 0.99)"""
    average_weights: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """decay of the moving average of weights that predicts (ours); 0: the weights as they are"""
    window: Annotated[int, Field(ge=64, le=4096)] = 224
    """side of the windows that prediction works in, in working pixels"""
    window_overlap: Annotated[int, Field(ge=0, le=2048)] = 80
    """overlap of these windows, in working pixels"""

    @classmethod
    def departures(cls) -> dict[Preset, Departures]:
        """What is not the paper's, and why: see `learning.presets`."""
        return presets.of("scnet")

    @model_validator(mode="after")
    def _some_loss(self) -> Self:
        if not (self.use_vor or self.use_clu):
            raise ValueError("use_vor or use_clu must be on: nothing else says what a nucleus is")
        return self

    def label_planes(self) -> tuple[str, ...]:
        """The label planes that these settings use."""
        coarse = ("cluster", "local") if self.coarse == "both" else (self.coarse,)
        return ("voronoi", *coarse)

    def pixels(self) -> PixelPlan:
        """Stains and cluster label as these settings say."""
        return replace(super().pixels(), cluster_recipe=self.cluster_recipe)

    def sampling(self) -> SamplingPlan:
        """Tiles in two halves that share as many as these settings say."""
        return replace(super().sampling(), split_overlap=self.split_overlap, hold_out=self.hold_out)

    def prediction(self) -> PredictionPlan:
        """Windows that overlap by half of their side at most."""
        overlap = min(self.window_overlap, self.window // 2)
        return replace(super().prediction(), tiling=Tiling(self.window, overlap))
