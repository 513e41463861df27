"""What of a batch is doubtful and what is clean, and what of both a weight map can be shown by.

Beside MLB-Seg's own equations: where its labels come from, the fixed weights that it is compared
with (Reed et al. 2014), and the weights that a person sees (ours).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_noisyseg import losses
from napari_noisyseg.method import UNKNOWN, Batch, TrainingImage
from napari_noisyseg.nets import build
from napari_noisyseg.nets.tiling import in_windows

KEPT_TILES = 16
"""clean tiles that weights are shown by; a few alone would judge by their own peculiarities"""


class Doubt(NamedTuple):
    """What a batch leaves in doubt: images as the network sees them, (B, channels, h, w).

    label: the imperfect label y^n, UNKNOWN where there is none, uint8 (B, h, w); open: pixels that
    count and are not clean, bool (B, h, w).
    """

    image: Tensor
    label: Tensor
    open: Tensor


class Clean(NamedTuple):
    """Tiles of clean pixels: image (B, channels, h, w), label (B, h, w), UNKNOWN elsewhere."""

    image: Tensor
    label: Tensor

    def loss(self, logits: Tensor, features: Tensor | None = None) -> Tensor:
        """The clean loss of Eq. 5, a mean over the clean pixels."""
        return losses.cross_entropy(logits, self.label)


def of(batch: Batch, generated: str, image: Tensor) -> Doubt:
    """The imperfect label: the rough one, else the plane `generated`, never where a clean one is.

    image: the batch's as the network sees it.
    """
    nothing = torch.full_like(batch.hematoxylin[:, 0], torch.nan)
    plane = batch.planes.get(generated, nothing)
    open_ = counts(batch) & (batch.labels["clean"] == UNKNOWN)
    label = torch.where(plane.isnan(), UNKNOWN, plane > 0.5).to(torch.uint8)
    rough = batch.labels["rough"]
    label = torch.where(rough == UNKNOWN, label, rough).masked_fill(~open_, UNKNOWN)
    return Doubt(image, label, open_)


def clean_of(batch: Batch, seen: Callable[[Tensor, Tensor], Tensor]) -> Clean | None:
    """The tiles of a batch that hold clean pixels; None where there are none.

    seen: what the network sees of an image and its hematoxylin component.
    """
    label = batch.labels["clean"]
    rows = (label != UNKNOWN).flatten(1).any(dim=1)
    if not rows.any():
        return None
    return Clean(seen(batch.image[rows], batch.hematoxylin[rows]), label[rows])


def together(*given: Clean | None) -> Clean | None:
    """All these tiles; None where there are none."""
    parts = [part for part in given if part is not None]
    if not parts:
        return None
    return Clean(*(torch.cat(values) for values in zip(*parts, strict=True)))


def counts(batch: Batch) -> Tensor:
    """Where something can be learned, labelled or not: stained, declared or labelled pixels."""
    labelled = (batch.labels["rough"] != UNKNOWN) | (batch.labels["clean"] != UNKNOWN)
    return batch.known | batch.tissue | labelled


def unlabeled(image: TrainingImage) -> NDArray[np.bool_]:
    """Pixels that could be learned from but have no label of either kind, (H, W)."""
    rough, clean = (image.labels[name] == UNKNOWN for name in ("rough", "clean"))
    found: NDArray[np.bool_] = (image.known | image.tissue) & rough & clean
    return found


def fixed_weights(doubt: Doubt, of_given: float) -> Tensor:
    """The same weights everywhere (Reed et al. 2014), (2, B, h, w), each sum its share.

    of_given: share of the imperfect label; the rest is the pseudo label's.
    """
    given = torch.stack([doubt.label != UNKNOWN, doubt.open])
    share = doubt.image.new_tensor([of_given, 1 - of_given])
    return given * (share / given.sum(dim=(1, 2, 3)).clamp(min=1))[:, None, None, None]


class Shown:
    """Weight maps for a person to see, by the clean tiles seen last."""

    def __init__(self) -> None:
        self.reference: Clean | None = None

    def keep(self, clean: Clean | None) -> None:
        """Keep the newest clean tiles."""
        if clean is None:
            return
        kept = self.reference
        if kept is not None and kept.label.shape[1:] == clean.label.shape[1:]:
            clean = Clean(*(torch.cat(both) for both in zip(clean, kept, strict=True)))
        self.reference = Clean(clean.image[:KEPT_TILES], clean.label[:KEPT_TILES])

    def weights(
        self, batch: Batch, doubt: Doubt, weigh: Callable[[Doubt, Clean], Tensor]
    ) -> dict[str, Tensor]:
        """Both weight maps on one scale, 0..1 (B, h, w), `weights` and `weights_pseudo`.

        weigh: both of a window, no smaller than zero, (2, B, h, w).
        """
        weights, clean = torch.zeros_like(doubt.image[:, :1]).repeat(1, 2, 1, 1), self.reference

        def of_window(packed: Tensor) -> Tensor:
            assert clean is not None
            image, label, open_ = packed[:, :-2], packed[:, -2].to(torch.uint8), packed[:, -1]
            part = Doubt(build.channels_last(image), label, open_.bool())
            return weigh(part, clean).transpose(0, 1)

        if clean is not None:
            packed = torch.cat([doubt.image, doubt.label[:, None], doubt.open[:, None]], dim=1)
            weights = in_windows(of_window, packed, 512, 64)
        shown = (weights / losses.exceeded(weights, 0.01).clamp(min=1e-30)).clamp(max=1)
        given = torch.where(batch.labels["clean"] == UNKNOWN, shown[:, 0], 1.0)
        return {"weights": given, "weights_pseudo": shown[:, 1]}

    def state_dict(self) -> dict[str, Any]:
        """The clean tiles seen last."""
        return {} if self.reference is None else self.reference._asdict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Undo of `state_dict`."""
        self.reference = Clean(**state) if state else None
