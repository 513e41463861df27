"""PNG, JPEG, BMP and WebP: decoded as a whole, by Pillow."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides.channels import chosen
from napari_noisyseg.slides.colour import to_rgb
from napari_noisyseg.slides.limits import check_decodable, plausible_mpp
from napari_noisyseg.slides.slide import Slide, from_array

# a short list on purpose: some of Pillow's formats start other programs
FORMATS = ("PNG", "JPEG", "BMP", "WEBP")
UNREADABLE = (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError)


def open_plain(path: Path, channel: int | None = None) -> Slide:
    """The image as one decoded level; raises `NoisySegError` for what is none.

    channel: which channel of fluorescence to take, 1 the first.
    """
    with opened(path) as image:
        dpi = image.info.get("dpi", (0, 0))
        found = _in_plain_mode(image, path)
        pixels = to_rgb(found if channel is None else chosen(found, channel, str(path)), str(path))
    mpp = plausible_mpp(*(25_400 / float(d) if d else None for d in dpi[:2]))
    slide = from_array(pixels, mpp, path.name)
    slide.path = path
    return slide


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """A single picture of plausible size; whatever Pillow says against it, as `NoisySegError`."""
    try:
        # the size is checked here, without Pillow's warning half way to its own limit
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(path, formats=FORMATS)
        with image:
            check_decodable(image.height, image.width, str(path))
            if getattr(image, "n_frames", 1) > 1:
                raise NoisySegError(f"{path} is an animation: one picture is needed")
            yield image
    except UnidentifiedImageError as error:
        raise NoisySegError(
            f"{path} is not an image that can be read: give a PNG, JPEG or TIFF, a slide "
            "(SVS, NDPI, MRXS, ...) or an OME-Zarr folder"
        ) from error
    except UNREADABLE as error:
        raise NoisySegError(f"{path} is damaged or incomplete ({error}): copy it anew") from error


def _in_plain_mode(image: Image.Image, path: Path) -> NDArray[np.generic]:
    if image.mode in ("L", "LA", "RGB", "RGBA"):
        opaque = "transparency" not in image.info
        return np.asarray(image if opaque else image.convert("RGBA"))
    if image.mode in ("P", "PA", "1"):
        return np.asarray(image.convert("RGBA"))
    if image.mode in ("CMYK", "YCbCr", "LAB", "HSV", "RGBX"):
        return np.asarray(image.convert("RGB"))
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)
    raise NoisySegError(f"{path} has colours of mode {image.mode}: save it as RGB with 8 bits")
