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
