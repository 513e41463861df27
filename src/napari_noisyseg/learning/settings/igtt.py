"""Settings of iGTT: section 6 of Luo et al. 2022, and what is ours beside it."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from napari_noisyseg.learning import presets
from napari_noisyseg.method import Departures, MethodConfig, Preset
from napari_noisyseg.nets.signal import Modality
from napari_noisyseg.plans import PixelPlan, SamplingPlan, Stains


class IGTTConfig(MethodConfig):
    """Section 6 and the published settings; the seed is ours, as black masks teach nothing."""

    batch_size: Annotated[int, Field(ge=1, le=256)] = 32
    """tiles per update"""
    tile: Annotated[int, Field(ge=32, le=2048)] = 256
    """side of the training tiles, in working pixels"""
    tile_overlap: Annotated[int, Field(ge=0, le=2047)] = 0
    """overlap of neighbouring training tiles, in working pixels"""
    crop: Annotated[int, Field(ge=32, le=2048)] = 256
    """side of the random crop that an update sees, in working pixels"""
    hold_out: bool = False
    """keep tiles back to choose the best weights by: labels of two epochs are no common measure, so
    the last weights are taken"""
    modality: Modality = "auto"
    """what nuclei look like: dark in stained tissue, bright in fluorescence, dark in inverted one;
    auto asks each image's colours and brightness"""
    seed_labels: Literal["otsu", "sure", "random"] = "otsu"
    """labels of the first epoch (ours; the paper's black masks have no gradient): Otsu's threshold
    of the stain or of the intensity; the same, unknown where Otsu's threshold of the square root
    finds more; or random pixels"""
    seed_share: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """P_generate of random seed labels (Fig. 5)"""
    thresholds: Annotated[int, Field(ge=2, le=1000)] = 30
    """K, thresholds tried on each prediction (section 6.2)"""
    choice: Literal["dmi", "correlation"] = "dmi"
    """what chooses among them: |det Q| (Eq. 3), which cuts at the prediction's mean and so widens
    what it finds, or the correlation of mask and prediction (ours)"""
    use_structure: bool = True
    """extract the meta-structure of each new label (section 6.3)"""
    width_of_objects: Literal["fixed", "own"] = "fixed"
    """what the shift of the skeleton approximates: objects of the width `shift` (paper), or each
    object's own width (ours, for objects that are no thin lines)"""
    shift: Annotated[int, Field(ge=0, le=50)] = 1
    """r, largest shift of the skeleton's pixels in working pixels (section 6.3)"""
    sample: Annotated[float, Field(gt=0, le=1)] = 0.1
    """p_sample, share of the pixels that is kept (section 6.3)"""
    smallest: Annotated[float, Field(ge=0, le=1000)] = 0.0
    """µm² below which a piece of a label is dropped and a hole filled (ours)"""
    agreement_drop: Annotated[float, Field(ge=0, le=1)] = 0.0
    """labels that agree with the sure pixels of the signal by so much less (in Dice) than earlier
    ones end the revisions, and the first labels come back (ours); 0: revise to the end"""
    revise_every: Annotated[int, Field(ge=1, le=1000)] = 1
    """epochs between two revisions of the labels"""
    dmi_weight: Annotated[float, Field(ge=0, le=100)] = 1.0
    """weight of the loss of mutual information, L_DMI (Eq. 3)"""
    iou_weight: Annotated[float, Field(ge=0, le=100)] = 1.0
    """weight of the loss of the intersection over union (section 6.4)"""
    width: Annotated[int, Field(ge=4, le=256)] = 64
    """channels of the U-Net at its first scale"""
    optimizer: Literal["sgd", "adam"] = "sgd"
    """SGD with momentum (published), or Adam"""
    lr: Annotated[float, Field(gt=0, le=1)] = 0.05
    """first learning rate"""
    lr_schedule: Literal["steps", "cosine"] = "steps"
    """learning rate: a tenth after each 20 % of the schedule (published), or a cosine"""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """momentum of SGD"""
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 1e-3
    """weight decay"""
    average_weights: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """decay of the moving average of weights that predicts (ours); 0: the weights as they are"""
    see_faint: bool = False
    """show the network the logarithm of the signal too, so that faint nuclei beside bright ones
    stand out (ours)"""
    stains: Stains = "fixed"
    """stain matrix of the hematoxylin component: one for all images, or each image's own"""

    @classmethod
    def departures(cls) -> dict[Preset, Departures]:
        """What is not the paper's, and why: see `learning.presets`."""
        return presets.of("igtt")

    def pixels(self) -> PixelPlan:
        """Stains as these settings say."""
        return PixelPlan(self.stains)

    def sampling(self) -> SamplingPlan:
        """Tiles, of which few or none are held out."""
        return replace(super().sampling(), hold_out=self.hold_out)
