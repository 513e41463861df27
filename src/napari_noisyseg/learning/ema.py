"""Exponential moving average of a network's weights: the mean teacher, and steadier predictions."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn


class WeightAverage(nn.Module):
    """A copy of `net` that follows it: w' = decay w' + (1 - decay) w; normalisation is copied.

    The first updates follow faster, decay <= (1 + n) / (10 + n) after n updates, so that the random
    start is soon forgotten. `module` is the averaged network, always in evaluation mode.
    """

    def __init__(self, net: nn.Module, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.module = deepcopy(net).eval().requires_grad_(False)
        self.updates = 0

    @torch.no_grad()
    def update(self, net: nn.Module) -> None:
        """One step towards `net`, which has the same shape."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        mine: list[Tensor] = list(self.module.parameters())
        theirs: list[Tensor] = list(net.parameters())
        torch._foreach_lerp_(mine, theirs, 1 - decay)
        for buffer, other in zip(self.module.buffers(), net.buffers(), strict=True):
            buffer.copy_(other)

    def train(self, mode: bool = True) -> WeightAverage:
        """Stays in evaluation mode whatever is asked."""
        return super().train(False)

    def get_extra_state(self) -> int:
        """The number of updates, which sets the pace."""
        return self.updates

    def set_extra_state(self, state: int) -> None:
        """Undo of `get_extra_state`."""
        self.updates = int(state)
