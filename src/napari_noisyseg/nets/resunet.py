"""ResUNet: a U-Net whose encoder is a ResNet (He et al. 2016), without pretraining."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from napari_noisyseg.nets.blocks import (
    ConvBlock,
    Decoded,
    Encoded,
    ResidualBlock,
    Up,
    cut,
    filled,
    initialise,
    last,
)

Stem = Literal["stride4", "stride2", "stride1"]
RESNET34 = (3, 4, 6, 3)


class ResUNet(nn.Module):
    """(B, inputs, h, w) to logits (B, outputs, h, w) of any size.

    blocks: residual blocks at each scale, (3, 4, 6, 3) is ResNet-34; width: channels at the first,
    doubled at each further one. stem: "stride4" is ResNet's own (7x7 at stride 2, then pooling);
    "stride2" and "stride1" are one 3x3 convolution that loses less of a small nucleus.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        width: int = 64,
        blocks: Sequence[int] = RESNET34,
        stem: Stem = "stride4",
    ) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(len(blocks))]
        self.pools = stem == "stride4"
        self.stem = _stem(inputs, width, stem)
        self.stages = nn.ModuleList(
            _stage(widths[max(level - 1, 0)], widths[level], count, 2 if level else 1)
            for level, count in enumerate(blocks)
        )
        skips = widths[-2::-1] + ([width] if self.pools else [])
        last = [] if stem == "stride1" else [max(width // 4, 8)]
        channels = [widths[-1], *skips[: len(widths) - 1]]
        channels += [max(width // 2, 8)] if self.pools else []
        channels += last
        skips += [0] * len(last)
        self.up = nn.ModuleList(
            Up(channels[i], skips[i], channels[i + 1]) for i in range(len(channels) - 1)
        )
        self.divisor = 2 ** (len(self.up))
        self.head = nn.Conv2d(channels[-1], outputs, 1)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the same size as x."""
        return self.decode(self.encode(x)).logits

    def encode(self, x: Tensor, blocks: int | None = None) -> Encoded:
        """All but the last `blocks` decoder blocks (all of them by default) and the head."""
        size = (x.shape[-2], x.shape[-1])
        x = self.first(x)
        skips = [x]
        x = F.max_pool2d(x, 3, 2, padding=1) if self.pools else x
        for stage in self.stages if self.pools else self.stages[1:]:
            x = stage(x)
            skips.append(x)
        whole = Encoded(tuple(skips), size, len(self.up))
        return whole if blocks is None else self._decode(whole, blocks)

    def first(self, x: Tensor) -> Tensor:
        """The first of the maps of `encode`."""
        x = filled(x, self.divisor)
        for module in self.entry():
            x = module(x)
        return x

    def entry(self) -> list[nn.Module]:
        """The modules of `first`."""
        return [self.stem] if self.pools else [self.stem, self.stages[0]]

    def decode(self, encoded: Encoded) -> Decoded:
        """The decoder blocks that are left, and the head."""
        features = self._decode(encoded, 0).maps[-1]
        return Decoded(cut(self.head(features), encoded.size), cut(features, encoded.size))

    def tail(self, blocks: int | None = None) -> list[nn.Module]:
        """The modules of `decode` when `blocks` decoder blocks are left."""
        return [*last(self.up, blocks), self.head]

    def _decode(self, encoded: Encoded, left: int) -> Encoded:
        *skips, x = encoded.maps
        done = min(left, encoded.blocks)
        for block in last(self.up, encoded.blocks)[: encoded.blocks - done]:
            x = block(x, skips.pop() if skips else None)
        return Encoded((*skips, x), encoded.size, done)


def _stem(inputs: int, width: int, stem: Stem) -> nn.Module:
    if stem == "stride4":
        return nn.Sequential(
            nn.Conv2d(inputs, width, 7, 2, padding=3, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        )
    return ConvBlock(inputs, width, stride=2 if stem == "stride2" else 1)


def _stage(inputs: int, outputs: int, count: int, stride: int) -> nn.Sequential:
    first = ResidualBlock(inputs, outputs, stride)
    return nn.Sequential(first, *(ResidualBlock(outputs, outputs) for _ in range(count - 1)))
