"""Outlines that learn from a person's decisions in seconds, and only where that helps.

The network at a click goes on from its weights on the nuclei that were accepted or redrawn, turned
and stained at random. Each decision is held out once: the result counts only if what was learned
from the others is nearer to it than before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from napari_noisyseg.coarse.appearance import SIDE, crops, square_at
from napari_noisyseg.learning.starter.looks import Random
from napari_noisyseg.learning.starter.squares import View, around_clicks, cut
from napari_noisyseg.learning.starter.train import dice_loss
from napari_noisyseg.nets.half import HalfUNet, of_weights

FEWEST = 8
"""Decisions from which anything can be learned and held out."""
FOLDS = 2
"""Each decision is held out once, together with every other one in so many."""
STEPS, BATCH = 45, 24
RATE = 4e-4
WAY = 0.6
"""Share of the way from the old weights to the new that is gone: what was known stays known."""
ALIKE, CORRECTED = 0.85, 3.0
"""IoU with its decision below which an outline was corrected; how much more often it comes up."""
COLOURS = 1.0
"""Strength of the recolouring: the stain is this slide's (5 when the starter was trained)."""
BETTER = 0.002
"""IoU by which held-out decisions must be met better."""

Weights = Mapping[str, NDArray[np.float32]]
Pick = tuple[View, int]


@dataclass(frozen=True, slots=True)
class Adapted:
    """Weights that were learned; IoU with held-out decisions before and after."""

    weights: dict[str, NDArray[np.float32]]
    before: float
    after: float

    @property
    def better(self) -> bool:
        """Whether they are to be used."""
        return self.after >= self.before + BETTER


def adapt(weights: Weights, picks: list[Pick], seed: int = 0) -> Adapted:
    """Go on from `weights` on decided nuclei: clicks of views whose labels hold the decisions.

    Raises ValueError with fewer than `FEWEST`.
    """
    if len(picks) < FEWEST:
        raise ValueError(f"{len(picks)} decisions are too few: {FEWEST} at least")
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    met = overlaps(of_weights(weights), picks)
    share = np.where(met < ALIKE, CORRECTED, 1.0)
    fold = random.permutation(len(picks)) % FOLDS
    after = np.zeros(len(picks))
    for out in range(FOLDS):
        tried = _learned(weights, picks, np.where(fold == out, 0, share), random)
        held = np.flatnonzero(fold == out)
        after[held] = overlaps(tried, [picks[at] for at in held.tolist()])
    made = _learned(weights, picks, share, random)
    found = {key: value.numpy() for key, value in made.state_dict().items()}
    return Adapted(found, float(met.mean()), float(after.mean()))


def _learned(
    weights: Weights, picks: list[Pick], share: NDArray[np.float64], random: Random
) -> HalfUNet:
    net = of_weights(weights).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=0.0)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, STEPS, pct_start=0.2)
    for x, target in _batches(picks, share / share.sum(), random):
        logits = net(x.contiguous(memory_format=torch.channels_last))[:, 0]
        loss = F.binary_cross_entropy_with_logits(logits, target)
        loss = loss + dice_loss(torch.sigmoid(logits), target)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        cycle.step()
    made: HalfUNet = net.eval()
    old = of_weights(weights).state_dict()
    made.load_state_dict({k: old[k] + WAY * (v - old[k]) for k, v in made.state_dict().items()})
    return made


def _batches(
    picks: list[Pick], share: NDArray[np.float64], random: Random
) -> Iterator[tuple[Tensor, Tensor]]:
    for _ in range(STEPS):
        chosen = random.choice(len(picks), BATCH, p=share)
        yield around_clicks([picks[at] for at in chosen.tolist()], random, COLOURS)


def masks(net: HalfUNet, picks: list[Pick]) -> NDArray[np.bool_]:
    """What the network outlines at each click, (n, SIDE, SIDE)."""
    found = np.zeros((len(picks), SIDE, SIDE), bool)
    rows_of: dict[int, list[int]] = {}
    for row, (view, _) in enumerate(picks):
        rows_of.setdefault(id(view), []).append(row)
    for rows in rows_of.values():
        view = picks[rows[0]][0]
        chosen = np.array([picks[row][1] for row in rows], np.intp)
        squares = torch.from_numpy(crops(view.planes.float().numpy(), view.clicks, chosen))
        with torch.inference_mode():
            found[rows] = torch.cat([net(x)[:, 0] > 0 for x in torch.split(squares, 64)]).numpy()
    return found


def overlaps(net: HalfUNet, picks: list[Pick]) -> NDArray[np.float64]:
    """IoU of each decided nucleus and what the network outlines at its click, (n,)."""
    found = []
    for (view, at), mask in zip(picks, masks(net, picks), strict=True):
        truth = (cut(view.labels, square_at(view.clicks[at])) == int(view.serials[at])).numpy()
        found.append((mask & truth).sum() / max((mask | truth).sum(), 1))
    return np.array(found)
