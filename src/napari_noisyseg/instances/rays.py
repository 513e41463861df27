"""Looking out from many points at once: places along rays, and closed outlines across the rays.

All arrays are (n, RAYS, STEPS): point, direction, distance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from napari_noisyseg.coarse.contours import cheapest_round

Floats = NDArray[np.floating[Any]]
F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]
Labels = NDArray[np.int32]
Ints = NDArray[np.intp]

RAYS = 32
STEPS = 30
"""Places along a ray, one unit apart: an outline reaches no further than 30 units."""
SYMMETRY = 0.25
"""Share of what the opposite ray sees: people who take care point at the middle of a nucleus."""
EDGE = np.float32(6.0)
"""Weight of the fall of evidence across the outline beside the sum of evidence inside."""
LOSS = np.float32(1.0)
"""Evidence against a place in another point's cell."""
OFF_IMAGE = np.float32(-0.5)
"""Evidence of a place outside the image: an outline may end there, but gains nothing."""
HARMONICS = (1.0, 0.8, 1.0, 0.8, 0.7, 0.5)
"""What stays of an outline's harmonics (its mean, its shift, its ellipse, ...)."""
REST = 0.4


@dataclass(frozen=True, slots=True)
class Rays:
    """Places around points; `unit` px is the distance between neighbouring ones on a ray."""

    places: tuple[F32, F32]
    pixels: tuple[Ints, Ints]
    owned: Mask
    within: Mask
    unit: float

    @classmethod
    def around(cls, centres: Floats, unit: float, owner: Labels, names: Labels) -> Self:
        """Rays from `centres` (n, 2), whose cells in the image `owner` bear `names` (n,)."""
        angle = np.arange(RAYS)[:, None] * (2 * np.pi / RAYS)
        away = distances() * unit
        y = (centres[:, 0, None, None] + np.sin(angle) * away).astype(np.float32)
        x = (centres[:, 1, None, None] + np.cos(angle) * away).astype(np.float32)
        height, width = owner.shape
        within = (y >= -0.5) & (x >= -0.5) & (y <= height - 0.5) & (x <= width - 0.5)
        rows = np.clip(np.rint(y), 0, height - 1).astype(np.intp)
        columns = np.clip(np.rint(x), 0, width - 1).astype(np.intp)
        owned = owner[rows, columns] == names[:, None, None]
        return cls((y, x), (rows, columns), owned, within, unit)

    def look(self, image: F32) -> F32:
        """The image at every place, between pixels linearly."""
        seen: F32 = ndi.map_coordinates(image, self.places, order=1, mode="nearest")
        return seen

    def outlines(self, worth: F32, stained: F32, symmetry: float) -> F32:
        """Radius in px on each ray, (n, RAYS), of the best closed outline around each point.

        `worth` is what a place adds inside the outline; `stained` the evidence whose fall marks
        the edge; of `symmetry` see SYMMETRY. Star-shaped outlines only; the best is found by
        dynamic programming.
        """
        worth = _shared(worth, symmetry)
        worth = np.where(self.owned, worth, np.minimum(worth, 0) - LOSS)
        worth = np.where(self.within, worth, OFF_IMAGE)
        fall = -np.gradient(ndi.gaussian_filter1d(stained, 1.0, axis=2), axis=2)
        area = distances()
        gain = np.cumsum(worth * area, axis=2) * np.float32(2 * np.pi / RAYS)
        path = cheapest_round(-(gain + EDGE * _shared(fall, symmetry) * area).astype(np.float32))
        return np.asarray((path + 1) * self.unit, dtype=np.float32)


def distances() -> F32:
    """Distance from the point of each place along a ray, in units."""
    return np.arange(STEPS, dtype=np.float32) + np.float32(0.5)


def smoothed(radii: F32) -> F32:
    """Outlines without most of what no smooth hand would draw."""
    waves = np.fft.rfft(radii, axis=1)
    keep = np.full(waves.shape[1], REST)
    keep[: len(HARMONICS)] = HARMONICS
    return np.asarray(np.fft.irfft(waves * keep, n=RAYS, axis=1), dtype=np.float32)


def _shared(values: F32, share: float) -> F32:
    opposite = np.roll(values, RAYS // 2, axis=1)
    return np.asarray(
        (values + np.float32(share) * opposite) / np.float32(1 + share), dtype=np.float32
    )
