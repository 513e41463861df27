"""U-Net (Ronneberger et al. 2015) with batch norm."""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from napari_noisyseg.nets.blocks import DoubleConv, Up, initialise, padded


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
        return padded(self._forward, x, self.divisor)

    def _forward(self, x: Tensor) -> Tensor:
        skips: list[Tensor] = []
        for block in self.down:
            x = block(F.max_pool2d(x, 2) if skips else x)
            skips.append(x)
        for block, skip in zip(self.up, reversed(skips[:-1]), strict=True):
            x = block(x, skip)
        logits: Tensor = self.head(x)
        return logits
