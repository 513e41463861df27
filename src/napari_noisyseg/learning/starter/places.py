"""Where nuclei lie, learned from fields in which every nucleus is marked.

The network of the centres goes on from its weights on tiles of these fields, turned, mirrored,
scaled and stained at random; what a person settled stands as it is, and the other nuclei are as
the clicks' network outlines them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from napari_noisyseg.learning.starter.adapt import Weights
from napari_noisyseg.learning.starter.looks import Random
from napari_noisyseg.learning.starter.squares import View, anywhere
from napari_noisyseg.learning.starter.train import TILE, TILES, both_maps, depth
from napari_noisyseg.nets.half import of_weights

STEPS = 480
"""Less than two minutes of two cores, from six fields of MoNuSeg (11 to 16): AJI on the next six
0.543, 0.563 after 120 steps, 0.575 after 480."""
RATE = 1e-3


def learn(weights: Weights, views: list[View], steps: int = STEPS, seed: int = 0) -> Weights:
    """Weights of the network of the centres after so many steps on whole, marked fields.

    views: of each field one look or several; their labels hold every nucleus.
    """
    torch.manual_seed(seed)
    net = of_weights(weights).train()
    optimiser = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=0.0)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, steps, pct_start=0.1)
    for x, target in _tiles(views, steps, np.random.default_rng(seed)):
        loss = both_maps(net(x), target)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        cycle.step()
    return {key: value.numpy() for key, value in net.eval().state_dict().items()}


def _tiles(views: list[View], steps: int, random: Random) -> Iterator[tuple[Tensor, Tensor]]:
    depths = [torch.from_numpy(depth(view.labels.numpy())) for view in views]
    area = np.array([view.labels.numel() for view in views], np.float64)
    for _ in range(steps):
        chosen = random.choice(len(views), TILES, p=area / area.sum())
        yield anywhere(views, depths, chosen, TILE, random)
