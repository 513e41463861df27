"""Where a slide has tissue, seen at low resolution."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from napari_noisyseg.coarse.appearance import DARK
from napari_noisyseg.coarse.evidence import otsu
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box, Slide

Mask = NDArray[np.bool_]

FAR = 8.0
"""µm per pixel from which tissue is told."""
PALE, STAINED = 0.04, 0.10
"""Range of the optical density, against glass, from which a pixel is tissue."""
BLACK = 10
"""Grey level below which all colours are padding of the scanner or a pen."""
SPECK = 4
"""Pixels of a piece so small that it is dust."""
AROUND_UM = 40.0
"""Tissue is taken this much wider."""
BLOCK = 2048
"""Side of the squares that are read at once where there is no coarse level, px."""


@dataclass(frozen=True)
class Tissue:
    """Where tissue is: bool (h, w), each pixel `step` level-0 pixels wide.

    The mask is a little wider than what is stained, `stained` pixels.
    """

    mask: Mask
    step: float
    stained: int

    def touches(self, box: Box) -> bool:
        """Whether there is any in a box of level-0 pixels."""
        rows, columns = self._span(box.y0, box.y1, 0), self._span(box.x0, box.x1, 1)
        return bool(self.mask[rows, columns].any())

    def holds(self, points: NDArray[np.float64]) -> Mask:
        """Which of the points (n, 2), level-0 pixels, lie in it."""
        last = np.array(self.mask.shape) - 1
        at = np.clip(((points + 0.5) / self.step).astype(np.intp), 0, last)
        return self.mask[at[:, 0], at[:, 1]]

    def area_mm2(self, mpp: float) -> float:
        """Of stained tissue, on a slide of `mpp` µm per level-0 pixel."""
        return self.stained * (self.step * mpp / 1000) ** 2

    def document(self) -> dict[str, Any]:
        """In plain values."""
        packed = zlib.compress(np.packbits(self.mask).tobytes())
        return {
            "shape": list(self.mask.shape),
            "step": self.step,
            "stained": self.stained,
            "bits": base64.b64encode(packed).decode(),
        }

    @classmethod
    def of(cls, document: Any) -> Self:
        """Undo of `document`. Raises ValueError, KeyError or TypeError for what is none."""
        height, width = (int(v) for v in document["shape"])
        count = height * width
        if not 0 < count <= 2**28:
            raise ValueError(f"tissue of {height} x {width}")
        inflate = zlib.decompressobj()
        size = (count + 7) // 8
        raw = inflate.decompress(base64.b64decode(document["bits"]), size)
        bits = np.unpackbits(np.frombuffer(raw, np.uint8), count=count)
        mask = bits.astype(bool).reshape(height, width)
        return cls(mask, float(document["step"]), int(document["stained"]))

    def _span(self, first: int, end: int, axis: int) -> slice:
        length = self.mask.shape[axis]
        start = min(int(first / self.step), length - 1)
        return slice(start, max(start + 1, int(np.ceil(end / self.step))))


def find_tissue(slide: Slide, mpp: float) -> Tissue:
    """Where the slide, of `mpp` µm per pixel, has tissue; all of it if that cannot be told.

    Reads one coarse level, or where there is none the whole slide in pieces.
    """
    rgb, step = from_afar(slide, mpp)
    if rgb.mean() < DARK:  # fluorescence has no glass
        return Tissue(np.ones(rgb.shape[:2], bool), step, rgb.shape[0] * rgb.shape[1])
    mask = tissue_of(rgb)
    reach = max(1, round(AROUND_UM / (step * mpp)))
    wide = ndi.distance_transform_edt(~mask) <= reach if mask.any() else mask
    return Tissue(np.asarray(wide, bool), step, int(mask.sum()))


def tissue_of(rgb: NDArray[np.uint8]) -> Mask:
    """Stained pixels of uint8 (h, w, 3) seen from afar, bool (h, w), specks left out."""
    bright = np.percentile(rgb.reshape(-1, 3)[:: max(1, rgb.size // 3_000_000)], 99, axis=0)
    glass = np.where(bright >= 200, bright, 255.0).astype(np.float32)
    density = np.log(glass / np.maximum(rgb, 1)).clip(0).mean(axis=2)
    density = ndi.gaussian_filter(density, 1.0)
    cut = otsu(density.ravel()[:: max(1, density.size // 60_000)])
    mask = (density > np.clip(cut, PALE, STAINED)) & (rgb.max(axis=2) >= BLACK)
    pieces, count = ndi.label(mask)
    if count:
        mask &= (np.bincount(pieces.ravel()) >= SPECK)[pieces]
    return np.asarray(mask, bool)


def from_afar(slide: Slide, mpp: float) -> tuple[NDArray[np.uint8], float]:
    """The slide at about `FAR` µm per pixel, uint8 (h, w, 3), and level-0 pixels per pixel."""
    fits = [n for n, d in enumerate(slide.downsamples) if d * mpp <= FAR * 1.02]
    number = max(fits, default=0)
    level, down = slide.levels[number], slide.downsamples[number]
    factor = max(1, round(FAR / (down * mpp)))
    height, width = level.shape[:2]
    found = np.empty((-(-height // factor), -(-width // factor), 3), np.uint8)
    side = max(factor, BLOCK // factor * factor)
    for box in _blocks(height, width, side):
        part = _means(level.box(box), factor)
        y, x = box.y0 // factor, box.x0 // factor
        found[y : y + part.shape[0], x : x + part.shape[1]] = part
    if not found.size:
        raise NoisySegError(f"{slide.path} has no pixels")
    return found, down * factor


def _blocks(height: int, width: int, side: int) -> Iterator[Box]:
    for y in range(0, height, side):
        for x in range(0, width, side):
            yield Box(y, x, min(y + side, height), min(x + side, width))


def _means(rgb: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    if factor == 1:
        return rgb
    height, width = rgb.shape[:2]
    even = np.pad(rgb, ((0, -height % factor), (0, -width % factor), (0, 0)), mode="edge")
    rows, columns = even.shape[0] // factor, even.shape[1] // factor
    squares = even.reshape(rows, factor, columns, factor, 3)
    return np.asarray(squares.mean(axis=(1, 3), dtype=np.float32).round(), np.uint8)
