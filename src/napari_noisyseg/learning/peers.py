"""Two networks of the same shape and different seeds that watch each other's losses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from napari_noisyseg import losses
from napari_noisyseg.learning import optimizers, presets
from napari_noisyseg.learning.averaged import Averaged
from napari_noisyseg.learning.ema import WeightAverage
from napari_noisyseg.learning.settings.stain import StainConfig
from napari_noisyseg.method import Departures, Method, Prediction, Preset
from napari_noisyseg.nets import build
from napari_noisyseg.nets.build import Encoder
from napari_noisyseg.nets.resunet import Stem
from napari_noisyseg.nets.tiling import in_windows
from napari_noisyseg.plans import SamplingPlan


class PeerConfig(StainConfig):
    """Networks and training of Li et al. 2021 (superpixels), shared by its comparators."""

    epochs: Annotated[int, Field(ge=1, le=100_000)] = 200
    """longest training; a time budget plans its own number instead"""
    batch_size: Annotated[int, Field(ge=1, le=256)] = 32
    """tiles per update"""
    tile: Annotated[int, Field(ge=32, le=2048)] = 128
    """side of the training tiles, in working pixels"""
    tile_overlap: Annotated[int, Field(ge=0, le=2047)] = 64
    """overlap of neighbouring training tiles, in working pixels (not in the paper)"""
    crop: Annotated[int, Field(ge=32, le=2048)] = 128
    """side of the random crop that an update sees, in working pixels"""
    hold_out: bool = False
    """keep a tenth of the tiles to choose the best weights (ours); rough labels choose badly"""
    input: Literal["rgb", "hematoxylin"] = "rgb"
    """what the networks see: the colours, or the hematoxylin component alone"""
    net: Literal["unet", "resunet"] = "unet"
    """shape of both networks (the paper's is nnU-Net, a plain U-Net)"""
    width: Annotated[int, Field(ge=4, le=256)] = 32
    """channels of the networks at their first scale"""
    encoder: Encoder = "3-4-6-3"
    """residual blocks at each scale of a ResUNet: 3-4-6-3 is ResNet-34"""
    stem: Stem = "stride4"
    """how the first layers of a ResUNet shrink the image; stride4 is ResNet's own"""
    optimizer: Literal["sgd", "adam"] = "sgd"
    """rule of the updates (adam: ours)"""
    lr: Annotated[float, Field(gt=0, le=1)] = 0.005
    """first learning rate"""
    lr_schedule: Literal["constant", "cosine"] = "constant"
    """learning rate: as it is, or a cosine (ours)"""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.99
    """momentum of SGD (published; not in the paper)"""
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 1e-4
    """weight decay (published; not in the paper)"""
    average_weights: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """decay of the moving average of weights that predicts (ours); 0: the weights as they are"""
    predict_by: Literal["first", "both"] = "first"
    """which network predicts: one of them, as they become much alike, or their mean (ours)"""
    noise_rate: Annotated[float, Field(ge=0, le=0.9)] = 0.0
    """share of wrong pixels in rough labels, known in the papers; 0: estimated, from clean pixels
    where these overlap with rough ones, else by confident learning after the warm-up (ours)"""
    warmup: Annotated[float, Field(ge=0, le=1)] = 0.025
    """first share of the schedule, in which every pixel is kept (published: 5 of 200 epochs)"""
    per_class: bool = False
    """select nuclei and background apart (published), as many wrong pixels in one as in the other
    (ours; published: rates known for each class)"""

    @classmethod
    def departures(cls) -> dict[Preset, Departures]:
        """What is not the paper's, and why: see `learning.presets`."""
        return presets.of("peers")

    def sampling(self) -> SamplingPlan:
        """Tiles, of which few or none are held out."""
        return replace(super().sampling(), hold_out=self.hold_out)


class Peers(Averaged):
    """Networks a and b, one optimiser for both, and the averages of their weights."""

    def __init__(self, config: PeerConfig, device: str, seed: int) -> None:
        self.config = config
        make = partial(build.segmenter, config)
        self.nets = nn.ModuleDict(
            {name: build.seeded(make, device, 2 * seed + k) for k, name in enumerate("ab")}
        )
        self.averages = {k: WeightAverage(self.nets[k], config.average_weights) for k in "ab"}
        self.optimizer = optimizers.of_settings(config, self.nets.parameters())

    def begin(self, fraction: float) -> None:
        """Train mode, no gradients, and the learning rate at N / N_max."""
        rate = self.config.lr
        if self.config.lr_schedule == "cosine":
            rate = losses.cosine_rate(fraction, rate)
        optimizers.set_rate(self.optimizer, rate)
        self.optimizer.zero_grad()
        self.nets.train()

    def update(self, loss: Tensor) -> None:
        """Backward and one step of both networks."""
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        for name, average in self.averages.items():
            average.update(self.nets[name])

    def logits(self, image: Tensor, hematoxylin: Tensor) -> tuple[Tensor, Tensor]:
        """Of both networks as they train, (B, 2, h, w)."""
        x = build.darkness(self.config.input, image, hematoxylin)
        return self.nets["a"](x), self.nets["b"](x)

    @torch.no_grad()
    def judged(self, image: Tensor, hematoxylin: Tensor) -> tuple[Tensor, Tensor]:
        """Probabilities (B, 2, h, w) of both networks as they predict."""
        x = build.darkness(self.config.input, image, hematoxylin)
        a, b = (self.averages[k].module(x).softmax(dim=1) for k in "ab")
        return a, b

    @torch.no_grad()
    def whole(self, image: Tensor, hematoxylin: Tensor) -> tuple[Tensor, Tensor]:
        """`judged` of whole images, in windows where they are large."""
        x = torch.cat([image, hematoxylin], dim=1)
        both = in_windows(lambda part: torch.cat(self.judged(part[:, :3], part[:, 3:]), dim=1), x)
        return both[:, :2], both[:, 2:]

    def predict(self, image: Tensor, hematoxylin: Tensor) -> Prediction:
        """One network's probability or the mean; `uncertainty` is how far they are apart."""
        a, b = (p[:, 1] for p in self.judged(image, hematoxylin))
        mean = (a + b) / 2 if self.config.predict_by == "both" else a
        return Prediction(mean, {"uncertainty": (a - b).abs()})


class Paired(Method):
    """A method that trains two `peers`: how they predict."""

    peers: Peers

    def predict(self, image: Tensor, hematoxylin: Tensor) -> Prediction:
        """The probability, and `uncertainty`: how far the networks are apart."""
        return self.peers.predict(image, hematoxylin)

    def weights(self) -> dict[str, Tensor]:
        """The networks as they predict."""
        return self.peers.weights()

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Undo of `weights`; training goes on from there too."""
        self.peers.load_weights(weights)
