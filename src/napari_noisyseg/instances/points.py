"""Nuclei where people placed points: every point knows that it lies in one nucleus.

Each nucleus is the best closed outline around its point, on evidence from the stain and the
network together. Points are first moved to the likely middles of their nuclei, as far as this
image's were placed carelessly. The first outlines are those of the coarse labels; from them the
size of the image's nuclei and each nucleus's own contrast are read, and the outlines are found
again. Nothing here is trained; constants are px of 0.25 µm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.coarse.cells import Cells
from napari_noisyseg.coarse.contours import Contours
from napari_noisyseg.instances import evidence
from napari_noisyseg.instances.centres import recentred
from napari_noisyseg.instances.painting import make_whole, paint, seeds
from napari_noisyseg.instances.rays import RAYS, SYMMETRY, Rays, distances, smoothed

Floats = NDArray[np.floating[Any]]
F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]
Labels = NDArray[np.int32]

PAPER_MPP = 0.25
GROWN = 1.0
"""Px by which the first outlines are grown: what lies inside later ones begins with their edge."""
TYPICAL = 12.5
"""Median radius at which later rounds look at places one px apart; they scale with the image's."""
SCALES = (0.6, 2.5)
ROUNDS = 2
MIDDLE = 0.45
"""Where between the evidence outside and inside a nucleus its outline runs."""
INSIDE, OUTSIDE = 0.75, (1.25, 1.9)
"""Where inside and outside are looked at, in radii."""
MARGIN = 0.75
"""Outlines run this much further in: half of the fall of evidence lies outside the nucleus."""
CHUNK = 2048
"""Points looked at together, for the sake of memory."""


def from_points(
    probability: Floats,
    points: Floats,
    density: Floats,
    mpp: float,
    rgb: NDArray[np.uint8] | None = None,
) -> Labels:
    """One connected, hole-free nucleus per point inside the image, label k + 1 for points[k].

    `probability` and `density` (H, W): the network's nucleus probability (0.5 everywhere says
    nothing) and the hematoxylin density; `points` (n, 2) y, x in pixels, centres at integers;
    `mpp` µm per pixel; `rgb` (H, W, 3) lets the image's own stains be learned. Points outside the
    image get nothing. Returns int32 (H, W).
    """
    shape = (probability.shape[0], probability.shape[1])
    points = np.asarray(points, float).reshape(-1, 2)
    _, inside = seeds(points, shape)
    if not inside.any():
        return np.zeros(shape, np.int32)
    stain = evidence.stain(density, PAPER_MPP / mpp, rgb)
    clicks = np.clip(points[inside], 0, np.array(shape) - 1)
    labels = _nuclei(stain, evidence.network(probability), clicks, PAPER_MPP / mpp)
    names = np.concatenate([[0], np.flatnonzero(inside) + 1]).astype(np.int32)
    named: Labels = names[labels]
    return named


def _nuclei(stain: F32, network: F32, clicks: Floats, scale: float) -> Labels:
    """Label k + 1 for clicks[k], all of which lie in the image."""
    shape = (stain.shape[0], stain.shape[1])
    seen = stain + network
    threshold = evidence.threshold(seen)
    centres, careless = recentred(seen, threshold, clicks, scale)
    pixels, _ = seeds(centres, shape)
    cells = _cells(pixels, shape)
    radii = _first_round(seen, threshold, cells, scale)
    symmetry = SYMMETRY * (1 - careless)
    for share in (careless, 0.0):
        free = paint(radii, centres, shape) == 0
        if share:
            centres = np.clip(centres + share * _to_middles(radii), 0, np.array(shape) - 1)
            pixels, _ = seeds(centres, shape)
            cells = _cells(pixels, shape)
        view = _View(stain, network, cells.owner, free, symmetry)
        radii = _next_round(view, centres, radii, scale)
    radii = np.maximum(smoothed(radii) - np.float32(MARGIN * scale), np.float32(1.0))
    labels = paint(radii, centres, shape)
    make_whole(labels, pixels)
    return labels


def _to_middles(radii: F32) -> Floats:
    """From each point to the centre of mass of its outline, (n, 2) px."""
    angle = np.arange(radii.shape[1]) * (2 * np.pi / radii.shape[1])
    rays = np.stack([np.sin(angle), np.cos(angle)], axis=1)
    return np.asarray(2 / 3 * (radii**3 @ rays) / (radii**2).sum(axis=1)[:, None])


def _cells(pixels: NDArray[np.intp], shape: tuple[int, int]) -> Cells:
    """Voronoi cells of pixels (n, 2) that all differ; serial k + 1 is pixels[k]."""
    return Cells(shape, {k: (y, x) for k, (y, x) in enumerate(pixels.tolist(), 1)})


def _first_round(seen: F32, threshold: float, cells: Cells, scale: float) -> F32:
    """The outlines of the coarse labels, on the rays of later rounds; (n, RAYS) px."""
    radii = Contours(scale).radii(seen, threshold, cells, sorted(cells.points))
    turn = np.arange(RAYS) * radii.shape[1] / RAYS
    first = np.floor(turn).astype(np.intp)
    after = (first + 1) % radii.shape[1]
    between = radii[:, first] * (1 - turn + first) + radii[:, after] * (turn - first)
    return np.asarray(between + GROWN * scale, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class _View:
    """What a round looks at, all (H, W), and how far opposite rays are to agree."""

    stain: F32
    network: F32
    owner: Labels
    free: Mask
    symmetry: float


def _next_round(view: _View, centres: Floats, radii: F32, scale: float) -> F32:
    """Outlines again, at the scale of this image's nuclei and each one's own contrast."""
    size = float(np.median(radii.mean(axis=1))) / (TYPICAL * scale)
    unit = scale * min(max(size, SCALES[0]), SCALES[1])
    elsewhere = float(view.stain[view.free].mean() if view.free.any() else view.stain.min())
    better = []
    for some in _chunks(len(centres)):
        rays = Rays.around(centres[some], unit, view.owner, _names(some)[: len(centres[some])])
        seen = rays.look(view.stain)
        middle = _middle(rays, seen, view.free, radii[some], elsewhere)
        mean = radii[some].mean(axis=1)[:, None, None]
        worth = seen - middle[:, None, None] - (distances() * np.float32(unit) / mean - 1)
        better.append(rays.outlines(worth + rays.look(view.network), seen, view.symmetry))
    return np.concatenate(better)


def _middle(rays: Rays, seen: F32, free: Mask, radii: F32, elsewhere: float) -> F32:
    """The evidence at which each nucleus ends: between its inside and what is free around it."""
    share = distances() * np.float32(rays.unit) / radii[..., None]
    inside = (share < INSIDE) * distances()
    around = (share > OUTSIDE[0]) & (share < OUTSIDE[1]) & rays.within & free[rays.pixels]
    outside = around * distances()
    weight = outside.sum(axis=(1, 2))
    high = (seen * inside).sum(axis=(1, 2)) / np.maximum(inside.sum(axis=(1, 2)), 1e-6)
    low = (seen * outside).sum(axis=(1, 2)) / np.maximum(weight, 1e-6)
    low = np.where(weight > distances()[-1], low, elsewhere)
    return np.asarray(low + MIDDLE * (high - low), dtype=np.float32)


def _chunks(count: int) -> list[slice]:
    return [slice(start, start + CHUNK) for start in range(0, count, CHUNK)]


def _names(some: slice) -> Labels:
    return np.arange(some.start + 1, some.stop + 1, dtype=np.int32)
