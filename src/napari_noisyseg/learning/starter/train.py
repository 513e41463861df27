"""Trains the starter's two networks, from free data only.

`outline`: the nucleus at a click. `centres`: how deep in a nucleus each pixel lies, and whether it
is nucleus at all. Both see `appearance` at 0.25 µm per pixel.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage as ndi
from torch import Tensor

from napari_noisyseg.coarse.appearance import CHANNELS, COLOURS
from napari_noisyseg.coarse.starter import CENTRES, OUTLINE
from napari_noisyseg.learning.starter.free import Field
from napari_noisyseg.learning.starter.squares import View, anywhere, around_clicks, views
from napari_noisyseg.nets.half import WIDTHS, HalfUNet, folded

BATCH, TILES = 48, 8
TILE = 192
"""Side of the tiles of `centres`, px; as many pixels a step as the squares of `outline`."""
RATE, DECAY = 2e-3, 1e-2
AVERAGE = 0.995
"""Share of the old weights in the running mean that is kept."""
TOLD = 100

Batch = tuple[Tensor, Tensor]
Loss = Callable[[Tensor, Tensor], Tensor]
Say = Callable[[str], object]


def train(
    fields: list[Field],
    names: Sequence[str],
    steps: int | None = None,
    seed: int = 0,
    say: Say = print,
) -> dict[str, HalfUNet]:
    """The networks of these names, batch norm folded in; `steps` of each, or as many as shipped."""
    return {name: _made(RECIPES[name], fields, steps, seed, say) for name in names}


def _made(recipe: Recipe, fields: list[Field], steps: int | None, seed: int, say: Say) -> HalfUNet:
    torch.manual_seed(seed)
    seen = [view for looks in views(fields, recipe.looks, seed) for view in looks]
    say(f"{len(seen)} looks of {len(fields)} fields")
    sources = [field.source for field in fields for _ in range(recipe.looks)]
    net = HalfUNet(recipe.inputs, recipe.outputs, recipe.widths)
    batches = recipe.batches(seen, sources, seed)
    return folded(fit(net, batches, steps or recipe.steps, recipe.loss, say))


def fit(net: HalfUNet, batches: Iterator[Batch], steps: int, loss: Loss, say: Say) -> HalfUNet:
    """AdamW on one cycle; the running mean of the weights, in evaluation mode."""
    net = net.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    mean = copy.deepcopy(net).eval()
    optimiser = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, steps, pct_start=0.1)
    told, began = 0.0, time.monotonic()
    for step, (x, target) in zip(range(1, steps + 1), batches, strict=False):
        found = loss(net(x.contiguous(memory_format=torch.channels_last)), target)
        optimiser.zero_grad()
        found.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        cycle.step()
        _follow(mean, net, min(AVERAGE, step / (step + 9)))
        told += found.item() / TOLD
        if step % TOLD == 0:
            say(f"step {step} of {steps}: loss {told:.4f}, {time.monotonic() - began:.0f} s")
            told = 0.0
    return mean


def _follow(mean: HalfUNet, net: HalfUNet, kept: float) -> None:
    with torch.no_grad():
        for old, new in zip(mean.state_dict().values(), net.state_dict().values(), strict=True):
            old.copy_(old * kept + new * (1 - kept) if old.is_floating_point() else new)


def one_nucleus(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy and soft Dice of each square."""
    return F.binary_cross_entropy_with_logits(logits[:, 0], target) + dice_loss(
        torch.sigmoid(logits[:, 0]), target
    )


HARD = 6.0
"""By how much more a pixel counts of what a person said is no nucleus."""


def both_maps(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of both maps (the depth is a soft target), and soft Dice of the nuclei.

    target: depth, nucleus and, where known, what was refused, which counts `HARD` times more.
    """
    maps, weight = target[:, :2], 1 + HARD * target[:, 2:].sum(1, keepdim=True)
    every = F.binary_cross_entropy_with_logits(logits, maps, reduction="none")
    return (weight * every).mean() + dice_loss(torch.sigmoid(logits[:, 1]), maps[:, 1])


def dice_loss(found: Tensor, target: Tensor) -> Tensor:
    """1 - soft Dice of each (h, w), the mean over the batch; 1 px is added above and below."""
    shared = (found * target).sum((1, 2))
    return (1 - (2 * shared + 1) / (found.sum((1, 2)) + target.sum((1, 2)) + 1)).mean()


# --- batches -------------------------------------------------------------------------------------


def squares(seen: list[View], sources: list[str], seed: int) -> Iterator[Batch]:
    """Squares around clicks, without end; each source as often, in it each click."""
    random = np.random.default_rng((seed, 1))
    clicks = [(view, at) for view in seen for at in range(len(view.clicks))]
    named = [s for view, s in zip(seen, sources, strict=True) for _ in view.clicks]
    share = _even(named)
    while True:
        chosen = random.choice(len(clicks), BATCH, p=share)
        yield around_clicks([clicks[at] for at in chosen.tolist()], random)


def tiles(seen: list[View], sources: list[str], seed: int) -> Iterator[Batch]:
    """Tiles anywhere, without end; each source as often, in it each look of a field."""
    random = np.random.default_rng((seed, 2))
    depths = [torch.from_numpy(depth(view.labels.numpy())) for view in seen]
    share = _even(sources)
    while True:
        chosen = random.choice(len(seen), TILES, p=share)
        yield anywhere(seen, depths, chosen, TILE, random)


def _even(names: list[str]) -> NDArray[np.float64]:
    """Chances by which each name comes up as often as the others."""
    counts = {name: names.count(name) for name in set(names)}
    return np.array([1 / (len(counts) * counts[name]) for name in names])


def depth(labels: NDArray[np.int32]) -> NDArray[np.float32]:
    """Squared distance to the own border over its largest in that nucleus, 0..1, (H, W)."""
    found = np.zeros(labels.shape, np.float32)
    for label, box in enumerate(ndi.find_objects(labels), start=1):
        if box is not None:
            mask = labels[box] == label
            deep = ndi.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1] ** 2
            found[box][mask] = (deep / deep.max())[mask]
    return found


class Recipe(NamedTuple):
    """How one network is made; `looks` of each field are drawn from."""

    inputs: int
    outputs: int
    widths: tuple[int, int, int, int]
    looks: int
    steps: int
    batches: Callable[[list[View], list[str], int], Iterator[Batch]]
    loss: Loss


RECIPES = {
    OUTLINE: Recipe(CHANNELS, 1, WIDTHS, 8, 3000, squares, one_nucleus),
    # narrower, as it is run over whole images
    CENTRES: Recipe(COLOURS, 2, (20, 40, 80, 80), 6, 2500, tiles, both_maps),
}
"""As the shipped weights were made."""
