"""What methods share that select single pixels by the losses of two networks."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from napari_noisyseg import losses
from napari_noisyseg.learning import selection
from napari_noisyseg.learning.peers import Paired, PeerConfig, Peers
from napari_noisyseg.learning.selection import Judged, NoiseRate
from napari_noisyseg.method import (
    NUCLEUS,
    Batch,
    Losses,
    MethodConfig,
    Needs,
    Outcome,
    Progress,
    Revision,
    TrainingImage,
)

Logs = tuple[Tensor, Tensor]
"""log probabilities (B, 2, h, w) of both networks"""


class PixelwiseConfig(PeerConfig):
    """Networks and training as in Li et al. 2021 (§3.2), who compare with these methods."""

    ramp: Annotated[float, Field(ge=0, le=1)] = 0.05
    """T_k: share of the schedule in which the kept share falls from 1 to 1 - noise rate"""

    def label_planes(self) -> tuple[str, ...]:
        """The label planes that these settings use."""
        return ("rough", "clean", "given")


class Pixelwise(Paired):
    """Two networks and the share of pixels that they keep; `_total` is the method's own."""

    Config: ClassVar[type[MethodConfig]] = PixelwiseConfig
    needs: ClassVar[Needs] = Needs(rough=True, labels=("rough", "clean", "given"))
    shows: ClassVar[tuple[str, ...]] = ("uncertainty",)

    def __init__(self, config: PixelwiseConfig, device: str, seed: int) -> None:
        self.config, self.device = config, device
        self.peers = Peers(config, device, seed)
        self.noise = NoiseRate(config)

    @abstractmethod
    def _total(self, logs: Logs, batch: Batch, share: float) -> Tensor:
        """The loss of both networks when `share` of the doubtful pixels is kept."""

    def step(self, batch: Batch, progress: Progress) -> Outcome:
        """One update of both networks, by pixels of small loss and by clean ones."""
        self.peers.begin(progress.fraction)
        a, b = self.peers.logits(batch.image, batch.hematoxylin)
        logs = (a.float().log_softmax(dim=1), b.float().log_softmax(dim=1))
        share = self._share(logs, batch, progress)
        total = self._total(logs, batch, share)
        self.peers.update(total)
        figures = {"noise_rate": self.noise.value, "kept": share}
        return Outcome({"total": total.item()}, figures)

    def _share(self, logs: Logs, batch: Batch, progress: Progress) -> float:
        """R(T) = 1 - tau min(T / T_k, 1), T counted from the end of the warm-up."""
        late = progress.fraction - self.config.warmup
        if late < 0:
            return 1.0
        label, doubtful, _ = selection.target_of(batch)
        index = selection.pixels_of(label)
        probabilities = (logs[0].detach().exp(), logs[1].detach().exp())
        self.noise.look(selection.judge(probabilities, label, doubtful, index, 0.5))
        ramp = self.config.ramp
        return 1 - self.noise.value * (min(late / ramp, 1.0) if ramp else 1.0)

    def _kept(self, loss: Tensor, label: Tensor, mask: Tensor, share: float) -> Tensor:
        """Pixels of smallest loss among `mask`, bool (B, h, w)."""
        flat = loss.detach().flatten()
        judged = Judged(
            selection.pixels_of(label), flat, mask.flatten().float(), flat,
            (label == NUCLEUS).flatten(),
        )  # fmt: skip
        return selection.kept(judged, share, self.config.per_class).view(label.shape)

    @torch.no_grad()
    def validate(self, batch: Batch, progress: Progress) -> Losses:
        """Cross-entropy of both networks on all pixels with a label of held-out tiles."""
        label, doubtful, trusted = selection.target_of(batch)
        mask = doubtful | trusted
        a, b = self.peers.judged(batch.image, batch.hematoxylin)
        logs = (a.clamp(min=1e-6).log(), b.clamp(min=1e-6).log())
        total = sum(losses.masked_mean(entropy(z, label), mask).item() for z in logs)
        return {"total": float(total)}

    def begin(self, images: Sequence[TrainingImage]) -> Iterable[Revision]:
        """How many labels are wrong, as far as clean ones tell."""
        self.noise.look_at(images)
        return ()

    def state_dict(self) -> dict[str, Any]:
        """Networks and noise rate."""
        return {**self.peers.state_dict(), "noise": self.noise.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Undo of `state_dict`."""
        self.peers.load_state_dict(state)
        self.noise.load_state_dict(state["noise"])


def entropy(log: Tensor, label: Tensor) -> Tensor:
    """Cross-entropy of every pixel, (B, h, w); whatever it is where the label is unknown."""
    return -torch.where(label == NUCLEUS, log[:, 1], log[:, 0])
