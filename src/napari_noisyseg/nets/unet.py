"""U-Net (Ronneberger et al. 2015) with batch norm."""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from napari_noisyseg.nets.blocks import (
    Decoded,
    DoubleConv,
    Encoded,
    Up,
    cut,
    filled,
    initialise,
    last,
)


class UNet(nn.Module):
    """(B, inputs, h, w) to (B, outputs, h, w) of any size; `width`, 2 `width`, ... channels."""

    def __init__(self, inputs: int, outputs: int, width: int = 64, depth: int = 4) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(depth + 1)]
        self.divisor = 2**depth
        self.down = nn.ModuleList(DoubleConv(a, b) for a, b in pairwise([inputs, *widths]))
        self.up = nn.ModuleList(Up(b, a, a) for a, b in reversed(list(pairwise(widths))))
        self.head = nn.Conv2d(width, outputs, 1)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the same size as x."""
        return self.decode(self.encode(x)).logits

    def encode(self, x: Tensor, blocks: int | None = None) -> Encoded:
        """All but the last `blocks` decoder blocks (all of them by default) and the head."""
        size = (x.shape[-2], x.shape[-1])
        x = self.first(x)
        skips = [x]
        for block in self.down[1:]:
            x = block(F.max_pool2d(x, 2))
            skips.append(x)
        whole = Encoded(tuple(skips), size, len(self.up))
        return whole if blocks is None else self._decode(whole, blocks)

    def first(self, x: Tensor) -> Tensor:
        """The first of the maps of `encode`."""
        first: Tensor = self.down[0](filled(x, self.divisor))
        return first

    def entry(self) -> list[nn.Module]:
        """The modules of `first`."""
        return [self.down[0]]

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
            x = block(x, skips.pop())
        return Encoded((*skips, x), encoded.size, done)
