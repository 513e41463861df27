"""Which superpixels (or pixels) two networks learn from, and how large the share of them is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from napari_noisyseg import losses
from napari_noisyseg.learning import noise_rate
from napari_noisyseg.learning.peers import PeerConfig
from napari_noisyseg.method import NUCLEUS, UNKNOWN, Batch, TrainingImage

ESTIMATES = 8
"""updates over which the noise rate is estimated from what networks believe"""
TINY = 1e-6


@dataclass(frozen=True, slots=True)
class Judged:
    """Superpixels of a batch. index: int (B, h, w) into the others, (K,): what they are told of.

    loss: Eq. 2; sizes: pixels that count; votes: mean probability of nucleus; nucleus: bool,
    whether most pixels are labelled so.
    """

    index: Tensor
    loss: Tensor
    sizes: Tensor
    votes: Tensor
    nucleus: Tensor


def judge(
    probabilities: tuple[Tensor, Tensor], label: Tensor, mask: Tensor, index: Tensor, balance: float
) -> Judged:
    """Eqs. 1, 2 and 7 of the superpixels of a batch, by the pixels of `mask`.

    probabilities: of two networks, (B, 2, h, w); label: states (B, h, w); index: int (B, h, w).
    """
    planes = [*(p[:, NUCLEUS].float() for p in probabilities), (label == NUCLEUS).float()]
    means, sizes = losses.superpixel_mean(torch.stack(planes, dim=1), index, mask)
    one, two, target = (torch.stack([1 - mean, mean], dim=1) for mean in means.unbind(1))
    logs = (one.clamp(TINY, 1).log(), two.clamp(TINY, 1).log())
    loss = losses.co_regularised(logs, target, balance)
    return Judged(index, loss, sizes, losses.vote(one, two), means[:, 2] > 0.5)


def of_pixels(logs: tuple[Tensor, Tensor], label: Tensor, balance: float) -> Tensor:
    """Eq. 2 of every pixel, (B, h, w); whatever it is where the label is unknown.

    logs: log probabilities of two networks, (B, 2, h, w); label: states (B, h, w).
    """
    nucleus = (label == NUCLEUS).float()
    target = torch.stack([1 - nucleus, nucleus], dim=-1)
    last = (logs[0].movedim(1, -1), logs[1].movedim(1, -1))
    return losses.co_regularised(last, target, balance)


def joined(parts: Sequence[Judged]) -> Judged:
    """The superpixels of several images as one list, (K,); the index is lost."""
    return Judged(
        torch.empty(0),
        torch.cat([part.loss for part in parts]),
        torch.cat([part.sizes for part in parts]),
        torch.cat([part.votes for part in parts]),
        torch.cat([part.nucleus for part in parts]),
    )


def to_cpu(judged: Judged) -> Judged:
    """The same on the CPU."""
    return Judged(*(getattr(judged, f.name).cpu() for f in fields(judged)))


def pieces_of(batch: Batch, use_superpixels: bool, cut_by_label: bool) -> Tensor:
    """The samples of a batch, an index int (B, h, w): its superpixels, or its pixels.

    cut_by_label: superpixels end where the rough label's outline runs (ours).
    """
    if not use_superpixels or batch.superpixels is None:
        return pixels_of(batch.labels["rough"])
    ids = batch.superpixels
    if cut_by_label:
        ids = 2 * ids + (batch.labels["rough"] == NUCLEUS)
    return losses.superpixel_index(ids)


def pixels_of(label: Tensor) -> Tensor:
    """An index in which every pixel stands alone, int (B, h, w)."""
    return torch.arange(label.numel(), device=label.device).view(label.shape)


def kept(judged: Judged, share: float, per_class: bool) -> Tensor:
    """Eq. 3, bool (K,): those of smallest loss, of all or of either class apart."""
    return _chosen(losses.small_loss, judged, share, per_class)


def taken(judged: Judged, share: float, per_class: bool, sure_only: bool = False) -> Tensor:
    """Eq. 6, bool (K,): those of largest loss, of all or of either class apart.

    sure_only: of what the networks are sure of alone (ours, `surely_wrong`).
    """
    if sure_only:
        return surely_wrong(judged, share)
    return _chosen(losses.large_loss, judged, share, per_class)


def _chosen(
    rule: Callable[[Tensor, Tensor, float], Tensor], judged: Judged, share: float, per_class: bool
) -> Tensor:
    if not per_class:
        return rule(judged.loss, judged.sizes, share)
    nuclei, rest = by_class(judged)
    of_nuclei, of_rest = shares(share, nuclei, rest)
    return rule(judged.loss, nuclei, of_nuclei) | rule(judged.loss, rest, of_rest)


def surely_wrong(judged: Judged, share: float) -> Tensor:
    """Eq. 6 among what is surely of the other class, bool (K,)."""
    sizes = torch.where(_sure(judged), judged.sizes, 0.0)
    most = (1 - share) * float(judged.sizes.sum()) / max(float(sizes.sum()), 1.0)
    return losses.large_loss(judged.loss, sizes, 1 - min(most, 1.0))


def outweighed(judged: Judged) -> Tensor:
    """Labels that the networks outweigh by Bayes' rule, bool (K,): ours, for what people are shown.

    If a share e of an image's labels is wrong, beliefs in the other class above 1 - e are more
    likely to be right than the label; e is the share of which the networks are sure. So little is
    changed where most labels are right. judged: with its index.
    """
    sure = _sure(judged)
    return sure & (_doubt(judged) > 1 - share_of_tile(sure, judged))


def _sure(judged: Judged) -> Tensor:
    """Surely of the other class as confident learning has it, bool (K,): no less probable than the
    mean of what carries that label.
    """
    nuclei, rest = by_class(judged)
    of_rest, of_nuclei = (
        ((belief * sizes).sum() / sizes.sum().clamp(min=1)).clamp(min=0.5)
        for belief, sizes in ((1 - judged.votes, rest), (judged.votes, nuclei))
    )
    return _doubt(judged) >= torch.where(judged.nucleus, of_rest, of_nuclei)


def _doubt(judged: Judged) -> Tensor:
    """The belief that a label is wrong, (K,)."""
    return torch.where(judged.nucleus, 1 - judged.votes, judged.votes)


def share_of_tile(chosen: Tensor, judged: Judged) -> Tensor:
    """The share of an image's pixels in superpixels that are chosen, (K,): of each one's own image.

    chosen: bool (K,). Held within the bounds of a noise rate.
    """
    tile, none = tile_of(judged.index), judged.sizes.new_zeros(len(judged.index))
    some, all_of = (
        none.index_add(0, tile, sizes) for sizes in (judged.sizes * chosen, judged.sizes)
    )
    shares = (some / all_of.clamp(min=1)).clamp(noise_rate.LOWEST, noise_rate.HIGHEST)
    return shares[tile]


def tile_of(index: Tensor) -> Tensor:
    """Which tile of the batch each sample lies in, int (K,), by an index int (B, h, w)."""
    tiles = torch.arange(len(index), device=index.device)[:, None, None].expand_as(index)
    none = tiles.new_zeros(int(index.max()) + 1)
    return none.scatter_(0, index.reshape(-1), tiles.reshape(-1))


def by_class(judged: Judged) -> tuple[Tensor, Tensor]:
    """Sizes (K,) of superpixels labelled nucleus and background, zero for the other class."""
    nuclei = torch.where(judged.nucleus, judged.sizes, 0.0)
    return nuclei, judged.sizes - nuclei


def shares(share: float, nuclei: Tensor, rest: Tensor) -> tuple[float, float]:
    """R of either class, where each has half of the (1 - R) M wrong pixels; no less than 0.5."""
    wrong = (1 - share) * float(nuclei.sum() + rest.sum()) / 2
    of_nuclei, of_rest = (1 - wrong / max(float(sizes.sum()), 1.0) for sizes in (nuclei, rest))
    return max(of_nuclei, 0.5), max(of_rest, 0.5)


def target_of(batch: Batch, relabelled: str = "") -> tuple[Tensor, Tensor, Tensor]:
    """Label (B, h, w) to learn, and where it is doubtful and where it is trusted, bool.

    Clean pixels always win over rough ones. relabelled: the plane that replaces rough labels.
    """
    rough, clean = batch.labels["rough"], batch.labels["clean"]
    trusted = clean != UNKNOWN
    doubtful = (rough != UNKNOWN) & ~trusted
    label = rough
    if relabelled in batch.planes:
        plane = batch.planes[relabelled]
        label = torch.where(plane.isnan(), rough, (plane > 0.5).to(rough.dtype))
    return torch.where(trusted, clean, label), doubtful, trusted


class NoiseRate:
    """The share of wrong pixels: set, told by clean pixels, or estimated from beliefs."""

    def __init__(self, config: PeerConfig) -> None:
        self.estimates: list[float] = [config.noise_rate] * bool(config.noise_rate)
        self.certain = bool(self.estimates)

    @property
    def value(self) -> float:
        """The rate so far; 0 while nothing is known."""
        return float(np.mean(self.estimates)) if self.estimates else 0.0

    def look_at(self, images: Sequence[TrainingImage]) -> None:
        """Learn it where rough and clean labels overlap, if nobody set it."""
        given, clean = (
            np.concatenate([image.labels[name].ravel() for image in images])
            for name in ("given", "clean")
        )
        found = None if self.certain else noise_rate.by_agreement(given, clean)
        if found is not None:
            self.estimates, self.certain = [found], True

    def look(self, judged: Judged) -> None:
        """One estimate more from a batch, until there are `ESTIMATES`."""
        if self.certain or len(self.estimates) >= ESTIMATES or not judged.sizes.any():
            return
        parts = (judged.votes, judged.nucleus, judged.sizes)
        votes, nucleus, sizes = (values.detach().cpu().numpy() for values in parts)
        self.estimates.append(noise_rate.by_confidence(votes, nucleus, sizes))

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers."""
        return {"estimates": list(self.estimates), "certain": self.certain}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Undo of `state_dict`."""
        self.estimates, self.certain = list(state["estimates"]), bool(state["certain"])
