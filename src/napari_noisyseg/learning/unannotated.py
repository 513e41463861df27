"""What stands in for annotation where there is none (ours, beside iGTT's own algorithm).

How much each pixel looks like a nucleus, labels of a first epoch, and whether labels that a network
made of its own predictions stray from what is seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_noisyseg.learning.settings.igtt import IGTTConfig
from napari_noisyseg.method import TrainingImage
from napari_noisyseg.nets import build
from napari_noisyseg.nets.signal import Modality, modality_of, signal, standardised
from napari_noisyseg.noise import structure

FAINT = 4 / 255
"""signal below which differences are noise of the camera: added before the logarithm"""
Mask = NDArray[np.bool_]
Plane = NDArray[np.float32]


class Sight:
    """What images show of nuclei before anything is learned, and what a network sees of them."""

    def __init__(self, config: IGTTConfig, device: str) -> None:
        self.config, self.device = config, device
        self.modality: Modality = config.modality
        """of all images, once they have been looked at as a whole; auto where they differ"""

    def look_at(self, images: Sequence[TrainingImage]) -> None:
        """What nuclei look like, where the settings leave it open.

        Of whole images: a crop, full of bright nuclei, would seem to be an inverted one.
        """
        if self.config.modality != "auto":
            return
        kinds = {modality_of(torch.from_numpy(image.image)[None])[0] for image in images}
        self.modality = kinds.pop() if len(kinds) == 1 else "auto"

    def of(self, image: TrainingImage) -> Plane:
        """How much each pixel of a whole image looks like a nucleus, (H, W)."""
        x = signal(
            torch.from_numpy(image.image)[None],
            torch.from_numpy(image.hematoxylin)[None],
            self.modality,
        )
        return cast("Plane", x[0, 0].numpy())

    def input(self, image: Tensor, hematoxylin: Tensor) -> Tensor:
        """What the network sees of tiles: how much pixels look like nuclei, z-scored."""
        return self._shown(signal(image, hematoxylin, self.modality))

    def shown(self, seen: Plane) -> Tensor:
        """What the network sees of a whole image, (1, channels, H, W), by its signal (`of`)."""
        return self._shown(torch.from_numpy(seen)[None, None].to(self.device))

    def _shown(self, x: Tensor) -> Tensor:
        """The channels that the network sees, (B, 1 or 2, h, w), of (B, 1, h, w)."""
        shown = [x, (x + FAINT).log()] if self.config.see_faint else [x]
        return build.channels_last(torch.cat([standardised(one) for one in shown], dim=1))


def first_mask(seen: Plane, config: IGTTConfig, rng: np.random.Generator) -> tuple[Mask, Mask]:
    """A mask to begin with and where nothing is said, of an image's signal, (H, W) each.

    The paper begins with black masks, which have no gradient.
    """
    if config.seed_labels == "random":
        every = np.ones(seen.shape, bool)
        return structure.sampled(every, config.seed_share, rng), ~every
    sure = structure.sure_otsu(seen) if config.seed_labels == "sure" else structure.otsu(seen)
    return sure == 1, np.isnan(sure)


def is_turned_round(signals: Sequence[Plane], predictions: Sequence[Plane]) -> bool:
    """Whether predictions call the brighter parts background, over all images together."""
    pairs = zip(signals, predictions, strict=True)
    return not sum(structure.covariance(seen, p) for seen, p in pairs) >= 0


class Course:
    """How near labels come to the signal, round after round, and whether more are wanted.

    drop: how much farther off (in Dice) than earlier ones ends the revisions; 0: nothing does.
    """

    def __init__(self, drop: float) -> None:
        self.drop = drop
        self.agreed, self.settled = 0.0, False
        """the best agreement of labels with the signal so far; whether no more are wanted"""

    def strays(self, masks: Sequence[Mask], signals: Sequence[Plane]) -> bool:
        """Whether new labels leave the signal that earlier ones were nearer to.

        A network that sees thinned labels of its own may thin them further, round after round.
        """
        if not self.drop:
            return False
        pairs = zip(masks, signals, strict=True)
        agreed = np.mean([structure.agreement(mask, seen) for mask, seen in pairs])
        self.settled = bool(agreed < self.agreed - self.drop)
        self.agreed = max(self.agreed, float(agreed))
        return self.settled
