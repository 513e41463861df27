"""The blocks that the networks are made of. Tensors are (B, channels, h, w)."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ConvBlock(nn.Sequential):
    """3x3 convolution, batch norm, ReLU; keeps the size at stride 1, halves it at stride 2."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class DoubleConv(nn.Sequential):
    """Two `ConvBlock`s: the step of the U-Net."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(ConvBlock(inputs, outputs), ConvBlock(outputs, outputs))


class ResidualBlock(nn.Module):
    """The two-layer block of ResNet-18 and -34 (He et al. 2016)."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.first = ConvBlock(inputs, outputs, stride)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            # Every stride-th pixel, then 1x1: the same as a strided 1x1 convolution, whose backward
            # corrupts memory on channels-last tensors of few channels (torch 2.13, CPU).
            self.shortcut = nn.Sequential(
                nn.AvgPool2d(1, stride),
                nn.Conv2d(inputs, outputs, 1, bias=False),
                nn.BatchNorm2d(outputs),
            )

    def forward(self, x: Tensor) -> Tensor:
        """ReLU of the residual and its shortcut."""
        return F.relu(self.norm(self.second(self.first(x))) + self.shortcut(x), inplace=True)


class Up(nn.Module):
    """Doubles the size, joins the skip connection where there is one, and convolves."""

    def __init__(self, inputs: int, skip: int, outputs: int) -> None:
        super().__init__()
        self.conv = DoubleConv(inputs + skip, outputs)

    def forward(self, x: Tensor, skip: Tensor | None = None) -> Tensor:
        """Upsampled to twice the size and convolved, (B, outputs, 2h, 2w)."""
        x = F.interpolate(x, scale_factor=2, mode="nearest")
        joined: Tensor = self.conv(x if skip is None else torch.cat([x, skip], dim=1))
        return joined


class Encoded(NamedTuple):
    """What a network knows before its last `blocks` decoder blocks.

    maps: feature maps (B, channels, h', w') that these blocks take, the deepest last; size: (h, w)
    of the image, which the logits get again; blocks: how many decoder blocks are still to run.
    """

    maps: tuple[Tensor, ...]
    size: tuple[int, int]
    blocks: int


class Decoded(NamedTuple):
    """Logits (B, outputs, h, w) and the feature maps (B, channels, h, w) they are a 1x1 map of."""

    logits: Tensor
    features: Tensor


def filled(x: Tensor, divisor: int) -> Tensor:
    """The same with its sides filled up to multiples of `divisor` by repeating the border."""
    height, width = x.shape[-2:]
    bottom, right = -height % divisor, -width % divisor
    return F.pad(x, (0, right, 0, bottom), mode="replicate") if bottom or right else x


def cut(x: Tensor, size: tuple[int, int]) -> Tensor:
    """The first (h, w) rows and columns of x: undo of `filled`."""
    return x[..., : size[0], : size[1]]


def last(blocks: nn.ModuleList, count: int | None) -> list[nn.Module]:
    """The last `count` of the blocks; all of them where None."""
    return list(blocks) if count is None else list(blocks)[max(len(blocks) - count, 0) :]


def initialise(net: nn.Module) -> None:
    """He initialisation of convolutions, in place; residual branches start at zero.

    A zero last norm lets every residual block start as the identity (Goyal et al. 2017).
    """
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for module in net.modules():
        if isinstance(module, ResidualBlock):
            nn.init.zeros_(module.norm.weight)
