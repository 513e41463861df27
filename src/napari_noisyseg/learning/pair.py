"""SC-Net's networks: two that segment, S_a and S_b, each followed by one that colours, C.

And what each of them is shown: its half of a batch, and its coarse label.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_noisyseg.learning import optimizers
from napari_noisyseg.learning.averaged import Averaged
from napari_noisyseg.learning.ema import WeightAverage
from napari_noisyseg.learning.settings.scnet import SCNetConfig
from napari_noisyseg.method import UNKNOWN, Batch
from napari_noisyseg.nets import build
from napari_noisyseg.nets.colorization import ColorHead, Colorization
from napari_noisyseg.nets.resunet import ResUNet
from napari_noisyseg.nets.tiling import in_windows
from napari_noisyseg.nets.unet import UNet


class Side(NamedTuple):
    """One SC-Net of the pair: networks S and C, its half of the tiles, its pseudo label's plane."""

    segment: ResUNet | UNet
    color: ColorHead | Colorization
    half: int
    pseudo: str


class Pair(Averaged):
    """S_a and S_b, `a` and `b` of `nets`, the C of each, one optimiser, and averages of weights."""

    def __init__(self, config: SCNetConfig, device: str, seed: int) -> None:
        self.config, self.device = config, device
        c = config
        self.nets = _nets(c, device, seed)
        averaged = ("a", "b") if c.average_weights else ()
        self.averages = {k: WeightAverage(self.nets[k], c.average_weights) for k in averaged}
        self.optimizer = torch.optim.Adam(
            self.nets.parameters(), c.lr, betas=(0.9, c.adam_beta2), weight_decay=c.weight_decay
        )
        self.sides = (_side(self.nets, "a", 0), _side(self.nets, "b", 1))

    def begin(self, fraction: float) -> None:
        """Train mode, and the learning rate at N / N_max."""
        optimizers.set_rate(self.optimizer, optimizers.rate_of(self.config, fraction))
        self.nets.train()

    def update(self, loss: Tensor) -> None:
        """One step of all networks down the loss; the averages follow."""
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        for name, average in self.averages.items():
            average.update(self.nets[name])

    def predictors(self) -> tuple[nn.Module, nn.Module]:
        """S_a and S_b in evaluation mode, with averaged weights where these are kept."""
        nets = self.deployed()
        return nets["a"].eval(), nets["b"].eval()

    def deployed(self) -> dict[str, nn.Module]:
        """S_a and S_b, with averaged weights where these are kept."""
        if not self.averages:
            return {"a": self.nets["a"], "b": self.nets["b"]}
        return super().deployed()

    @torch.no_grad()
    def whole(self, net: nn.Module, hematoxylin: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probability of nucleus of a whole image (1, H, W) by one of the networks, (H, W)."""
        x = torch.as_tensor(hematoxylin, device=self.device)[None]
        probability = in_windows(lambda part: build.nucleus(net(stain(part)))[:, None], x)
        return cast("NDArray[np.float32]", probability[0, 0].float().cpu().numpy())


def half_of(batch: Batch, half: int) -> Batch:
    """The tiles of one half; all of them where the batch has none, so that no network idles."""
    rows = batch.half == half
    if not rows.any():
        return batch
    return batch.mapped(lambda values: values[rows])


def joined(first: Tensor, second: Tensor) -> Tensor:
    """What both labels say, or the one that speaks; UNKNOWN where they contradict each other."""
    found = torch.where(first == UNKNOWN, second, first)
    both = (first != UNKNOWN) & (second != UNKNOWN)
    return found.masked_fill(both & (first != second), UNKNOWN)


def stain(hematoxylin: Tensor) -> Tensor:
    """1 - x_h: the same information, with the networks' zero padding meaning no stain."""
    return build.channels_last(1 - hematoxylin)


def _nets(c: SCNetConfig, device: str, seed: int) -> nn.ModuleDict:
    """S_a and S_b, `a` and `b`, and the C of each, all random by `seed` alone."""
    resunet: Callable[[], nn.Module] = partial(build.resunet, 1, c.width, c.encoder, c.stem)
    second: Callable[[], nn.Module] = (
        partial(build.unet, 1, c.width) if c.second_net == "unet" else resunet
    )
    segment = [build.seeded(make, device, 4 * seed + i) for i, make in enumerate((resunet, second))]
    color = [
        build.seeded(partial(_color, c, net), device, 4 * seed + 2 + i)
        for i, net in enumerate(segment)
    ]
    return nn.ModuleDict(dict(zip(("a", "b", "color_a", "color_b"), segment + color, strict=True)))


def _color(c: SCNetConfig, segment: nn.Module) -> nn.Module:
    """The network C that follows a segmentation network."""
    if c.decoder == "shared" and isinstance(segment, ResUNet):
        return ColorHead(segment.head.in_channels)
    return Colorization(c.color_width, c.color_depth)


def _side(nets: nn.ModuleDict, name: str, half: int) -> Side:
    """Network `name`, a or b, with its C, its half of the tiles and its pseudo label's plane."""
    segment = cast("ResUNet | UNet", nets[name])
    return Side(
        segment, cast("ColorHead | Colorization", nets[f"color_{name}"]), half, f"pseudo_{name}"
    )
