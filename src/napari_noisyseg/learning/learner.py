"""One segmentation network, its optimiser and its averaged weights, as several methods need them.

`LearnerConfig` holds their settings; what a network learns from is the method's own affair.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from napari_noisyseg import losses
from napari_noisyseg.learning import optimizers, presets
from napari_noisyseg.learning.ema import WeightAverage
from napari_noisyseg.learning.settings.stain import StainConfig
from napari_noisyseg.method import Batch, Departures, Losses, Method, Prediction, Preset, Progress
from napari_noisyseg.nets import build
from napari_noisyseg.nets.build import Encoder
from napari_noisyseg.nets.resunet import Stem
from napari_noisyseg.plans import SamplingPlan


class LearnerConfig(StainConfig):
    """MMC's segmentation network and training; where the paper is silent, ours, and it says so."""

    epochs: Annotated[int, Field(ge=1, le=100_000)] = 500
    """length of the training; a time budget plans its own number instead"""
    batch_size: Annotated[int, Field(ge=1, le=256)] = 16
    """tiles per update (not in the paper)"""
    tile: Annotated[int, Field(ge=32, le=2048)] = 128
    """side of the training tiles, in working pixels (the paper's multi-nuclei patches)"""
    tile_overlap: Annotated[int, Field(ge=0, le=2047)] = 64
    """overlap of neighbouring training tiles, in working pixels (not in the paper)"""
    crop: Annotated[int, Field(ge=32, le=2048)] = 128
    """side of the random crop that an update sees, in working pixels"""
    meta_batch_size: Annotated[int, Field(ge=1, le=256)] = 16
    """tiles around clean nuclei beside each update's (not in the paper)"""
    hold_out: bool = False
    """keep a tenth of the tiles to choose the best weights by their clean pixels (ours); where
    these are few, all of them are worth more in training, and the last weights are used"""
    input: Literal["rgb", "hematoxylin"] = "rgb"
    """what the network sees: the colours, or the hematoxylin component alone"""
    net: Literal["resunet", "unet"] = "resunet"
    """shape of the network"""
    width: Annotated[int, Field(ge=4, le=256)] = 64
    """channels of the network at its first scale"""
    encoder: Encoder = "3-4-6-3"
    """residual blocks at each scale of a ResUNet: 3-4-6-3 is ResNet-34 (paper: ResNet-32)"""
    stem: Stem = "stride4"
    """how the first layers of a ResUNet shrink the image; stride4 is ResNet's own"""
    lr: Annotated[float, Field(gt=0, le=1)] = 1e-3
    """first learning rate of Adam"""
    lr_schedule: Literal["steps", "cosine"] = "steps"
    """learning rate: a tenth after 300 of 500 epochs, or a cosine (ours)"""
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.0
    """weight decay of Adam (not in the paper)"""
    average_weights: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """decay of the moving average of weights that predicts (ours); 0: the weights as they are"""

    @classmethod
    def departures(cls) -> dict[Preset, Departures]:
        """What is not the paper's, and why: see `learning.presets`."""
        return presets.of("learner")

    def sampling(self) -> SamplingPlan:
        """Tiles, with clean ones beside them."""
        plan = super().sampling()
        return replace(plan, meta_batch_size=self.meta_batch_size, hold_out=self.hold_out)


class JoiningConfig(LearnerConfig):
    """A learner whose clean pixels may teach beside the rough ones (ours)."""

    train_on_clean: bool = False
    """clean pixels teach the segmentation too, with their label as it is (ours)"""
    clean_tiles: Annotated[int, Field(ge=0, le=256)] = 0
    """how many of an update's meta tiles join its batch, if clean pixels teach (ours)"""
    clean_from: Annotated[float, Field(ge=0, le=1)] = 0.0
    """share of the schedule after which they join (ours): before, the clean loss is that of tiles
    which the segmentation has hardly seen"""

    def joined(self, batch: Batch, fraction: float) -> Batch:
        """The batch at N / N_max, and the clean tiles that teach beside it."""
        teach = self.train_on_clean and fraction >= self.clean_from
        return with_clean_tiles(batch, self.clean_tiles if teach else 0)


