"""Strength or share of a noise searched for, so that the labels have a wanted Dice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.noise.draws import Strength
from napari_noisyseg.noise.simulate import SHARE, NoiseKind, check, simulate

TOLERANCE = 0.01
CLOSE = 0.003
STEPS = 20
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
LADDERS: Mapping[str, tuple[float, ...]] = {
    "box": (0, 1, 2, 4, 8, 16, 32),
    "dilate": (0, 1, 2, 4, 8, 16, 32),
    "erode": (0, 1, 2, 4, 8, 16, 32),
    "affine": (0, 0.5, 1.0, 1.5, 2.0),
    "flip": (0, 0.25, 0.5, 0.75, 1.0),
    "random": (0, 0.25, 0.5, 0.75, 1.0),
}
"""strengths between which a search starts"""

Images = Sequence[tuple[NDArray[Any], int]]
Searched = Literal["strength", "share", "strength and share"]


@dataclass(frozen=True)
class Setting:
    """A noise with its settings; None: the default, which a search may change."""

    noise: NoiseKind
    share: float | None = None
    strength: Strength | None = None

    def apply(self, labels: NDArray[Any], seed: int) -> NDArray[np.int32]:
        """Noisy labels, int32 (H, W)."""
        share = SHARE if self.share is None else self.share
        return simulate(labels, self.noise, share, self.strength, seed)


@dataclass(frozen=True)
class Found:
    """The setting that a search ended with, what it searched and the mean Dice it gives."""

    setting: Setting
    searched: Searched
    dice: float


def foreground_dice(noisy: NDArray[Any], truth: NDArray[Any]) -> float:
    """Dice of nucleus against background; both empty is 1."""
    total = np.count_nonzero(noisy) + np.count_nonzero(truth)
    return 2 * int(np.count_nonzero((noisy > 0) & (truth > 0))) / total if total else 1.0


def setting_for_dice(
    images: Images,
    setting: Setting,
    target: float,
    tell: Callable[[Found], None] = lambda _: None,
) -> Found:
    """The setting whose mean foreground Dice over (labels, seed) comes within 0.01 of `target`.

    What is given stays; of what is open the strength is searched first, then the share, then the
    strength with no nucleus deleted (box, dilate) or every nucleus changed (erode, affine).
    `tell` hears of each try. Raises NoisySegError with what can be reached.
    """
    if not 0 <= target <= 1:
        raise NoisySegError(f"the wanted Dice is {target:g}: give a number from 0 to 1")
    check(setting.noise, SHARE if setting.share is None else setting.share, setting.strength)
    tried: list[Found] = []
    for what, start in _searches(setting):
        tried += _search(images, start, what, target, tell)
        best = min(tried, key=lambda found: abs(found.dice - target))
        if abs(best.dice - target) <= TOLERANCE:
            return best
    raise NoisySegError(_unreachable(tried, setting.noise, target))


def _searches(setting: Setting) -> list[tuple[Searched, Setting]]:
    """What is searched, and what stays meanwhile."""
    strength = setting.strength is None and setting.noise in LADDERS
    share = setting.share is None and setting.noise not in ("flip", "random")
    searches: list[tuple[Searched, Setting]] = []
    if strength:
        searches.append(("strength", setting))
    if share:
        searches.append(("share", setting))
    if strength and share:
        extreme = 1.0 if setting.noise in ("erode", "affine") else 0.0
        searches.append(("strength and share", replace(setting, share=extreme)))
    return searches


def _search(
    images: Images,
    start: Setting,
    what: Searched,
    target: float,
    tell: Callable[[Found], None],
) -> list[Found]:
    """All that was tried of one number: a ladder until the Dice passes the target, halving."""

    def found_at(value: float) -> Found:
        tried = replace(start, share=value) if what == "share" else replace(start, strength=value)
        scores = [foreground_dice(tried.apply(truth, seed), truth) for truth, seed in images]
        found = Found(tried, what, float(np.mean(scores)))
        tell(found)
        return found

    ladder = SHARES if what == "share" else LADDERS[start.noise]
    tried = [found_at(ladder[0])]
    for low, high in pairwise(ladder):
        tried.append(found_at(high))
        if (tried[-2].dice - target) * (tried[-1].dice - target) <= 0:
            falls = tried[-1].dice < tried[-2].dice
            return tried + _halved(found_at, (low, high), target, falls)
    return tried


def _halved(
    found_at: Callable[[float], Found], between: tuple[float, float], target: float, falls: bool
) -> list[Found]:
    """Bisection; `falls`: the Dice falls with the number."""
    low, high = between
    tried: list[Found] = []
    while len(tried) < STEPS and not (tried and abs(tried[-1].dice - target) <= CLOSE):
        middle = (low + high) / 2
        tried.append(found_at(middle))
        low, high = (middle, high) if (tried[-1].dice > target) == falls else (low, middle)
    return tried


def _unreachable(tried: Sequence[Found], noise: str, target: float) -> str:
    wanted = f"a Dice of {target:g} with {noise}"
    if not tried:
        return f"{wanted} leaves nothing to search: leave out --strength or --share"
    dice = [found.dice for found in tried]
    searched = max((found.searched for found in tried), key=len)
    return (
        f"{wanted} is out of reach: searching the {searched} gave {min(dice):.3f} to "
        f"{max(dice):.3f} and nothing within {TOLERANCE:g}; give another share, strength or noise"
    )
