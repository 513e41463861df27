"""Fine-tuning: rough masks first, then the few clean ones ("U-Net FT" in the tables of MMC)."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field
from torch import Tensor

from napari_noisyseg import losses
from napari_noisyseg.learning import presets
from napari_noisyseg.learning.learner import Learned, Learner, LearnerConfig
from napari_noisyseg.method import (
    Batch,
    Departures,
    Method,
    MethodConfig,
    Needs,
    Outcome,
    Preset,
    Progress,
)


class FinetuneConfig(LearnerConfig):
    """The network and schedule of MMC; the paper gives no detail of the fine-tuning, so it is ours.

    `meta_batch_size` is the number of clean tiles in an update of the second part.
    """

    clean_share: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """last share of the schedule, which trains on clean masks alone (ours)"""
    clean_lr: Annotated[float, Field(gt=0, le=1)] = 1e-4
    """first learning rate of that last share, which has a schedule of its own (ours)"""

    @classmethod
    def departures(cls) -> dict[Preset, Departures]:
        """What is not the paper's, and why: see `learning.presets`."""
        return presets.of("finetune")


class Finetune(Learned):
    """One network, cross-entropy: first on the rough masks as they are, then on the clean ones."""

    Config: ClassVar[type[MethodConfig]] = FinetuneConfig
    needs: ClassVar[Needs] = Needs(rough=True, clean=True, meta=True, labels=("rough", "clean"))
    paper: ClassVar[str] = "Fine-tuning on clean masks: the first row of the tables of MMC"
    title: ClassVar[str] = "Fine-tuning: rough masks, then clean ones"
    shows: ClassVar[tuple[str, ...]] = ("uncertainty",)

    def __init__(self, config: FinetuneConfig, device: str, seed: int) -> None:
        self.config, self.device = config, device
        self.learner = Learner(config, device, seed)

    def step(self, batch: Batch, progress: Progress) -> Outcome:
        """One update on the rough masks, or near the end on the clean ones."""
        c = self.config
        rest = progress.fraction - (1 - c.clean_share)
        if rest >= 0 and c.clean_share and batch.meta is not None:
            self.learner.begin(rest / c.clean_share, c.clean_lr)
            loss = self._loss(batch.meta, "clean")
        else:
            self.learner.begin(min(1.0, progress.fraction / (1 - c.clean_share)))
            loss = self._loss(batch, "rough")
        loss.backward()  # type: ignore[no-untyped-call]
        self.learner.update()
        return Outcome({"ce": loss.item(), "total": loss.item()})

    def _loss(self, batch: Batch, plane: str) -> Tensor:
        logits = self.learner.net(self.learner.input(batch.image, batch.hematoxylin))
        return losses.cross_entropy(logits, batch.labels[plane])


METHOD: type[Method] = Finetune
"""What the registry finds in this file."""
