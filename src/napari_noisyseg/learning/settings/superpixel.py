"""Settings of superpixel-guided learning: the paper's, and the published code's or ours."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from pydantic import Field

from napari_noisyseg.learning import presets
from napari_noisyseg.learning.rounds import RoundConfig
from napari_noisyseg.method import Departures, Preset
from napari_noisyseg.plans import PixelPlan


class SuperpixelConfig(RoundConfig):
    """The paper's settings; where it is silent, the published code's or ours, and it says so."""

    superpixel_um: Annotated[float, Field(ge=0.5, le=100)] = 3.2
    """side of a superpixel in µm: 100 of them in 128x128 px at 0.25 µm"""
    balance: Annotated[float, Field(ge=0, le=1)] = 0.65
    """lambda of Eq. 2: weight of the networks' agreement against the label"""
    sure_only: bool = False
    """relabel, of the largest losses, only what the networks are sure of as confident learning has
    it: no less probable than the mean of what carries that label; and show only what they outweigh,
    the fewer labels of an image seem wrong the surer (ours)"""
    cut_by_label: bool = False
    """superpixels are cut where the rough label's outline runs, so that a part of one can be wrong
    and the outline can be right (ours)"""
    use_superpixels: bool = True
    """superpixels as samples of selection and relabelling; off: pixels (Table 2)"""

    @classmethod
    def departures(cls) -> dict[Preset, Departures]:
        """What is not the paper's, and why: see `learning.presets`."""
        return presets.of("superpixel")

    def label_planes(self) -> tuple[str, ...]:
        """The label planes that these settings use."""
        planes = ("rough", "clean", "given")
        return (*planes, "superpixel") if self.use_superpixels else planes

    def pixels(self) -> PixelPlan:
        """Superpixels of the side that these settings say."""
        return replace(super().pixels(), superpixel_um=self.superpixel_um)
