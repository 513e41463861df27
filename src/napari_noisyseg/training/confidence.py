"""How sure a nucleus is: the chance that its outline overlaps a true nucleus by half or more.

A formula of what can be measured on the image and the network's maps alone, each figure against the
image's own range, so that a network trained for a minute is not called unsure of everything. Its
constants were set on tissue with true masks; docs/decisions says how well it holds elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

BASE = -1.5
"""Log-odds of a nucleus of typical size that nothing speaks for."""
CLICKED = 2.5
"""A person put a point there."""
CONTRAST = 3.0
"""The network sees a nucleus inside and none in the ring around it."""
EDGE = 2.0
"""The stain falls off across the outline."""
SMALL = 1.5
"""For each natural logarithm that the area lies below the image's median."""
CROWDED = -2.0
"""The whole outline lies against other nuclei."""
DOUBT = -2.0
"""Two networks contradict each other along the outline."""
OUTLINED = -9.0
"""Log-odds where a network drew the outline at a centre: what follows is added to it."""
CERTAINTY, PLACED, FALLING = 2.1, 2.1, 2.4
"""For the log-odds of the overlap that this network expects; for a person's click; for the fall of
the stain's density across the outline."""
BESIDE, CUT, AREA, APART = -4.4, -3.1, 1.1, 0.7
"""For the share of the outline that lies against others; and along the image's border; for the
logarithm of the area in µm²; for the distance to the next nucleus in diameters, at most `FAR`."""
FAR = 2.0
SURELY = 0.98
"""No certainty counts as more than this, or as less than its rest."""
LEAST = 0.05
"""Smallest range of probability or of stain density that counts as one."""

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Range:
    """What is usual in one image: the median outside nuclei, and what most nuclei stay below."""

    low: float
    high: float

    def share(self, difference: Values) -> Values:
        """Differences as shares of the range, 0..1."""
        shares: Values = np.clip(difference / max(self.high - self.low, LEAST), 0, 1)
        return shares


def range_of(plane: NDArray[np.floating], nuclei: NDArray[np.bool_], means: Values) -> Range:
    """The range of a plane (H, W); means: of each nucleus."""
    outside = plane[~nuclei]
    low = float(np.median(outside)) if outside.size else 0.0
    return Range(low, float(np.quantile(means, 0.9)))


def confidence(
    figures: Mapping[str, Values], clicked: NDArray[np.bool_], seen: Range, stained: Range
) -> Values:
    """Confidence 0..1 of n nuclei.

    figures: n values each of `area`; mean probability `inside` and in the `ring`; mean stain
    density along the outline inside, `rim_stain`, and in the ring, `ring_stain`; `crowded`, the
    share of the outline beside other nuclei; `doubt`. seen: range of the probability; stained: of
    the density.
    """
    area = figures["area"]
    small = np.clip(np.log(area / np.median(area)), -2, 0)
    odds = BASE + CLICKED * clicked
    odds = odds + CONTRAST * seen.share(figures["inside"] - figures["ring"])
    odds = odds + EDGE * stained.share(figures["rim_stain"] - figures["ring_stain"])
    odds = odds + SMALL * small + CROWDED * figures["crowded"]
    odds = odds + DOUBT * np.clip(figures["doubt"], 0, 1)
    sure: Values = 1 / (1 + np.exp(-odds))
    return sure


def of_outlined(
    figures: Mapping[str, Values], certainty: Values, clicked: NDArray[np.bool_], mpp: float
) -> Values:
    """Confidence 0..1 of n nuclei whose outlines a network drew, each at its centre.

    certainty: IoU with the nucleus that the network itself expects, 0..1. figures: as above, and
    `cut`, the share of the outline along the image's border, and the centres `y` and `x` in px of
    `mpp` µm. The constants were fitted on outlines of MoNuSeg's images 11 to 20.
    """
    area = np.maximum(figures["area"] * mpp**2, 1.0)
    places = np.stack([figures["y"], figures["x"]], axis=1)
    apart = np.full(len(area), FAR)
    if len(area) > 1:
        diameter = 2 * np.sqrt(np.median(area) / np.pi) / mpp
        nearest = np.asarray(KDTree(places).query(places, k=2)[0])[:, 1]
        apart = np.minimum(nearest / diameter, FAR)
    sure = np.clip(certainty, 1 - SURELY, SURELY)
    odds = OUTLINED + CERTAINTY * np.log(sure / (1 - sure)) + PLACED * clicked
    odds = odds + FALLING * (figures["rim_stain"] - figures["ring_stain"])
    odds = odds + BESIDE * figures["crowded"] + CUT * figures["cut"]
    odds = odds + AREA * np.log(area) + APART * apart
    chance: Values = 1 / (1 + np.exp(-odds))
    return chance
