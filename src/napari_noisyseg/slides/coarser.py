"""Coarser levels of a slide that has none: read where they were made, else reckoned as asked for.

Each pixel is the mean of four of the level before, so that both ways give the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.slides.box import Box
from napari_noisyseg.slides.level import Level, Pixels
from napari_noisyseg.slides.slide import Slide

SMALL = 512
"""A pyramid ends once both sides fit into this."""
AT_ONCE = 2**25
"""Pixels of the slide that are read for one look: a second or so."""
BLOCK = 2048
"""Side of what is read at a time, pixels of the slide."""
UNSEEN = 238
"""Grey of what is too large to be seen before the levels are made."""
KEPT = 4
"""Looks that are kept: a window asks for the same again and again."""


def halvings(height: int, width: int) -> tuple[int, ...]:
    """Factors of a pyramid that is built by halving; the first is 1."""
    factors = [1]
    while max(height, width) > SMALL * factors[-1]:
        factors.append(factors[-1] * 2)
    return tuple(factors)


def lacks_levels(slide: Slide) -> bool:
    """Whether a slide that is read in place has no level in which all of it is seen quickly."""
    return slide.is_pyramid and len(slide.levels) == 1 and max(slide.shape) > SMALL


def halved(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Half as many rows and columns (rounded up) of uint8 (H, W, 3)."""
    height, width = rgb.shape[:2]
    even = np.pad(rgb, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge").astype(np.uint16)
    total = even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]
    return ((total + 2) // 4).astype(np.uint8)


class Coarser:
    """Levels of half, a quarter, ... of the pixels of `base`; once `made` is set, read from there.

    Before, what would take long to be reckoned is grey.
    """

    def __init__(self, base: Level, what: str) -> None:
        self.base = base
        self.made: Sequence[Level] = ()
        self._reckoned = lru_cache(KEPT)(self._reckon)
        height, width = base.shape[:2]
        self.levels = [
            CoarserLevel(
                -(-height // f), -(-width // f), partial(self._read, n), f"{what}, 1/{f}", self
            )
            for n, f in enumerate(halvings(height, width)[1:])
        ]

    def use(self, made: Sequence[Level]) -> None:
        """Read from levels that were made, of the same shapes, from now on."""
        self.made = made
        self._reckoned.cache_clear()

    def _read(self, number: int, box: Box) -> Pixels:
        if self.made:
            return self.made[number].box(box)
        # a copy, as a level's slices are promised not to write through to what others hold
        return self._reckoned(number, box).copy()

    def _reckon(self, number: int, box: Box) -> Pixels:
        factor = 2 ** (number + 1)
        found = np.full((*box.shape, 3), UNSEEN, np.uint8)
        if box.height * box.width * factor**2 > AT_ONCE:
            return found
        for block in blocks(box, max(1, BLOCK // factor)):
            source = Box(*(v * factor for v in block)).clip(self.base.shape)
            pixels = self.base.box(source)
            for _ in range(number + 1):
                pixels = halved(pixels)
            found[block.within(box)] = pixels
        return found


class CoarserLevel(Level):
    """One of the levels of `source`."""

    def __init__(
        self, height: int, width: int, read: Callable[[Box], Pixels], what: str, source: Coarser
    ) -> None:
        super().__init__(height, width, read, what)
        self.source = source


def blocks(box: Box, side: int) -> Iterator[Box]:
    """A box in squares of a side, row by row."""
    for y in range(box.y0, box.y1, side):
        for x in range(box.x0, box.x1, side):
            yield Box(y, x, min(y + side, box.y1), min(x + side, box.x1))
