"""UNet++ (Zhou et al. 2018) with batch norm: a U-Net whose skips are themselves decoded."""

from __future__ import annotations

from itertools import pairwise

import torch
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


class UNetPP(nn.Module):
    """(B, inputs, h, w) to (B, outputs, h, w) of any size; `width`, 2 `width`, ... channels.

    Node X(i, j) at scale i joins all X(i, 0..j-1) with the upsampled X(i+1, j-1); a column of equal
    j is one decoder block. every_depth: the logits are read from X(0, 1..depth) together, as with
    deep supervision, else from the deepest, X(0, depth), alone.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        width: int = 32,
        depth: int = 4,
        every_depth: bool = False,
    ) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(depth + 1)]
        self.divisor, self.every_depth = 2**depth, every_depth
        self.down = nn.ModuleList(DoubleConv(a, b) for a, b in pairwise([inputs, *widths]))
        scales = list(pairwise(widths))
        self.up = nn.ModuleList(
            nn.ModuleList(Up(b, j * a, a) for a, b in scales[: depth + 1 - j])
            for j in range(1, depth + 1)
        )
        self.head = nn.Conv2d(width * (depth if every_depth else 1), outputs, 1)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the same size as x."""
        return self.decode(self.encode(x)).logits

    def encode(self, x: Tensor, blocks: int | None = None) -> Encoded:
        """All but the last `blocks` columns (all of them by default) and the head."""
        size = (x.shape[-2], x.shape[-1])
        x = self.first(x)
        nodes = [x]
        for block in self.down[1:]:
            x = block(F.max_pool2d(x, 2))
            nodes.append(x)
        whole = Encoded(tuple(nodes), size, len(self.up))
        return whole if blocks is None else self._decode(whole, blocks)

    def first(self, x: Tensor) -> Tensor:
        """The first of the maps of `encode`."""
        first: Tensor = self.down[0](filled(x, self.divisor))
        return first

    def entry(self) -> list[nn.Module]:
        """The modules of `first`."""
        return [self.down[0]]

    def decode(self, encoded: Encoded) -> Decoded:
        """The columns that are left, and the head."""
        first_scale = self._decode(encoded, 0).maps
        features = torch.cat(first_scale[1:], dim=1) if self.every_depth else first_scale[-1]
        return Decoded(cut(self.head(features), encoded.size), cut(features, encoded.size))

    def tail(self, blocks: int | None = None) -> list[nn.Module]:
        """The modules of `decode` when `blocks` columns are left."""
        return [*last(self.up, blocks), self.head]

    def _decode(self, encoded: Encoded, left: int) -> Encoded:
        done, each = min(left, encoded.blocks), len(self.up) - encoded.blocks + 1
        rows = [list(encoded.maps[i : i + each]) for i in range(0, len(encoded.maps), each)]
        for column in last(self.up, encoded.blocks)[: encoded.blocks - done]:
            rows = _next_column(column, rows)
        return Encoded(tuple(node for row in rows for node in row), encoded.size, done)


def _next_column(column: nn.Module, rows: list[list[Tensor]]) -> list[list[Tensor]]:
    """Each scale's nodes X(i, 0..j-1) with X(i, j) added; the deepest scale has no further one."""
    assert isinstance(column, nn.ModuleList)
    return [
        [*row, block(deeper[-1], torch.cat(row, dim=1))]
        for block, (row, deeper) in zip(column, pairwise(rows), strict=True)
    ]
