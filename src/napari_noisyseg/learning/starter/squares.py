"""Squares of tissue turned, mirrored, scaled and stained at random: what the starter trains on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from napari_noisyseg.coarse.appearance import COLOURS, MPP, SIDE, appearance, spots, square_at
from napari_noisyseg.instances import middles
from napari_noisyseg.learning.starter.free import Field
from napari_noisyseg.learning.starter.looks import Random, another_look
from napari_noisyseg.slides import Box

ROOM = 1.7
"""Side of what is cut out over that of a square: the corners of a turned one lie inside."""
SCALES = (0.75, 1.3)
STRENGTH = 5.0
"""How far colours go beyond those seen; chosen by leaving a source out (docs/starter.md)."""
MIX, GAIN, SHIFT = 0.08, 0.1, 0.1
"""Deviations of the matrix that mixes the colours, of their strength and of their zero."""
MISSES = (0, 3, 6, 8, 4, 2)
"""Px by which the clicks of a view miss the middle, at most."""
PART = 0.3
"""Share of views in which not every nucleus is clicked."""

REFUSED = -1
"""In a view's labels: a person said that this is no nucleus."""


@dataclass(frozen=True, slots=True)
class View:
    """One look of a field: planes (4, H, W) half, labels (H, W), clicks (n, 2) and their labels."""

    planes: Tensor
    labels: Tensor
    clicks: NDArray[np.float64]
    serials: NDArray[np.int64]


def views(fields: list[Field], per_field: int, seed: int) -> Iterator[list[View]]:
    """Of each field as it is, and `per_field` - 1 other looks."""
    for number, field in enumerate(fields):
        random = np.random.default_rng((seed, number))
        yield [_view(field, look, random) for look in range(per_field)]


def _view(field: Field, look: int, random: Random) -> View:
    rgb = another_look(field.rgb, random) if look else field.rgb
    middle = middles(field.labels, int(field.labels.max()))
    serials = np.flatnonzero(np.isfinite(middle).all(axis=1)) + 1
    if look and random.random() < PART:
        kept = random.random(len(serials)) < random.uniform(0.3, 1)
        serials = serials[kept] if kept.any() else serials
    by = MISSES[look % len(MISSES)] * np.sqrt(random.random(len(serials)))
    angle = random.uniform(0, 2 * np.pi, len(serials))
    clicks = middle[serials - 1] + by[:, None] * np.stack([np.sin(angle), np.cos(angle)], 1)
    clicks = np.clip(clicks, 0, np.array(field.labels.shape) - 1)
    planes = torch.from_numpy(appearance(rgb, MPP)).half()
    return View(planes, torch.tensor(field.labels), clicks, serials.astype(np.int64))


class Turn:
    """A turn, mirror image and scale: offsets in a new square to offsets in the old, (2, 2)."""

    def __init__(self, random: Random) -> None:
        angle = random.uniform(0, 2 * np.pi)
        scale = np.exp(random.uniform(*np.log(SCALES)))
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / scale
        self.back = turn @ np.diag([1.0, random.choice([-1.0, 1.0])])
        self.there = np.linalg.inv(self.back)


def cut(planes: Tensor, square: Box) -> Tensor:
    """A square of (..., H, W), zero beyond the image."""
    found = torch.zeros((*planes.shape[:-2], *square.shape), dtype=planes.dtype)
    seen = square.intersect(Box(0, 0, *planes.shape[-2:]))
    if not seen.empty:
        found[..., *seen.within(square)] = planes[..., *seen.slices]
    return found


def turned(squares: Tensor, turns: list[Turn], side: int) -> Tensor:
    """The middle of (n, C, S, S), turned, as (n, C, side, side); bilinear."""
    room = squares.shape[-1]
    axis = torch.arange(side) - side // 2
    offsets = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1).float()
    back = torch.from_numpy(np.stack([turn.back for turn in turns])).float()
    source = torch.einsum("nab,hwb->nhwa", back, offsets) + room // 2
    grid = ((source * 2 + 1) / room - 1).flip(-1)
    return F.grid_sample(squares, grid, align_corners=False)


def recoloured(colours: Tensor, strength: float = STRENGTH) -> Tensor:
    """Planes (n, 4, h, w) with the three densities mixed, and all stronger or weaker."""
    n = len(colours)
    mix = torch.eye(3) + torch.randn(n, 3, 3) * MIX * strength
    density = torch.einsum("nab,nbhw->nahw", mix, colours[:, :3])
    both = torch.cat([density, colours[:, 3:]], 1)
    both = both * (1 + torch.randn(n, 2, 1, 1)[:, [0, 0, 0, 1]] * GAIN * strength)
    return both + torch.randn(n, COLOURS, 1, 1) * SHIFT * strength


def around_clicks(
    picked: list[tuple[View, int]], random: Random, strength: float = STRENGTH
) -> tuple[Tensor, Tensor]:
    """Input (n, CHANNELS, SIDE, SIDE) around clicks of views, and the nuclei clicked (n, ...)."""
    room = 2 * int(ROOM * SIDE / 2)
    turns = [Turn(random) for _ in picked]
    parts, spotted = [], np.zeros((len(picked), 2, SIDE, SIDE), np.float32)
    for row, ((view, at), turn) in enumerate(zip(picked, turns, strict=True)):
        square = square_at(view.clicks[at], room)
        nucleus = cut(view.labels, square) == int(view.serials[at])
        parts.append(torch.cat([cut(view.planes, square).float(), nucleus[None].float()]))
        middle = np.array(square.origin) + room // 2
        away = (view.clicks - middle) @ turn.there.T + SIDE // 2
        near = (np.abs(away - SIDE // 2) < SIDE).all(axis=1)
        near[at] = False
        spotted[row] = spots(away[[at]]), spots(away[near])
    squares = turned(torch.stack(parts), turns, SIDE)
    colours = recoloured(squares[:, :COLOURS], strength)
    return torch.cat([colours, torch.from_numpy(spotted)], 1), (squares[:, COLOURS] > 0.5).float()


def anywhere(
    views: list[View], depths: list[Tensor], picked: NDArray[np.intp], side: int, random: Random
) -> tuple[Tensor, Tensor]:
    """Tiles (n, 4, side, side) of views anywhere, and their targets (n, 3, ...): depth, nucleus,
    and where a person said that there is none.
    """
    room = 2 * int(ROOM * side / 2)
    turns, parts = [Turn(random) for _ in picked], []
    for at in picked.tolist():
        view, depth = views[at], depths[at]
        height, width = view.labels.shape
        y, x = (int(random.integers(-room // 3, max(n - room, 0) + room // 3 + 1))
                for n in (height, width))  # fmt: skip
        square = Box(y, x, y + room, x + room)
        nucleus, refused = (view.labels > 0).float(), (view.labels == REFUSED).float()
        planes = torch.stack([depth, nucleus, refused, torch.ones(height, width)])
        parts.append(torch.cat([cut(view.planes, square).float(), cut(planes, square)]))
    squares = turned(torch.stack(parts), turns, side)
    return recoloured(squares[:, :COLOURS]) * (squares[:, -1:] > 0.5), squares[:, COLOURS:-1]
