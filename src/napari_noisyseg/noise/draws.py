"""Random numbers that belong to a nucleus: they depend on its id and the seed alone.

So a nucleus gets the same noise whatever the order, its neighbours, or the part of an image that
is looked at, and a larger share of nuclei contains the smaller one.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

Strength = float | tuple[float, float]
"""one for all nuclei, or the lowest and the highest of what is drawn for each"""

CHOICE, SIZE, TURN, DIRECTION = range(4)
COLUMNS = 4
"""what the numbers of a nucleus are for"""


def draws(ids: ArrayLike, seed: int) -> NDArray[np.float64]:
    """Uniform numbers in [0, 1), (n, COLUMNS): a row per id (SplitMix64's finaliser)."""
    state = np.random.SeedSequence(seed).generate_state(COLUMNS, np.uint64)
    z = np.asarray(ids).astype(np.uint64).reshape(-1, 1) * np.uint64(0x9E3779B97F4A7C15) + state
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return (z >> np.uint64(11)).astype(np.float64) * 2.0**-53


def chosen(ids: ArrayLike, share: float, seed: int) -> NDArray[np.bool_]:
    """Which `share` of the nuclei is meant, bool (n,).

    Of n nuclei, share·n rounded up or down at random, so that the share holds on average where
    every image holds a single nucleus too.
    """
    keys = draws(ids, seed)[:, CHOICE]
    spare = draws([0], seed)[0, CHOICE]
    count = math.floor(round(share * len(keys), 9) + spare)
    result = np.zeros(len(keys), bool)
    result[np.argsort(keys, kind="stable")[:count]] = True
    return result


def whole_sizes(ids: ArrayLike, strength: Strength, seed: int) -> NDArray[np.int64]:
    """Whole pixels per nucleus, (n,): uniform in low..high, or one strength for all.

    A strength of 2.3 is 3 px for three nuclei of ten and 2 px for the others.
    """
    uniform = draws(ids, seed)[:, SIZE]
    if isinstance(strength, tuple):
        low, high = strength
        return np.floor(low + uniform * (high - low + 1)).astype(np.int64)
    return np.floor(strength + uniform).astype(np.int64)


def sizes(ids: ArrayLike, strength: Strength, seed: int) -> NDArray[np.float64]:
    """A number per nucleus, (n,): uniform in low..high, or one strength for all."""
    low, high = strength if isinstance(strength, tuple) else (strength, strength)
    drawn: NDArray[np.float64] = low + draws(ids, seed)[:, SIZE] * (high - low)
    return drawn
