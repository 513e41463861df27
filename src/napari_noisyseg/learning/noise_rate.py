"""How many pixels of a rough label are wrong: against clean ones, or from what networks believe."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.method import UNKNOWN

LOWEST, HIGHEST = 0.01, 0.5
"""Of an estimate: below there is nothing to select, above labels would mean their opposite."""
ENOUGH = 500
"""pixels with both labels from which their agreement says something"""


def by_agreement(given: NDArray[np.uint8], clean: NDArray[np.uint8]) -> float | None:
    """Share of pixels that a rough and a clean plane of states call otherwise; None for too few."""
    both = (given != UNKNOWN) & (clean != UNKNOWN)
    if int(both.sum()) < ENOUGH:
        return None
    return float(np.clip((given != clean)[both].mean(), LOWEST, HIGHEST))


def by_confidence(
    probability: NDArray[np.floating[Any]],
    nucleus: NDArray[np.bool_],
    sizes: NDArray[np.floating[Any]],
) -> float:
    """Share of pixels whose label a network is sure to be another (Northcutt et al. 2021).

    probability of nucleus and whether they are labelled so, (n,), of superpixels of `sizes` pixels.
    Sure is what is no less probable than the mean of what carries that label: a network that has
    not learned much yet is sure of little. Eq. 1 of confident learning, over its diagonal too.
    """
    groups = [sizes * ~nucleus, sizes * nucleus]
    if not all(group.any() for group in groups):
        return LOWEST
    belief = (1 - probability, probability)
    least = [float((b * g).sum() / g.sum()) for b, g in zip(belief, groups, strict=True)]
    sure = [b >= max(m, 0.5) for b, m in zip(belief, least, strict=True)]
    wrong = 0.0
    for own, other in ((0, 1), (1, 0)):
        strays, stays = float(groups[own][sure[other]].sum()), float(groups[own][sure[own]].sum())
        wrong += float(groups[own].sum()) * strays / max(strays + stays, 1.0)
    return float(np.clip(wrong / sizes.sum(), LOWEST, HIGHEST))
