"""A slide as napari shows it: a lazy pyramid in µm, its file open as long as the layer lives."""

from __future__ import annotations

import weakref
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.slides import Box, Level, Slide
from napari_noisyseg.slides.coarser import Coarser, CoarserLevel, lacks_levels

KEY = "noisyseg"
"""Of our notes in a layer's metadata."""
LayerData = tuple[Any, dict[str, Any], str]


class _Keeper:
    """Closes a slide's file when the last of its levels is gone, and with them the layer."""

    def __init__(self, slide: Slide) -> None:
        self.slide = slide
        # unlike __del__ this comes before the file's own end when all go in one cycle
        weakref.finalize(self, slide.close)

    def read(self, level: int, box: Box) -> NDArray[np.uint8]:
        return self.slide.levels[level].box(box)


def layer_data(slide: Slide, name: str | None = None) -> LayerData:
    """A slide as napari layer data; the slide is closed here or when the data are gone.

    One that has no coarser levels gets some that are reckoned when they are looked at.
    """
    keywords: dict[str, Any] = {
        "name": name or slide.name,
        "rgb": True,
        "interpolation2d": "linear",
    }
    if slide.mpp is not None:
        keywords |= {"scale": (slide.mpp, slide.mpp), "units": ("um", "um")}
    if slide.icc:
        keywords["metadata"] = {KEY: {"icc": True}}
    if len(slide.levels) > 1 or lacks_levels(slide):
        keeper = _Keeper(slide)
        levels = [
            Level(*level.shape[:2], partial(keeper.read, number), slide.name)
            for number, level in enumerate(slide.levels)
        ]
        if len(levels) == 1:
            levels += Coarser(levels[0], slide.name).levels
        return levels, {**keywords, "multiscale": True}, "image"
    with slide:
        return np.asarray(slide.levels[0]), keywords, "image"


def coarser_of(layer: Any) -> Coarser | None:
    """The coarser levels of an image layer that are reckoned; None where the slide has its own."""
    data = layer.data if layer.multiscale else ()
    return next((level.source for level in data if isinstance(level, CoarserLevel)), None)
