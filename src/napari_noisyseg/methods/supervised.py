"""Plain supervised training on masks: the yardstick that every other method is held against."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from napari_noisyseg import losses
from napari_noisyseg.learning import optimizers, presets
from napari_noisyseg.learning.ema import WeightAverage
from napari_noisyseg.learning.settings import StainConfig
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
from napari_noisyseg.plans import Stains


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

    def label_planes(self) -> tuple[str, ...]:
        """The label planes that these settings use."""
        return ("clean", "rough") if self.train_on == "best" else (self.train_on,)


class Supervised(Method):
    """One network, cross-entropy on every pixel whose label is known."""

    Config: ClassVar[type[MethodConfig]] = SupervisedConfig
    needs: ClassVar[Needs] = Needs(masks=True, labels=("clean", "rough"))
    paper: ClassVar[str] = "Plain supervised training: the yardstick of the papers' tables"
    title: ClassVar[str] = "Supervised: masks as they are"
    shows: ClassVar[tuple[str, ...]] = ("uncertainty",)

    def __init__(self, config: SupervisedConfig, device: str, seed: int) -> None:
        self.config, self.device = config, device
        self.net = build.seeded(partial(build.segmenter, config), device, seed)
        self.average = WeightAverage(self.net, config.average_weights)
        self.optimizer = torch.optim.Adam(
            self.net.parameters(), config.lr, weight_decay=config.weight_decay
        )

    def step(self, batch: Batch, progress: Progress) -> Outcome:
        """One update by cross-entropy."""
        steps = self.config.lr_schedule == "steps"
        schedule = losses.stepped_rate if steps else losses.cosine_rate
        optimizers.set_rate(self.optimizer, schedule(progress.fraction, self.config.lr))
        logits = self.net.train()(self._input(batch.image, batch.hematoxylin))
        loss = losses.cross_entropy(logits, self._label(batch))
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.average.update(self.net)
        return Outcome({"ce": loss.item(), "total": loss.item()})

    @torch.no_grad()
    def validate(self, batch: Batch, progress: Progress) -> Losses:
        """The same loss on held-out tiles."""
        logits = self.average.module(self._input(batch.image, batch.hematoxylin))
        loss = losses.cross_entropy(logits, self._label(batch)).item()
        return {"ce": loss, "total": loss}

    @torch.no_grad()
    def predict(self, image: Tensor, hematoxylin: Tensor) -> Prediction:
        """The network's softmax; `uncertainty` is 1 on the decision boundary and 0 where sure."""
        logits = self.average.module(self._input(image, hematoxylin))
        probability = build.nucleus(logits)
        return Prediction(probability, {"uncertainty": 1 - (2 * probability - 1).abs()})

    def _input(self, image: Tensor, hematoxylin: Tensor) -> Tensor:
        """Darkness, so that the network's zero padding means no stain."""
        return build.darkness(self.config.input, image, hematoxylin)

    def _label(self, batch: Batch) -> Tensor:
        first, *rest = (batch.labels[name] for name in self.config.label_planes())
        for second in rest:
            first = torch.where(first == UNKNOWN, second, first)
        return first

    def state_dict(self) -> dict[str, Any]:
        """Network, average and optimiser."""
        return {
            "net": dict(self.net.state_dict()),
            "average": dict(self.average.state_dict()),
            "optimizer": optimizers.state_of(self.optimizer),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Undo of `state_dict`."""
        self.net.load_state_dict(state["net"])
        self.average.load_state_dict(state["average"])
        optimizers.load_state(self.optimizer, state["optimizer"])

    def weights(self) -> dict[str, Tensor]:
        """The network as it predicts."""
        return build.prefixed({"net": self.average.module})

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Undo of `weights`; training goes on from there too."""
        build.load_prefixed({"net": self.average.module}, weights)
        build.load_prefixed({"net": self.net}, weights)


METHOD: type[Method] = Supervised
"""What the registry finds in this file."""
