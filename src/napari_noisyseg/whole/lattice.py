"""A slide's pixels at another resolution, the same wherever a window into them begins.

Pixel (0, 0) of a lattice has its corner at that of the slide. All coordinates are (y, x), pixel
centres at integers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_noisyseg.slides import Box, Slide

Pixels = NDArray[np.uint8]

ALIGN = 32
"""Windows begin at multiples of this, so that networks which halve see every pixel in one phase."""
SAME = 0.02
"""Share by which resolutions may differ before pixels are resampled."""
RIM = 3
"""Pixels around a window that resampling looks at, or one of the lattice where that is more."""
SHRINK, GROW = Image.Resampling.HAMMING, Image.Resampling.BICUBIC
"""Pillow's BOX takes whole pixels: at steps such as 1.25 the window decides which ones."""


@dataclass(frozen=True, slots=True)
class Lattice:
    """Pixels of `step` level-0 pixels each, over a slide of `height` x `width` of them."""

    height: int
    width: int
    step: float

    @classmethod
    def of(cls, height: int, width: int, mpp: float, wanted: float) -> Lattice:
        """For a slide of `mpp` µm per pixel, at `wanted` µm or, where that is near, at its own."""
        step = wanted / mpp
        return cls(height, width, 1.0 if abs(step - 1) <= SAME else step)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns that lie on the slide as a whole."""
        return max(1, int(self.height / self.step)), max(1, int(self.width / self.step))

    def window(self, box: Box, margin: float) -> Box:
        """The lattice's pixels of a box in level-0 pixels and `margin` of these around it."""
        first = [int((v - margin) / self.step / ALIGN) * ALIGN for v in (box.y0, box.x0)]
        last = [math.ceil((v + margin) / self.step / ALIGN) * ALIGN for v in (box.y1, box.x1)]
        return Box(max(0, first[0]), max(0, first[1]), *last).clip(self.shape)

    def source(self, window: Box) -> Box:
        """The level-0 pixels that a window is made from."""
        y0, x0, y1, x1 = (v * self.step for v in window)
        return (
            Box(math.floor(y0), math.floor(x0), math.ceil(y1), math.ceil(x1))
            .grow(max(RIM, math.ceil(self.step) + 1))
            .clip((self.height, self.width))
        )

    def sample(self, pixels: NDArray[Any], source: Box, window: Box) -> NDArray[Any]:
        """A window out of level-0 pixels: uint8 (h, w, 3), weighted means or bicubic.

        source: the box that the pixels are of.
        """
        if self.step == 1:
            return pixels[window.within(source)]
        method = SHRINK if self.step > 1 else GROW
        return _resampled(pixels, window, self.step, source, method)

    def read(self, slide: Slide, window: Box) -> Pixels:
        """A window of the slide, uint8 (h, w, 3)."""
        source = self.source(window)
        return np.asarray(self.sample(slide.read(source), source, window), np.uint8)

    def onto(self, values: NDArray[np.float32], window: Box, other: Lattice, there: Box) -> Any:
        """Values float32 (h, w) of a window of this lattice, as a window of another has them."""
        if self.step == other.step:
            return values[there.within(window)]
        # where the lattices end at the slide's border one may be a pixel short
        wide = np.pad(values, ((0, 2), (0, 2)), mode="edge")
        source = Box(window.y0, window.x0, window.y1 + 2, window.x1 + 2)
        method = SHRINK if other.step > self.step else Image.Resampling.BILINEAR
        return _resampled(wide, there, other.step / self.step, source, method)

    def places(self, points: NDArray[Any]) -> NDArray[np.float64]:
        """Points (n, 2) of the lattice in level-0 pixels."""
        return np.asarray((np.asarray(points, np.float64) + 0.5) * self.step - 0.5)

    def rows(self, start: int, stop: int, length: int) -> NDArray[np.intp]:
        """Level-0 rows (or columns) whose middle lies in the lattice's rows start to stop - 1."""
        first = math.ceil(start * self.step - 0.5)
        return np.arange(max(first, 0), min(math.ceil(stop * self.step - 0.5), length))

    def under(self, rows: NDArray[np.intp], last: int) -> NDArray[np.intp]:
        """The lattice's row under the middle of each level-0 row, at most `last`."""
        return np.minimum(((rows + 0.5) / self.step).astype(np.intp), last)


def _resampled(
    pixels: NDArray[Any], window: Box, step: float, source: Box, method: Image.Resampling
) -> NDArray[Any]:
    height, width = pixels.shape[:2]
    box = (
        max(0.0, window.x0 * step - source.x0),
        max(0.0, window.y0 * step - source.y0),
        min(float(width), window.x1 * step - source.x0),
        min(float(height), window.y1 * step - source.y0),
    )
    image = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(image.resize((window.width, window.height), method, box=box))
