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
from napari_noisyseg.slides.colour import STRIP, to_rgb
from napari_noisyseg.slides.limits import check_decodable, plausible_mpp
from napari_noisyseg.slides.slide import Slide, from_array

# a short list on purpose: some of Pillow's formats start other programs
FORMATS = ("PNG", "JPEG", "BMP", "WEBP")
BYTES = {"1": 1, "L": 1, "P": 1, "LA": 2, "PA": 2, "I;16": 2, "I;16B": 2, "RGB": 3}
"""Of a pixel in each mode; 4 in all others."""
UNREADABLE = (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError)


def open_plain(path: Path, channel: int | None = None) -> Slide:
    """The image as one decoded level; raises `NoisySegError` for what is none.

    channel: which channel of fluorescence to take, 1 the first.
    """
    with opened(path) as image:
        dpi = image.info.get("dpi", (0, 0))
        pixels = _rgb(image, path) if channel is None else _stretched(image, path, channel)
    mpp = plausible_mpp(*(25_400 / float(d) if d else None for d in dpi[:2]))
    slide = from_array(pixels, mpp, path.name)
    slide.path = path
    return slide


def profile_of(path: Path) -> bytes:
    """The colour profile of the picture, b"" for none."""
    with opened(path) as image:
        return bytes(image.info.get("icc_profile") or b"")


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """A single picture of plausible size; whatever Pillow says against it, as `NoisySegError`."""
    try:
        # the size is checked here, without Pillow's warning half way to its own limit
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(path, formats=FORMATS)
        with image:
            check_decodable(image.height, image.width, str(path), BYTES.get(image.mode, 4))
            if getattr(image, "n_frames", 1) > 1:
                raise NoisySegError(f"{path} is an animation: one picture is needed")
            yield image
    except UnidentifiedImageError as error:
        raise NoisySegError(
            f"{path} is not an image that can be read: give a PNG, JPEG or TIFF, a slide "
            "(SVS, NDPI, MRXS, ...) or an OME-Zarr folder"
        ) from error
    except UNREADABLE as error:
        raise NoisySegError(f"{path} is damaged or incomplete ({error}): copy it again") from error


def strips(image: Image.Image) -> Iterator[tuple[slice, Image.Image]]:
    """Rows of an image with that part of it: as arrays they are copied more than once."""
    rows = max(1, STRIP // image.width)
    for y in range(0, image.height, rows):
        end = min(y + rows, image.height)
        yield slice(y, end), image.crop((0, y, image.width, end))


def _rgb(image: Image.Image, path: Path) -> NDArray[np.uint8]:
    rgb = np.empty((image.height, image.width, 3), np.uint8)
    for rows, part in strips(image):
        rgb[rows] = to_rgb(_in_plain_mode(part, path), str(path))
    return rgb


def _stretched(image: Image.Image, path: Path, channel: int) -> NDArray[np.uint8]:
    parts = [_in_plain_mode(part, path) for _, part in strips(image)]
    return chosen(np.concatenate(parts), channel, str(path))


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
