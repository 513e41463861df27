"""Settings that methods share, whatever they learn with."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from napari_noisyseg.method import MethodConfig
from napari_noisyseg.plans import Augmentation, PixelPlan, SamplingPlan, Stains


class StainConfig(MethodConfig):
    """Settings of methods that may look at the hematoxylin component."""

    stains: Stains = "fixed"
    """stain matrix of the hematoxylin component: one for all images, or each image's own"""
    level_stains: bool = False
    """bring the hematoxylin of pale and dark slides to one level (ours)"""
    stain_jitter: Annotated[float, Field(ge=0, le=0.9)] = 0.0
    """largest random change of a tile's stain density in training, as a share (ours)"""
    first_weights: Literal["none", "starter"] = "none"
    """what networks begin with: random weights, or those that come with the package and have seen
    nuclei of other tissue, where they fit (ours)"""

    def begins_with_starter(self) -> bool:
        """As these settings say."""
        return self.first_weights == "starter"

    def pixels(self) -> PixelPlan:
        """Stains as these settings say."""
        return PixelPlan(self.stains, self.level_stains)

    def sampling(self) -> SamplingPlan:
        """Tiles whose stains change as these settings say."""
        return replace(super().sampling(), augmentation=Augmentation(stain=self.stain_jitter))
