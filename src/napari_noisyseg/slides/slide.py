"""An image as the rest of the program sees it: one lazy pyramid."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.slides.box import Box
from napari_noisyseg.slides.colour import to_rgb
from napari_noisyseg.slides.level import Level, Pixels
from napari_noisyseg.slides.limits import check_coarsest, check_decodable

OME_ENDINGS = (".ome.tiff", ".ome.tif", ".ome.zarr")


def name_of(path: Path) -> str:
    """An image file's name without its ending (`case 17.ome.tif` → `case 17`)."""
    for ending in OME_ENDINGS:
        if path.name.lower().endswith(ending):
            return path.name[: -len(ending)]
    return path.stem


class Slide:
    """RGB pixels at one or more resolutions, finest first; close it, or use it as a context.

    `levels` are array-likes (h, w, 3) of uint8 that read only what is sliced, fit for napari's
    multiscale images. `mpp` is µm per level-0 pixel, None where the file does not say it.
    `is_pyramid` tells files that are read in place, tile by tile (slides: link them), from images
    that are held decoded in memory (`levels` then has the one); a slide may have a single level.
    `icc` is the name of the colour profile that was applied, "" for none; `channel` that of
    fluorescence which was chosen, None for colours.
    """

    def __init__(
        self,
        path: Path,
        levels: Sequence[Level],
        mpp: float | None,
        is_pyramid: bool,
        close: Callable[[], None] | None = None,
    ) -> None:
        self.path = path
        self.levels: tuple[Level, ...] = tuple(levels)
        self.mpp = mpp
        self.is_pyramid = is_pyramid
        self.icc = ""
        self.channel: int | None = None
        self._close = close
        check_coarsest(*self.levels[-1].shape[:2], what=str(path))

    @property
    def name(self) -> str:
        """The file's name without its ending, as `name_of` gives it."""
        return name_of(self.path)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in level-0 pixels."""
        return self.levels[0].shape[0], self.levels[0].shape[1]

    @property
    def downsamples(self) -> tuple[float, ...]:
        """Level-0 pixels per pixel of each level; the first is 1.0."""
        height, width = self.shape
        return tuple((height / n.shape[0] + width / n.shape[1]) / 2 for n in self.levels)

    def read(self, box: Box, level: int = 0) -> Pixels:
        """The pixels of a box given in level-0 pixels, at a level's resolution.

        At level 0 the result is exactly (box.height, box.width, 3); at coarser levels it covers
        floor(start / downsample) to ceil(end / downsample). What lies outside is white.
        """
        chosen = self.levels[level]
        step = self.downsamples[level]
        wanted = Box(
            math.floor(box.y0 / step),
            math.floor(box.x0 / step),
            math.ceil(box.y1 / step),
            math.ceil(box.x1 / step),
        )
        inside = wanted.clip(chosen.shape)
        if inside == wanted:
            return chosen.box(wanted)
        check_decodable(wanted.height, wanted.width, f"the box {tuple(box)} of {self.path.name}")
        result = np.full((wanted.height, wanted.width, 3), 255, np.uint8)
        if not inside.empty:
            result[inside.within(wanted)] = chosen.box(inside)
        return result

    def close(self) -> None:
        """Let go of the file; may be called twice."""
        if self._close is not None:
            for level in self.levels:
                level.close()
            self._close()
            self._close = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def from_array(rgb: NDArray[Any], mpp: float | None, name: str) -> Slide:
    """An image that is already in memory; anything `to_rgb` takes. `path` is just its name."""
    pixels = to_rgb(rgb, name)
    height, width = pixels.shape[:2]
    # a copy, as a level's slices are promised not to write through to what others hold
    level = Level(height, width, lambda box: pixels[box.slices].copy(), name)
    return Slide(Path(name), [level], mpp, is_pyramid=False)
