"""Settings of Meta Mask Correction: the paper's, and ours where it is silent."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from napari_noisyseg.learning import presets
from napari_noisyseg.learning.meta_learner import MetaConfig
from napari_noisyseg.method import Departures, Preset
from napari_noisyseg.nets.correction import Activation, Depth


class MMCConfig(MetaConfig):
    """The paper's settings; where it is silent, ours, and it says so."""

    correction_depth: Depth = "3x3+1x1"
    """kernels of the C-Net's layers (Table IV)"""
    correction_width: Annotated[int, Field(ge=4, le=512)] = 64
    """channels between the C-Net's layers (not in the paper)"""
    correction_activation: Activation = "tanh"
    """the C-Net's activation (not in the paper); smooth, since the kinks of ReLU would spoil finite
    differences"""
    correction_input: Literal["logits", "features", "both"] = "logits"
    """what the C-Net sees of the image, h(x): logits (the paper's Fig. 1 and steps), the last
    features before them (its text), or both (ours)"""
    detach_h: bool = True
    """gradients end at h(x), as in MLC, which MMC follows; the paper does not say"""
    identity: Annotated[float, Field(ge=0, le=20)] = 0.0
    """how far the first corrected mask follows the rough one, as logits (ours); 0: not at all"""
    bootstrap: Annotated[float, Field(ge=0, le=20)] = 0.0
    """how far it follows the prediction, as logits, as in the bootstrapping of Reed et al. 2014
    (ours); 0 here and above: the C-Net starts at random"""
    limit: Annotated[float, Field(ge=0, le=20)] = 0.0
    """largest logit of a corrected mask (ours): sure labels can hardly be changed any more by the
    gradient of Eq. 5, which their sigmoid scales down; 0: no limit"""
    warmup: Annotated[float, Field(ge=0, le=1)] = 0.0
    """first share of the schedule, which trains on rough masks as they are (ours)"""
    pairs_weight: Annotated[float, Field(ge=0, le=100)] = 0.0
    """steps of the C-Net's own, as a share of `meta_lr`, where a pixel has a rough and a clean
    label, as accepted nuclei with a rough mask have (ours); 0: Eq. 5 alone teaches it"""
    balance: bool = False
    """count clean background for what the thin margins around accepted nuclei leave out, so that
    nuclei are as rare in clean losses as in the rough masks (ours)"""

    @model_validator(mode="after")
    def _bootstraps_from_logits(self) -> Self:
        if self.bootstrap and self.correction_input == "features":
            raise ValueError("bootstrap needs the logits: set correction_input to logits or both")
        return self

    @classmethod
    def departures(cls) -> dict[Preset, Departures]:
        """What is not the paper's, and why: see `learning.presets`."""
        return presets.of("mmc")
