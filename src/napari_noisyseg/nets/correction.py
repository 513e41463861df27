"""Meta-networks: what reads a doubtful label and corrects it, or says how far to trust it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from napari_noisyseg.method import NUCLEUS, UNKNOWN

Depth = Literal["3x3+1x1", "3x3+3x3+1x1", "3x3+5x5+1x1"]
"""Kernels of the C-Net's layers (MMC, Table IV)."""
Activation = Literal["tanh", "silu"]
"""Smooth ones only: the kinks of ReLU spoil finite differences of the meta gradient."""

_ACTIVATIONS: dict[Activation, type[nn.Module]] = {"tanh": nn.Tanh, "silu": nn.SiLU}


class Signal(NamedTuple):
    """A weighted sum of a network's inputs, by channel, and what it adds to the first output."""

    inputs: dict[int, float]
    amount: float


class Start(NamedTuple):
    """What the first corrected mask follows: logits of so much for the label and the prediction.

    Both 0: a random start, as a network has by itself. Else nothing else counts at first, and all
    of it is learned.
    """

    label: float = 0.0
    prediction: float = 0.0


NO_START = Start()


class CorrectionNet(nn.Module):
    """The C-Net g(h, y') of MMC: h (B, channels, h, w) and label (B, h, w) to corrected masks.

    The corrected mask is the probability of nucleus, (B, h, w). h ends with the logits of
    background and nucleus where `start` follows the prediction. limit: largest logit either way
    (0: none), so that no label gets so sure that gradients no longer change it.
    """

    def __init__(
        self,
        channels: int,
        width: int = 32,
        depth: Depth = "3x3+1x1",
        activation: Activation = "tanh",
        start: Start = NO_START,
        limit: float = 0.0,
    ) -> None:
        super().__init__()
        self.limit = limit
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
        if any(start):
            label = Signal({channels: 2.0}, start.label)
            prediction = Signal({channels - 1: 0.5, channels - 2: -0.5}, start.prediction)
            _begin_with([s for s in (label, prediction) if s.amount], convolutions, activation)

    def forward(self, h: Tensor, label: Tensor) -> Tensor:
        """g(h, y'); unknown pixels of the label say neither nucleus nor background."""
        logits: Tensor = self.layers(torch.cat([h, signed(label)[:, None].to(h.dtype)], dim=1))
        if self.limit:
            logits = self.limit * torch.tanh(logits / self.limit)
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
def _begin_with(
    signals: Sequence[Signal], layers: Sequence[nn.Conv2d], activation: Activation
) -> None:
    """Start where the last layer gives the sum of the signals and nothing else.

    tanh: one channel carries a signal, squashed (of logits z: tanh(z / 2) = 2p - 1). SiLU: two do,
    since silu(x) - silu(-x) = x.
    """
    signs = (1.0,) if activation == "tanh" else (1.0, -1.0)
    first, *middle, last = layers
    output: dict[int, float] = {}
    for n, signal in enumerate(signals):
        carriers = {n * len(signs) + i: sign for i, sign in enumerate(signs)}
        for channel, sign in carriers.items():
            _only(first, channel, {c: sign * w for c, w in signal.inputs.items()})
            for layer in middle:
                _only(layer, channel, {c: sign * other for c, other in carriers.items()})
        output |= {c: signal.amount * sign for c, sign in carriers.items()}
    _only(last, 0, output)


def _only(layer: nn.Conv2d, output: int, weights: dict[int, float]) -> None:
    """Makes an output the weighted sum of some inputs at the same pixel, without a bias."""
    layer.weight[output] = 0
    if layer.bias is not None:
        layer.bias[output] = 0
    y, x = (side // 2 for side in layer.kernel_size)
    for channel, weight in weights.items():
        layer.weight[output, channel, y, x] = weight
