"""Any image that a person may give, as pixels and their size."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.slides import Box, open_image, to_rgb
from napari_noisyseg.slides.limits import check_labelled
from napari_noisyseg.store import ASSUMED_MPP, checked_mpp

ImageLike = str | os.PathLike[str] | NDArray[Any]
"""A file, or pixels: RGB (H, W, 3), RGBA or grey, uint8, or floats in 0..1."""


def pixels(
    image: ImageLike, mpp: float | None, channel: int | None = None
) -> tuple[NDArray[np.uint8], float]:
    """RGB uint8 (H, W, 3) and µm per pixel: those given, else the file's, else 0.25 with a warning.

    Raises NoisySegError if it is not an image, or too large to be worked on as a whole, and for an
    mpp that is none.
    """
    mpp = None if mpp is None else checked_mpp(mpp)
    own: float | None = None
    if isinstance(image, (str, os.PathLike)):
        path = Path(image)
        with open_image(path, channel) as slide:
            check_labelled(path, *slide.shape)
            rgb, own = slide.read(Box(0, 0, *slide.shape)), slide.mpp
    else:
        rgb = to_rgb(image, "the image")
    if mpp is None and own is None:
        words = f"no pixel size is known: {ASSUMED_MPP} µm per pixel is assumed (give mpp=...)"
        warnings.warn(words, UserWarning, stacklevel=3)
    return rgb, mpp or own or ASSUMED_MPP
