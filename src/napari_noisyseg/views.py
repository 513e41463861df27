"""Invertible geometric views of a batch: augmentation and consistency between views share them.

A view theta is float (n, 2, 3) = [M | t], one affine map per sample that says where each pixel of
the view is looked up: p = M q + t, with q and p as (x, y) in units of half the shorter side of the
input, from its centre, y downwards. Rotations are therefore true ones on oblong tiles too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor


def random_views(
    n: int,
    generator: torch.Generator,
    scale: tuple[float, float] = (0.8, 1.25),
    rotation: float = 180.0,
    shear: float = 0.0,
    shift: float = 0.0,
) -> Tensor:
    """Random views theta (n, 2, 3), on the generator's device.

    scale: range of the magnification (2 shows things twice as large), log-uniform; rotation: up to
    so many degrees either way, and 0 leaves quarter turns; shear: up to this tangent; shift: up to
    this many half sides along each axis. Half of the views are mirrored.
    """
    device = generator.device

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(n, generator=generator, device=device) * (high - low) + low

    zoom = uniform(math.log(scale[0]), math.log(scale[1])).exp()
    turns = torch.randint(4, (n,), generator=generator, device=device) * (math.pi / 2)
    angle = turns + uniform(-math.radians(rotation), math.radians(rotation))
    mirror = torch.randint(2, (n,), generator=generator, device=device) * 2.0 - 1
    slant = uniform(-shear, shear)
    cos, sin = angle.cos() / zoom, angle.sin() / zoom
    rows = [cos * mirror, cos * slant - sin, sin * mirror, sin * slant + cos]
    matrix = torch.stack(rows, dim=1).reshape(n, 2, 2)
    offset = torch.stack([uniform(-shift, shift), uniform(-shift, shift)], dim=1)
    return torch.cat([matrix, offset[:, :, None]], dim=2)


def identity(n: int) -> Tensor:
    """Views (n, 2, 3) that change nothing."""
    return torch.eye(2, 3).repeat(n, 1, 1)


def zoomed(factors: Sequence[float]) -> Tensor:
    """Views (n, 2, 3) that show things so many times as large, around the centre."""
    scale = 1 / torch.tensor(factors, dtype=torch.float32)
    return identity(len(factors)) * scale[:, None, None]


def mirrored(axes: Sequence[tuple[bool, bool]]) -> Tensor:
    """Views (n, 2, 3) mirrored along (y, x)."""
    signs = torch.tensor([[-1.0 if x else 1.0, -1.0 if y else 1.0] for y, x in axes])
    return identity(len(axes)) * signs.reshape(-1, 2, 1)


FOURTH = 4
"""the view of `several` that has the zoom given"""


def several(zoom: float, enlarged: int, reduced: int, flips: int) -> Tensor:
    """The input as it is and Q views of it, theta (Q + 1, 2, 3) (MLB-Seg Eq. 10).

    The views of a smaller Q are among those of a larger one: the fourth enlarged one has `zoom`,
    the fourth reduced one its inverse. flips: how many of left to right, top to bottom, both.
    """
    factors = [zoom ** ((k + 1) / FOURTH) for k in range(enlarged)]
    factors += [zoom ** (-(k + 1) / FOURTH) for k in range(reduced)]
    axes = [(False, True), (True, False), (True, True)][:flips]
    return torch.cat([zoomed([1.0, *factors]), mirrored(axes)])


def inverse(theta: Tensor) -> Tensor:
    """The views that undo theta: p = M q + t gives q = M^-1 p - M^-1 t."""
    matrix = torch.linalg.inv(theta[:, :, :2])
    return torch.cat([matrix, -matrix @ theta[:, :, 2:]], dim=2)


def composed(inner: Tensor, outer: Tensor) -> Tensor:
    """The views that look a pixel up by `inner`, and what that gives by `outer`.

    apply(composed(b, a), x) is apply(b, apply(a, x)), with one interpolation instead of two.
    """
    matrix = outer[:, :, :2] @ inner[:, :, :2]
    shift = outer[:, :, :2] @ inner[:, :, 2:] + outer[:, :, 2:]
    return torch.cat([matrix, shift], dim=2)


def inside(theta: Tensor, size: tuple[int, int]) -> Tensor:
    """Which pixels of the views lie in an input of (h, w), bool (n, h, w)."""
    return (_grid(theta, size, size).abs() <= 1).all(dim=-1)


def apply(
    theta: Tensor,
    x: Tensor,
    mode: Literal["bilinear", "nearest"] = "bilinear",
    fill: float | Literal["reflect"] = 0.0,
    size: tuple[int, int] | None = None,
) -> Tensor:
    """The views of x, (n, channels, h, w) or (n, h, w), at the scale of x: (..., size or (h, w)).

    Integers and booleans come back as they went in (use mode="nearest" for labels). What lies
    outside x is `fill`, or x mirrored outwards. The centre of the view is the centre of x moved by
    theta's shift.
    """
    planes = x[:, None] if x.dim() == 3 else x
    values = planes if planes.is_floating_point() else planes.float()
    grid = _grid(theta.to(values), planes.shape[-2:], size or planes.shape[-2:])
    padding = "reflection" if fill == "reflect" else "border"
    seen = F.grid_sample(values, grid, mode, padding_mode=padding, align_corners=False)
    if not isinstance(fill, str):
        seen = seen.masked_fill((grid.abs() > 1).any(dim=-1)[:, None], fill)
    seen = seen.to(x.dtype)
    return seen[:, 0] if x.dim() == 3 else seen


def ensemble(seen: Tensor, theta: Tensor) -> Tensor:
    """Mean of predictions that were made in several views, brought back (MLB-Seg Eq. 10).

    seen: (views, B, h, w), each in its own view; theta: (views, 2, 3). A pixel that a view does not
    show is left out of its mean; at least one view must show it.
    """
    total, shown = torch.zeros_like(seen[0]), torch.zeros_like(seen[0])
    for view, back in zip(seen, inverse(theta), strict=True):
        if torch.equal(back.cpu(), identity(1)[0]):
            total, shown = total + view, shown + 1
            continue
        total = total + apply(back.expand(len(view), 2, 3), view)
        shown = shown + inside(back[None], (view.shape[-2], view.shape[-1])).to(view)
    return total / shown


def disagreement(seen: Tensor, theta: Tensor, mask: Tensor, both: bool = True) -> Tensor:
    """Mean squared difference over all pairs q < v of views, seen as in q (MLB-Seg Eq. 11).

    seen: predictions (views, B, h, w), each in its own view; theta: (views, 2, 3); mask: pixels of
    the untransformed batch that count, bool (B, h, w), where both views of a pair show them. both:
    the gradient reaches both views of a pair, else only q.
    """
    pairs = torch.combinations(torch.arange(len(theta)), 2).tolist()
    size = (seen.shape[2], seen.shape[3])
    found = []
    for q, v in pairs:
        there = composed(theta[q : q + 1], inverse(theta[v : v + 1]))
        each = (len(mask), 2, 3)
        counts = apply(theta[q].expand(each), mask, "nearest") & inside(there, size)
        other = apply(there.expand(each), seen[v] if both else seen[v].detach())
        squares = torch.where(counts, (seen[q] - other).square(), 0.0)
        found.append(squares.sum() / counts.sum().clamp(min=1))
    return torch.stack(found).mean()


def _grid(
    theta: Tensor, of: torch.Size | tuple[int, int], to: torch.Size | tuple[int, int]
) -> Tensor:
    """Where each pixel of the view lies in the input, (n, h', w', 2) in torch's -1..1."""
    unit = min(of[-2:])
    out = theta.new_tensor([to[-1] / unit, to[-2] / unit])
    back = theta.new_tensor([unit / of[-1], unit / of[-2]])
    normal = torch.cat([theta[:, :, :2] * out, theta[:, :, 2:]], dim=2) * back[:, None]
    with torch.autocast(theta.device.type, enabled=False):  # half precision: a quarter pixel off
        return F.affine_grid(normal, [len(theta), 1, to[-2], to[-1]], align_corners=False)
