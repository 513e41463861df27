"""A small U-Net that works at half resolution: the networks of the starter."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_noisyseg.coarse.belief import without

WIDTHS = (24, 48, 96, 96)


class HalfUNet(nn.Module):
    """(B, inputs, h, w) to logits (B, outputs, h, w); h and w are multiples of 2 ** len(widths).

    The image is halved by average and by maximum, the logits are brought back bilinearly. With
    `norm` off there is no batch norm and convolutions have biases: what `folded` makes.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        widths: tuple[int, ...] = WIDTHS,
        norm: bool = True,
    ) -> None:
        super().__init__()
        self.inputs, self.outputs, self.widths = inputs, outputs, widths
        self.divisor = 2 ** len(widths)
        self.down = nn.ModuleList(_double(a, b, norm) for a, b in pairwise((2 * inputs, *widths)))
        self.up = nn.ModuleList(_double(a + b, a, norm) for a, b in list(pairwise(widths))[::-1])
        self.head = nn.Conv2d(widths[0], outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the same size as x."""
        x = torch.cat([F.avg_pool2d(x, 2), F.max_pool2d(x, 2)], 1)
        skips: list[Tensor] = []
        for level, block in enumerate(self.down):
            x = block(F.max_pool2d(x, 2) if level else x)
            skips.append(x)
        x = skips.pop()
        for block in self.up:
            x = block(torch.cat([F.interpolate(x, scale_factor=2, mode="nearest"), skips.pop()], 1))
        return F.interpolate(self.head(x), scale_factor=2, mode="bilinear", align_corners=False)


def of_weights(weights: Mapping[str, NDArray[np.float32]]) -> HalfUNet:
    """The network, without batch norm, whose weights these are; in evaluation mode."""
    weights = without(weights)
    shapes = {name: values.shape for name, values in weights.items()}
    levels = len([name for name in shapes if re.fullmatch(r"down\.\d+\.0\.weight", name)])
    widths = tuple(shapes[f"down.{level}.0.weight"][0] for level in range(levels))
    inputs, outputs = shapes["down.0.0.weight"][1] // 2, shapes["head.weight"][0]
    net = HalfUNet(inputs, outputs, widths, norm=False)
    net.load_state_dict({k: torch.from_numpy(np.array(v)) for k, v in weights.items()})
    return net.eval()


def _double(inputs: int, outputs: int, norm: bool) -> nn.Sequential:
    parts: list[nn.Module] = []
    for a in (inputs, outputs):
        parts.append(nn.Conv2d(a, outputs, 3, padding=1, bias=not norm))
        if norm:
            parts.append(nn.BatchNorm2d(outputs))
        parts.append(nn.ReLU(inplace=True))
    return nn.Sequential(*parts)


def folded(net: HalfUNet) -> HalfUNet:
    """The same function without batch norm: each norm is part of the convolution before it."""
    plain = HalfUNet(net.inputs, net.outputs, net.widths, norm=False)
    with torch.no_grad():
        for ours, theirs in (*zip(plain.down, net.down), *zip(plain.up, net.up)):  # noqa: B905
            assert isinstance(ours, nn.Sequential)
            assert isinstance(theirs, nn.Sequential)
            for at, kept in ((0, 0), (3, 2)):
                _fold(theirs[at], theirs[at + 1], ours[kept])
        plain.head.load_state_dict(net.head.state_dict())
    return plain.eval()


def _fold(conv: nn.Module, norm: nn.Module, into: nn.Module) -> None:
    assert isinstance(conv, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    assert isinstance(into, nn.Conv2d)
    assert norm.running_var is not None
    assert norm.running_mean is not None
    assert into.bias is not None
    gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    into.weight.copy_(conv.weight * gain[:, None, None, None])
    into.bias.copy_(norm.bias - norm.running_mean * gain)
