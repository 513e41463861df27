"""How the memory of the window grows, and what there is more and more of."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys
from collections import Counter

import psutil
from scipy.stats import theilslopes

WARM_UP = 1 / 3
"""share of the readings before which caches fill and libraries are loaded"""
ROOMS = ("napari_noisyseg", "napari.layers", "napari._vispy", "napari._qt", "vispy.")
"""whose objects are counted"""
MB = 2**20


class Memory:
    """Readings of the process's own memory after garbage was collected, with the act of each."""

    def __init__(self) -> None:
        self.acts: list[int] = []
        self.megabytes: list[float] = []
        self.counts: list[Counter[str]] = []

    def read(self, act: int) -> None:
        """Read it now."""
        gc.collect()
        _give_back()
        self.acts.append(act)
        self.megabytes.append(psutil.Process().memory_full_info().uss / MB)
        self.counts.append(census())

    def growth(self) -> float:
        """MB by which it grew after the warm-up: the median of all slopes, over all those acts.

        One large image that happens to lie there at the end does not count as growth.
        """
        first = self._first()
        acts, held = self.acts[first:], self.megabytes[first:]
        if len(acts) < 3:
            return float("nan")
        return float(theilslopes(held, acts).slope) * (acts[-1] - acts[0])

    def grown(self, most: int = 12) -> dict[str, list[int]]:
        """Kinds of objects that became more and more after the warm-up, and how many there were."""
        later = self.counts[self._first() :]
        found = {}
        for kind in later[-1] if later else ():
            held = [count[kind] for count in later]
            # what comes and goes with the image in front was at its least before, too
            if min(held[len(held) // 2 :]) > max(held[: max(1, len(held) // 4)]):
                found[kind] = held
        order = sorted(found, key=lambda kind: found[kind][0] - found[kind][-1])
        return {kind: found[kind] for kind in order[:most]}

    def _first(self) -> int:
        return int(len(self.acts) * WARM_UP)


def census() -> Counter[str]:
    """How many objects there are of each class of ours, of napari's layers and of vispy."""
    # the frozen ones are passed over by get_objects, and are there for good
    kinds = (type(thing) for thing in gc.get_objects())
    names = (f"{kind.__module__}.{kind.__qualname__}" for kind in kinds)
    return Counter(name for name in names if name.startswith(ROOMS))


def _give_back() -> None:
    """Let the C library give back what is free, so that it does not read as in use."""
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
