"""The best closed outline around each of many points at once, by dynamic programming.

Along rays from a point, an outline at radius r costs what the inside lacks of evidence above a
threshold, less the fall of evidence across it; neighbouring rays may differ by little. The best
path round the circle is found exactly. Every step works on each point by itself, so a point's
outline does not depend on which others are done together with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from napari_noisyseg.coarse.cells import Cells, Pixel, around
from napari_noisyseg.coarse.evidence import Floats, otsu_rows
from napari_noisyseg.coarse.morphology import Mask
from napari_noisyseg.slides import Box

RAYS = 48
STEPS = 36
"""Places along a ray, one each px of 0.25 µm; no outline reaches further."""
FALL = 20.0
"""Px of distance to the point that weigh as much as a standard deviation of evidence."""
OWN = 0.8
"""Weight of the cell's own threshold (Otsu); the rest is the image's."""
SHIFT = 0.5
"""How far the image's threshold is lowered: what the distance takes from evidence."""
LOOK = 30
"""The cell's own threshold is that of its pixels within this many px."""
LOOKS = 400
"""Places in that disk at which they are sampled."""
AREA = 1.25
"""Power of the radius that weighs the inside of an outline."""
EDGE = 2.0
"""Weight of the fall of evidence across an outline."""
BEND = 0.3
"""Cost of a step of one place between neighbouring rays; four times that of two places."""
TURN = 2
"""Places by which neighbouring rays may differ."""
WALL = np.float32(1e3)
"""Cost of leaving the cell."""
CHUNK = 256

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Ints = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class _Pattern:
    """Places around a pixel: the pixel before each and how far on, px; distances, px of 0.25 µm."""

    rows: Ints
    columns: Ints
    down: F32
    right: F32
    distance: F32


class Contours:
    """Outlines at a fixed scale (px per px of 0.25 µm)."""

    def __init__(self, scale: float) -> None:
        self.scale = scale
        self.rays = _rays(scale)
        self.disk = _disk(scale)
        self.reach = int(np.ceil(STEPS * scale)) + 1
        self._rays_at, self._share, self._away = _polar_square(self.reach)

    def radii(self, evidence: F32, threshold: float, cells: Cells, serials: list[int]) -> F64:
        """Radius in px of the outline of each point on each ray, (n, RAYS)."""
        parts = [
            self._some_radii(evidence, threshold, cells, serials[i : i + CHUNK])
            for i in range(0, len(serials), CHUNK)
        ]
        return np.concatenate(parts) if parts else np.zeros((0, RAYS))

    def mask(
        self, radii: F64, pixel: Pixel, shape: tuple[int, int], margin: int
    ) -> tuple[Box, Mask]:
        """The inside of one outline, bool (h, w), and the box around it and its margin in px."""
        box = around(pixel, min(int(radii.max()) + 1 + margin, self.reach), shape)
        part = box.shift(self.reach - pixel[0], self.reach - pixel[1]).slices
        first, share = self._rays_at[part], self._share[part]
        limit = radii[first] * (1 - share) + radii[(first + 1) % RAYS] * share
        return box, self._away[part] <= limit

    def _some_radii(self, evidence: F32, threshold: float, cells: Cells, serials: list[int]) -> F64:
        pixels = np.array([cells.points[s] for s in serials])
        names = np.array(serials, dtype=np.int32)
        values, owned = _look(evidence, cells.owner, pixels, names, self.disk)
        own = _own_threshold(values, owned)
        values, owned = _look(evidence, cells.owner, pixels, names, self.rays)
        inside = np.logical_and.accumulate(owned, axis=2)
        wanted = (OWN * own + (1 - OWN) * (threshold - SHIFT)).astype(np.float32)
        path = cheapest_round(_cost(values, inside, wanted, self.rays.distance))
        return np.asarray((path + 0.5) * self.scale, dtype=np.float64)


def _rays(scale: float) -> _Pattern:
    angle = np.arange(RAYS)[:, None] * (2 * np.pi / RAYS)
    distance = np.tile(np.arange(STEPS, dtype=np.float64) + 0.5, (RAYS, 1))
    return _pattern(distance, angle, scale)


def _disk(scale: float) -> _Pattern:
    """Fermat's spiral: places that share the disk evenly."""
    k = np.arange(LOOKS) + 0.5
    return _pattern(LOOK * np.sqrt(k / LOOKS), k * np.pi * (3 - np.sqrt(5)), scale)


