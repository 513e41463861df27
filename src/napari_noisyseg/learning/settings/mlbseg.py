"""Settings of MLB-Seg: the paper's, and the published code's or ours where it is silent."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from napari_noisyseg import meta
from napari_noisyseg.learning import presets
from napari_noisyseg.learning.student import StudentConfig
from napari_noisyseg.method import Departures, Preset
from napari_noisyseg.plans import SamplingPlan


class MLBSegConfig(StudentConfig):
    """The paper's settings; where it is silent, the published code's or ours, and it says so."""

    epochs: Annotated[int, Field(ge=1, le=100_000)] = 130
    """length of the training: 30 epochs of warm start, then 100"""
    batch_size: Annotated[int, Field(ge=1, le=256)] = 16
    """tiles per update, b_n of Eq. 4"""
    meta_batch_size: Annotated[int, Field(ge=1, le=256)] = 16
    """tiles of clean pixels per update, b_c of Eq. 6 (not in the paper)"""
    tile: Annotated[int, Field(ge=32, le=2048)] = 176
    """side of the training tiles, in working pixels"""
    tile_overlap: Annotated[int, Field(ge=0, le=2047)] = 32
    """overlap of neighbouring training tiles, in working pixels"""
    crop: Annotated[int, Field(ge=32, le=2048)] = 144
    """side of the random crop that an update sees, in working pixels"""
    hold_out: bool = False
    """keep a tenth of the tiles to choose the best weights by their clean pixels (ours): nuclei
    with thin margins are no fair sample of tissue, and a warm start that calls everything a nucleus
    seems the best by them"""
    warm_start: Annotated[float, Field(ge=0, le=1)] = 30 / 130
    """share of the schedule that trains on clean labels alone"""
    label_unlabeled: bool = True
    """where nothing is labelled, the network of the warm start labels once and for all, Eq. 1; off:
    no imperfect label there, only the pseudo label"""
    weighting: Literal["meta", "fixed"] = "meta"
    """weight maps of Eq. 2: by the clean labels (Eqs. 4-8), or the same everywhere (the paper's
    comparison, Reed et al. 2014)"""
    fixed_share: Annotated[float, Field(ge=0, le=1)] = 0.8
    """fixed weights: share of the imperfect label, the rest is the pseudo label's (Reed et al.)"""
    meta_gradient: meta.Mode = "forward"
    """how Eq. 6 is computed: exact as published; forward the same, faster; difference nearly so,
    faster still; decoder a rough approximation, as a UNet++ learns much outside its last columns"""
    meta_blocks: Annotated[int, Field(ge=1, le=5)] = 2
    """meta_gradient decoder: how many of the last columns of the UNet++ take part"""
    normalise: Literal["each", "jointly"] = "each"
    """sums to one over a batch, Eq. 8: each of the two weight maps, or both together (published)"""
    zoom_in: Annotated[int, Field(ge=0, le=8)] = 1
    """enlarged views of every tile among the Q of Eq. 10"""
    zoom_out: Annotated[int, Field(ge=0, le=8)] = 2
    """reduced views of every tile among the Q of Eq. 10"""
    flips: Annotated[int, Field(ge=0, le=3)] = 1
    """mirrored views of every tile among the Q of Eq. 10: left to right, top to bottom, both"""
    zoom: Annotated[float, Field(gt=1, le=4)] = 1.5
    """zoom of the fourth enlarged view, and of the fourth reduced one the inverse; the first is the
    weakest, and each further view stronger than all before (not in the paper)"""
    views_weight: Annotated[float, Field(ge=0, le=100)] = 1.0
    """weight of the consistency between views, Eq. 11 (not in the paper)"""
    views_gradient: Literal["both", "one"] = "both"
    """Eq. 11 teaches both views of a pair, or one by the other (published)"""
    clean_weight: Annotated[float, Field(ge=0, le=100)] = 0.0
    """weight of the loss on the clean pixels of a batch, beside Eq. 9 (ours); 0: they teach in the
    warm start and through the weights alone"""
    clean_step: bool = False
    """a further update by clean tiles alone after each one of Eq. 9 (published)"""

    @classmethod
    def departures(cls) -> dict[Preset, Departures]:
        """What is not the paper's, and why: see `learning.presets`."""
        return presets.of("mlbseg")

    def sampling(self) -> SamplingPlan:
        """Tiles, with clean ones beside them."""
        plan = super().sampling()
        return replace(plan, meta_batch_size=self.meta_batch_size, hold_out=self.hold_out)
