"""Rounds of relabelling (Li et al. 2021, Eqs. 5 to 8): when one ends, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from napari_noisyseg import losses
from napari_noisyseg.learning import selection
from napari_noisyseg.learning.peers import PeerConfig
from napari_noisyseg.learning.selection import Judged
from napari_noisyseg.method import Progress, Revision, TrainingImage
from napari_noisyseg.nets.tiling import batch_of


class RoundConfig(PeerConfig):
    """When a round of relabelling ends, and what the next one doubts."""

    growth: Annotated[float, Field(ge=1, le=10)] = 1.1
    """gamma, by which R grows from round to round; 1: as much is doubted to the end (ours)"""
    patience: Annotated[int, Field(ge=1, le=1000)] = 5
    """epochs without a larger loss gap after which it has peaked (published; not in the paper)"""
    return_to_peak: bool = True
    """a round ends with the weights at which the loss gap was largest"""
    stop_when_settled: bool = True
    """training ends when the loss gap no longer rises in a round; off: it goes on (ours)"""
    round_epochs: Annotated[int, Field(ge=0, le=100_000)] = 0
    """epochs of a round, instead of the loss gap's peak; 0: by the peak (Eq. 5)"""
    round_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    """share of the schedule after which a round ends, peak or not (ours); 0: no limit"""
    most_rounds: Annotated[int, Field(ge=1, le=1000)] = 1000
    """rounds of relabelling (published: 1)"""
    select: bool = True
    """small-loss selection, Eqs. 3 and 4 (Table 2); without it the loss gap says nothing of when to
    stop, and rounds end by their length alone, where it is set"""
    relabel: bool = True
    """relabelling of large losses, Eqs. 6-8 (Table 2)"""


class Rounds:
    """How the loss gap goes, epoch by epoch, and which round it is."""

    def __init__(self, config: RoundConfig) -> None:
        self.config = config
        self.number = 0
        self.began = config.warmup
        self.gaps: list[float] = []
        self.settled = False
        self.total, self.steps = 0.0, 0
        self.kept: dict[str, Tensor] = {}

    @property
    def gap(self) -> float:
        """Mean loss gap of this epoch so far."""
        return self.total / max(self.steps, 1)

    def add(self, gap: float) -> None:
        """The loss gap of an update."""
        self.total, self.steps = self.total + gap, self.steps + 1

    def end_epoch(self) -> bool:
        """Close an epoch; whether its gap is the largest of the round."""
        if not self.steps:
            return False
        self.gaps.append(self.gap)
        self.total, self.steps = 0.0, 0
        return self.gaps[-1] >= max(self.gaps)

    def keep(self, weights: Mapping[str, Tensor]) -> None:
        """Remember the weights of a peak, to which the round may return."""
        if self.config.return_to_peak:
            self.kept = {k: v.clone() for k, v in weights.items()}

    @property
    def _by_gap(self) -> bool:
        """Whether the loss gap has a say: it rises while the kept are learned and the rest not."""
        c = self.config
        return c.select or not (c.round_epochs or c.round_share)

    def over(self, progress: Progress) -> bool:
        """Whether the round ends here."""
        c = self.config
        if self.settled or not self.gaps:
            return False
        if c.round_epochs:
            return len(self.gaps) >= c.round_epochs
        late = bool(c.round_share) and progress.fraction >= self.began + c.round_share
        if late or not self._by_gap:
            return late
        return len(self.gaps) > self.gaps.index(max(self.gaps)) + c.patience

    def next(self, progress: Progress) -> bool:
        """On to the next round, or, if the gap did not rise in this one, all is settled (§3.2)."""
        fixed = self.config.round_epochs == 1 or not self._by_gap
        rose = fixed or max(self.gaps) > self.gaps[0]
        if not (rose and self.config.relabel and self.number < self.config.most_rounds):
            self.settled = True
            return False
        self.number, self.began = self.number + 1, progress.fraction
        self.gaps, self.kept = [], {}
        return True

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers, and the weights at the peak."""
        plain = {k: v for k, v in vars(self).items() if k not in ("config", "kept", "gaps")}
        return {**plain, "gaps": list(self.gaps), "kept": dict(self.kept)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Undo of `state_dict`."""
        for name, value in state.items():
            setattr(self, name, value)


def rank(loss: Tensor, sizes: Tensor) -> Tensor:
    """Share of pixels in superpixels whose loss is no smaller, (K,)."""
    order = loss.argsort(descending=True, stable=True)
    share = torch.empty_like(loss)
    share[order] = sizes[order].cumsum(0) / sizes.sum().clamp(min=1)
    return share


def revisions(
    plane: str,
    images: Sequence[TrainingImage],
    judged: Sequence[Judged],
    chosen: Tensor,
    number: int,
) -> Iterator[Revision]:
    """Every image's labels after Eq. 8; chosen: bool (K,), of the superpixels of all images."""
    everything = selection.joined(judged)
    ranked = rank(everything.loss, everything.sizes)
    lengths = [len(one.loss) for one in judged]
    parts = zip(torch.split(chosen, lengths), torch.split(ranked, lengths), strict=True)
    for index, (one, mine) in enumerate(zip(judged, parts, strict=True)):
        yield _revision(plane, index, images[index], one, mine, number)


def _revision(
    plane: str,
    index: int,
    image: TrainingImage,
    judged: Judged,
    mine: tuple[Tensor, Tensor],
    number: int,
) -> Revision:
    """One image's labels after Eq. 8, NaN where none is doubtful, and why they are so.

    mine: which of the image's superpixels are relabelled, and their ranks (`rank`).
    """
    chosen, ranks = mine
    batch = batch_of(image, "cpu")
    before, doubtful, _ = selection.target_of(batch, plane)
    after = losses.voted_label(before, judged.index, chosen, judged.votes)
    reasons = {"loss": judged.loss, "vote": judged.votes, "rank": ranks, "taken": chosen.float()}
    maps = {name: _painted(values[judged.index], doubtful) for name, values in reasons.items()}
    maps["before"] = _painted(before.float(), doubtful)
    return Revision(index, plane, _painted(after.float(), doubtful), number, maps)


def _painted(values: Tensor, where: Tensor) -> NDArray[np.float32]:
    painted = torch.where(where, values, torch.nan)[0].float()
    return cast("NDArray[np.float32]", painted.numpy())
