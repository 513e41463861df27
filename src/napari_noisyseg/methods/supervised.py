"""Plain supervised training on masks: the yardstick that every other method is held against."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from napari_noisyseg import losses
from napari_noisyseg.learning import optimizers, presets
from napari_noisyseg.learning.averaged import Averaged
from napari_noisyseg.learning.ema import WeightAverage
from napari_noisyseg.learning.settings.stain import StainConfig
from napari_noisyseg.method import (
    UNKNOWN,
    Batch,
    Departures,
    Losses,
    Method,
    MethodConfig,
    Needs,
    Outcome,
    Prediction,
    Preset,
    Progress,
)
from napari_noisyseg.nets import build
from napari_noisyseg.nets.build import Encoder
from napari_noisyseg.nets.resunet import Stem
from napari_noisyseg.plans import SamplingPlan, Stains


class SupervisedConfig(StainConfig):
    """The fully supervised ResUNet of SC-Net's Table III; its schedule is that of SC-Net."""

    train_on: Literal["best", "clean", "rough"] = "best"
    """clean masks, rough masks as they are, or clean wherever they say something and rough else"""
    stains: Stains = "estimated"
    """stain matrix of the hematoxylin component: one for all images, or each image's own"""
    input: Literal["hematoxylin", "rgb"] = "hematoxylin"
    """what the network sees: the hematoxylin component alone, or the colours"""
    net: Literal["resunet", "unet"] = "resunet"
    """shape of the network"""
    width: Annotated[int, Field(ge=4, le=256)] = 64
    """channels of the network at its first scale"""
    encoder: Encoder = "3-4-6-3"
    """residual blocks at each scale of a ResUNet: 3-4-6-3 is ResNet-34"""
    stem: Stem = "stride4"
    """how the first layers of a ResUNet shrink the image; stride4 is ResNet's own"""
    networks: Annotated[int, Field(ge=1, le=8)] = 1
    """networks from different seeds, each on every batch, whose mean predicts: two beside methods
    that predict by two"""
    hold_out: bool = True
    """keep a tenth of the tiles to choose the best weights by; off: every tile teaches"""
    lr: Annotated[float, Field(gt=0, le=1)] = 1e-3
    """first learning rate of Adam"""
    lr_schedule: Literal["steps", "cosine"] = "steps"
    """learning rate: a tenth after each 30 % of the schedule, or a cosine"""
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 5e-4
    """weight decay of Adam"""
    average_weights: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """decay of the moving average of the weights that predicts; 0: the weights as they are"""

    @classmethod
    def departures(cls) -> dict[Preset, Departures]:
        """What is not the paper's, and why: see `learning.presets`."""
        return presets.of("supervised")

    def sampling(self) -> SamplingPlan:
        """Tiles, of which some are held out, or none."""
        return replace(super().sampling(), hold_out=self.hold_out)

    def label_planes(self) -> tuple[str, ...]:
        """The label planes that these settings use."""
        return ("clean", "rough") if self.train_on == "best" else (self.train_on,)


class Supervised(Averaged, Method):
    """One network or several, cross-entropy on every pixel whose label is known."""

    Config: ClassVar[type[MethodConfig]] = SupervisedConfig
    needs: ClassVar[Needs] = Needs(masks=True, labels=("clean", "rough"))
    paper: ClassVar[str] = "Plain supervised training: the yardstick of the papers' tables"
    title: ClassVar[str] = "Supervised: masks as they are"
    shows: ClassVar[tuple[str, ...]] = ("uncertainty",)

    def __init__(self, config: SupervisedConfig, device: str, seed: int) -> None:
        self.config, self.device = config, device
        make = partial(build.segmenter, config)
        names = ["net", *(f"net_{k}" for k in range(2, config.networks + 1))]
        first = config.networks * seed
        self.nets = nn.ModuleDict(
            {name: build.seeded(make, device, first + k) for k, name in enumerate(names)}
        )
        self.averages = {k: WeightAverage(n, config.average_weights) for k, n in self.nets.items()}
        self.optimizer = torch.optim.Adam(
            self.nets.parameters(), config.lr, weight_decay=config.weight_decay
        )

    def step(self, batch: Batch, progress: Progress) -> Outcome:
        """One update of each network by cross-entropy."""
        rate = optimizers.rate_of(self.config, progress.fraction)
        optimizers.set_rate(self.optimizer, rate)
        self.nets.train()
        image, label = self._input(batch.image, batch.hematoxylin), self._label(batch)
        each = [losses.cross_entropy(net(image), label) for net in self.nets.values()]
        total = torch.stack(each).sum()
        self.optimizer.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        for name, average in self.averages.items():
            average.update(self.nets[name])
        loss = total.item() / len(each)
        return Outcome({"ce": loss, "total": loss})

    @torch.no_grad()
    def validate(self, batch: Batch, progress: Progress) -> Losses:
        """The same loss on held-out tiles."""
        image, label = self._input(batch.image, batch.hematoxylin), self._label(batch)
        each = [losses.cross_entropy(a.module(image), label) for a in self.averages.values()]
        loss = torch.stack(each).mean().item()
        return {"ce": loss, "total": loss}

    @torch.no_grad()
    def predict(self, image: Tensor, hematoxylin: Tensor) -> Prediction:
        """The mean softmax; `uncertainty` is 1 on the decision boundary and 0 where sure."""
        x = self._input(image, hematoxylin)
        each = [build.nucleus(average.module(x)) for average in self.averages.values()]
        probability = torch.stack(each).mean(dim=0)
        return Prediction(probability, {"uncertainty": 1 - (2 * probability - 1).abs()})

    def _input(self, image: Tensor, hematoxylin: Tensor) -> Tensor:
        """Darkness, so that the network's zero padding means no stain."""
        return build.darkness(self.config.input, image, hematoxylin)

    def _label(self, batch: Batch) -> Tensor:
        first, *rest = (batch.labels[name] for name in self.config.label_planes())
        for second in rest:
            first = torch.where(first == UNKNOWN, second, first)
        return first


METHOD: type[Method] = Supervised
"""What the registry finds in this file."""