DROP_AFTER = 0.6
"""Share of the schedule after which "steps" divides the learning rate by ten: 300 of 500 epochs."""


def with_clean_tiles(batch: Batch, count: int) -> Batch:
    """The batch and the first `count` of its meta tiles, as more tiles of the batch."""
    if not count or batch.meta is None:
        return batch
    few = batch.meta.mapped(lambda values: values[:count])
    labels = {name: torch.cat([label, few.labels[name]]) for name, label in batch.labels.items()}
    return replace(
        batch,
        image=torch.cat([batch.image, few.image]),
        hematoxylin=torch.cat([batch.hematoxylin, few.hematoxylin]),
        labels=labels,
        known=torch.cat([batch.known, few.known]),
        tissue=torch.cat([batch.tissue, few.tissue]),
        planes={},
        half=torch.cat([batch.half, few.half]),
    )


class Learner:
    """A network `net`, Adam, and the average of the weights that predicts."""

    def __init__(self, config: LearnerConfig, device: str, seed: int) -> None:
        self.config = config
        self.net = build.seeded(partial(build.segmenter, config), device, seed)
        self.average = WeightAverage(self.net, config.average_weights)
        self.optimizer = torch.optim.Adam(
            self.net.parameters(), config.lr, weight_decay=config.weight_decay
        )

    def begin(self, fraction: float, lr: float | None = None) -> float:
        """Train mode, no gradients, and the learning rate at N / N_max, which it returns.

        lr: the first learning rate, where it is not the settings' own.
        """
        first = self.config.lr if lr is None else lr
        if self.config.lr_schedule == "steps":
            rate = losses.stepped_rate(fraction, first, DROP_AFTER)
        else:
            rate = losses.cosine_rate(fraction, first)
        optimizers.set_rate(self.optimizer, rate)
        self.optimizer.zero_grad()
        self.net.train()
        return rate

    def update(self) -> None:
        """One step along the gradients that have gathered."""
        self.optimizer.step()
        self.average.update(self.net)

    def input(self, image: Tensor, hematoxylin: Tensor) -> Tensor:
        """Darkness, so that the network's zero padding means no stain."""
        return build.darkness(self.config.input, image, hematoxylin)

    @torch.no_grad()
    def judge(self, batch: Batch) -> Losses:
        """Cross-entropy on the clean pixels of held-out tiles: nothing else can judge."""
        logits = self.average.module(self.input(batch.image, batch.hematoxylin))
        loss = losses.cross_entropy(logits, batch.labels["clean"]).item()
        return {"clean": loss, "total": loss}

    @torch.no_grad()
    def predict(self, image: Tensor, hematoxylin: Tensor) -> Prediction:
        """The softmax; `uncertainty` is 1 on the decision boundary and 0 where sure."""
        logits = self.average.module(self.input(image, hematoxylin))
        probability = build.nucleus(logits)
        return Prediction(probability, {"uncertainty": 1 - (2 * probability - 1).abs()})

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


class Learned(Method):
    """What methods share that train one `learner`: how it is judged, predicts and is stored."""

    learner: Learner

    def validate(self, batch: Batch, progress: Progress) -> Losses:
        """Cross-entropy on clean pixels: rough masks cannot judge."""
        return self.learner.judge(batch)

    def predict(self, image: Tensor, hematoxylin: Tensor) -> Prediction:
        """The network's softmax and its `uncertainty`."""
        return self.learner.predict(image, hematoxylin)

    def state_dict(self) -> dict[str, Any]:
        """Network, average and optimiser."""
        return self.learner.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Undo of `state_dict`."""
        self.learner.load_state_dict(state)

    def weights(self) -> dict[str, Tensor]:
        """The network as it predicts."""
        return self.learner.weights()

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Undo of `weights`; training goes on from there too."""
        self.learner.load_weights(weights)
