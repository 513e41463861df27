"""Meta-networks: what reads a doubtful label and corrects it, or says how far to trust it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from napari_noisyseg.method import NUCLEUS, UNKNOWN

Depth = Literal["3x3+1x1", "3x3+3x3+1x1", "3x3+5x5+1x1"]
"""Kernels of the C-Net's layers (MMC, Table IV)."""
Activation = Literal["tanh", "silu"]
"""Smooth ones only: the kinks of ReLU spoil finite differences of the meta gradient."""

_ACTIVATIONS: dict[Activation, type[nn.Module]] = {"tanh": nn.Tanh, "silu": nn.SiLU}


class CorrectionNet(nn.Module):
    """The C-Net g(h, y') of MMC: h (B, channels, h, w) and label (B, h, w) to corrected masks.

    The corrected mask is the probability of nucleus, (B, h, w). identity: size of the logits that
    say at the start what y' says (0: a random start, as a network has by itself); the weights of h
    then start at zero in the last layer, and all of it is learned.
    """

    def __init__(
        self,
        channels: int,
        width: int = 32,
        depth: Depth = "3x3+1x1",
        activation: Activation = "tanh",
        identity: float = 0.0,
    ) -> None:
        super().__init__()
        sides = [int(kernel.partition("x")[0]) for kernel in depth.split("+")]
        widths = [channels + 1, *[width] * (len(sides) - 1), 1]
        convolutions = [
            nn.Conv2d(inputs, outputs, side, padding=side // 2)
            for (inputs, outputs), side in zip(pairwise(widths), sides, strict=True)
        ]
        layers: list[nn.Module] = []
        for convolution in convolutions:
            layers += [convolution, _ACTIVATIONS[activation]()]
        self.layers = nn.Sequential(*layers[:-1])
        if identity:
            _pass_label_on(convolutions, activation, identity)

    def forward(self, h: Tensor, label: Tensor) -> Tensor:
        """g(h, y'); unknown pixels of the label say neither nucleus nor background."""
        logits: Tensor = self.layers(torch.cat([h, signed(label)[:, None].to(h.dtype)], dim=1))
        return torch.sigmoid(logits[:, 0])


class WeightNet(nn.Module):
    """The meta-model of MCPM: loss maps (B, h, w) to weights in 0..1 of every pixel, (B, h, w)."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1), nn.Tanh(),
            nn.Conv2d(width, width, 3, padding=1), nn.Tanh(), nn.Conv2d(width, 1, 1),
        )  # fmt: skip

    def forward(self, loss: Tensor) -> Tensor:
        """The weight of every pixel."""
        weights: Tensor = torch.sigmoid(self.layers(loss[:, None]))[:, 0]
        return weights


def signed(label: Tensor) -> Tensor:
    """States as float: 1 nucleus, -1 background, 0 unknown."""
    sign = 2 * (label == NUCLEUS).float() - 1
    return sign.masked_fill(label == UNKNOWN, 0.0)


@torch.no_grad()
def _pass_label_on(layers: Sequence[nn.Conv2d], activation: Activation, identity: float) -> None:
    """Start where the last layer gives identity * y' and nothing of h; y' is the last input.

    tanh: one channel carries y'. SiLU: two do, since silu(x) - silu(-x) = x.
    """
    carriers = (1.0,) if activation == "tanh" else (1.0, -1.0)
    gain = 2.0 if activation == "tanh" else 1.0
    first, *middle, last = layers
    for i, sign in enumerate(carriers):
        _only(first, i, {first.in_channels - 1: gain * sign})
    for layer in middle:
        for i, sign in enumerate(carriers):
            _only(layer, i, {j: gain * sign * other for j, other in enumerate(carriers)})
    reached = 1.0
    for _ in range(len(layers) - 1) if activation == "tanh" else ():
        reached = torch.tanh(torch.tensor(gain * reached)).item()
    _only(last, 0, {j: identity * sign / reached for j, sign in enumerate(carriers)})


def _only(layer: nn.Conv2d, output: int, weights: dict[int, float]) -> None:
    """Makes an output the weighted sum of some inputs at the same pixel, without a bias."""
    layer.weight[output] = 0
    if layer.bias is not None:
        layer.bias[output] = 0
    y, x = (side // 2 for side in layer.kernel_size)
    for channel, weight in weights.items():
        layer.weight[output, channel, y, x] = weight
