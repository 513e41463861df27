"""What accepted nuclei teach beside rough masks: pairs of labels, and how rare nuclei are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from napari_noisyseg import losses, meta
from napari_noisyseg.learning import optimizers
from napari_noisyseg.method import BACKGROUND, NUCLEUS, UNKNOWN, Batch, Losses, TrainingImage

MOST_WEIGHT = 20.0
"""Of a clean background pixel: a single pixel is no witness for a whole slide."""


class Pairs:
    """A network that corrects labels, taught by pixels whose rough and clean label are known.

    rate: of an Adam of its own, so that these steps and those of the outer level leave each other's
    size alone; 0: nothing is learned from pairs.
    """

    def __init__(self, theta: Sequence[Tensor], rate: float) -> None:
        self.rate = rate
        self.optimizer = torch.optim.Adam(theta, rate)

    def learn(
        self, corrected: Callable[[], Tensor], batch: Batch, background: float = 1.0
    ) -> Losses:
        """One update down the cross-entropy of `corrected()`, (B, h, w), with the clean labels.

        background: see `importance`.
        """
        if not self.rate:
            return {}
        weight = importance(batch, background).masked_fill(given_of(batch) == UNKNOWN, 0.0)
        if not weight.any():
            return {}
        target = nucleus_of(batch.labels["clean"])
        with meta.full_precision(weight):  # of a probability: no such loss in half precision
            error = F.binary_cross_entropy(corrected(), target, reduction="none")
            loss = losses.weighted_mean(error, weight)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return {"pairs": loss.item()}

    def state_dict(self) -> dict[str, Any]:
        """The optimiser."""
        return optimizers.state_of(self.optimizer)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Undo of `state_dict`."""
        optimizers.load_state(self.optimizer, state)


def given_of(batch: Batch) -> Tensor:
    """The rough masks as they came, where clean labels are too; states (B, h, w)."""
    return batch.labels.get("given", batch.labels["rough"])


def nucleus_of(label: Tensor) -> Tensor:
    """States as the probability of nucleus, float (B, h, w)."""
    return (label == NUCLEUS).float()


def importance(batch: Batch, background: float) -> Tensor:
    """How much each pixel counts in a clean loss, float (B, h, w): 0 where none is clean.

    background: what a clean background pixel outside the rough masks counts (`background_weight`).
    """
    clean = batch.labels["clean"]
    outside = (clean == BACKGROUND) & (given_of(batch) != NUCLEUS)
    return torch.where(outside, background, (clean != UNKNOWN).float())


def background_weight(images: Sequence[TrainingImage]) -> float:
    """What a clean background pixel outside the rough masks counts, beside 1 of a clean nucleus.

    Accepted nuclei bring a margin of background and no more, so that nuclei, and missed nuclei
    above all, would seem far more frequent than they are. 1 where whole fields are clean.
    """
    clean = np.concatenate([image.labels["clean"].ravel() for image in images])
    given = np.concatenate([image.labels["given"].ravel() for image in images])
    share = (given == NUCLEUS).sum() / max(int((given != UNKNOWN).sum()), 1)
    outside = ((clean == BACKGROUND) & (given != NUCLEUS)).sum()
    if not share or not outside:
        return 1.0
    wanted = (clean == NUCLEUS).sum() * (1 - share) / share
    return float(np.clip(wanted / outside, 1.0, MOST_WEIGHT))
