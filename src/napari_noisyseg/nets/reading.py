"""How a network's output is read: what parts its two classes, and which of them is which."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Reading(nn.Module):
    """Which value of a network's output parts the two classes."""

    level: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("level", torch.tensor(0.5))

    def set(self, level: float) -> None:
        """What the newest labels were cut at."""
        self.level.fill_(min(max(level, 1e-3), 1 - 1e-3))

    def forward(self, p: Tensor) -> Tensor:
        """Probability of nucleus whose 0.5 is `level`: log-odds moved by a constant."""
        return (p.logit(eps=1e-6) - self.level.logit()).sigmoid()


@torch.no_grad()
def exchange(head: nn.Conv2d) -> None:
    """Exchange the two classes of a network's last layer, in place."""
    for values in (head.weight, head.bias):
        if values is not None:
            values.copy_(values.flip(0))