def _pattern(distance: Floats, angle: Floats, scale: float) -> _Pattern:
    rows, columns = distance * scale * np.sin(angle), distance * scale * np.cos(angle)
    above, left = np.floor(rows), np.floor(columns)
    return _Pattern(
        above.astype(np.intp),
        left.astype(np.intp),
        (rows - above).astype(np.float32),
        (columns - left).astype(np.float32),
        distance.astype(np.float32),
    )


def _polar_square(reach: int) -> tuple[Ints, F64, F64]:
    """Of each pixel of a square: the ray before it, how far on to the next, distance in px."""
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    turn = (np.arctan2(rows, columns) / (2 * np.pi) * RAYS) % RAYS
    first = np.floor(turn).astype(np.intp)
    return first % RAYS, turn - first, np.hypot(rows, columns)


def _look(
    evidence: F32,
    owner: NDArray[np.int32],
    pixels: Ints,
    names: NDArray[np.int32],
    pattern: _Pattern,
) -> tuple[F32, Mask]:
    """Evidence less the fall with distance, (n, ...), and whether the place is in the own cell."""
    height, width = owner.shape
    lift = (slice(None),) + (None,) * pattern.rows.ndim
    above, left = pixels[:, 0][lift] + pattern.rows, pixels[:, 1][lift] + pattern.columns
    row, column = above + (pattern.down >= 0.5), left + (pattern.right >= 0.5)
    within = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    flat = np.where(within, row * width + column, 0)
    owned = within & (owner.ravel()[flat] == names[lift])
    values = _between(evidence, above, left, pattern)
    values -= pattern.distance / np.float32(FALL)
    return values, owned


def _between(evidence: F32, above: Ints, left: Ints, pattern: _Pattern) -> F32:
    """Evidence between four pixels, bilinear; beyond the image that of its border."""
    height, width = evidence.shape
    rows = [np.clip(above + k, 0, height - 1) * width for k in (0, 1)]
    columns = [np.clip(left + k, 0, width - 1) for k in (0, 1)]
    flat = evidence.ravel()
    upper, lower = (
        flat[r + columns[0]] * (1 - pattern.right) + flat[r + columns[1]] * pattern.right
        for r in rows
    )
    values: F32 = upper * (1 - pattern.down) + lower * pattern.down
    return values


def _own_threshold(values: F32, owned: Mask) -> F64:
    """Otsu's threshold of each point's own places."""
    first = np.argsort(~owned, axis=1, kind="stable")
    return otsu_rows(np.take_along_axis(values, first, axis=1), owned.sum(axis=1))


def _cost(values: F32, inside: Mask, threshold: F32, distance: F32) -> F32:
    """Cost of an outline between each place and the next, (n, RAYS, STEPS)."""
    weight = (distance / np.float32(LOOK)) ** np.float32(AREA)
    lack = np.where(inside, (threshold[:, None, None] - values) * weight, np.float32(0))
    cost = np.cumsum(lack, axis=2, dtype=np.float32)
    cost[:, :, 1:-1] -= np.float32(EDGE) * (values[:, :, :-2] - values[:, :, 2:])
    cost[~inside] = WALL
    cost[:, :, 0] = np.minimum(cost[:, :, 0], 0)
    return cost


def cheapest_round(cost: F32) -> Ints:
    """Place on each ray of the cheapest way round, (n, rays, places) to (n, rays).

    The way is laid once round and a quarter more at either end; its middle is closed but for
    rare ties.
    """
    n, rays, places = cost.shape
    lead = rays // 4
    laid = rays + 2 * lead
    moves = np.arange(-TURN, TURN + 1)
    toll = (BEND * moves * moves).astype(np.float32)[:, None, None]
    came = np.empty((laid, n, places), dtype=np.int8)
    padded = np.full((n, places + 2 * TURN), np.inf, dtype=np.float32)
    steps = np.moveaxis(sliding_window_view(padded, places, axis=1), 1, 0)
    ways = np.empty((len(moves), n, places), dtype=np.float32)
    total = cost[:, -lead % rays]
    for t in range(1, laid):
        padded[:, TURN:-TURN] = total
        np.add(steps, toll, out=ways)
        came[t] = ways.argmin(axis=0)
        total = ways.min(axis=0) + cost[:, (t - lead) % rays]
    return _walk_back(came, total.argmin(axis=1), rays)


def _walk_back(came: NDArray[np.int8], place: Ints, rays: int) -> Ints:
    """The places of the middle lap of the way that ends at `place`."""
    path = np.empty((len(place), rays), dtype=np.intp)
    everyone = np.arange(len(place))
    lead = (len(came) - rays) // 2
    for t in range(len(came) - 1, lead - 1, -1):
        if t < lead + rays:
            path[:, t - lead] = place
        place = place + came[t, everyone, place] - TURN
    return path
