"""From the colour spaces of TIFF to RGB."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tifffile import COMPRESSION, PHOTOMETRIC

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides.colour import divisor_of_16_bits, to_rgb
from napari_noisyseg.slides.level import Pixels

# codecs that give RGB back for an image stored as YCbCr
DECODES_YCBCR = {
    COMPRESSION.JPEG,
    COMPRESSION.OJPEG,
    COMPRESSION.APERIO_JP2000_YCBC,
    COMPRESSION.APERIO_JP2000_RGB,
    COMPRESSION.JPEG2000,
}
ASSOCIATED_ALPHA = 1
UNSPECIFIED = 0


def converter(
    page: Any, sample: NDArray[Any] | None, path: Path
) -> Callable[[NDArray[Any]], Pixels]:
    """What turns decoded pixels (h, w[, n]) of a page into RGB uint8, alike for every tile.

    `sample`: pixels that span the image's range (the image, or its coarsest level); needed for
    16 bits only. Raises `NoisySegError` for colour spaces whose meaning is not plain.
    """
    what = str(path)
    photometric = page.photometric
    if photometric == PHOTOMETRIC.PALETTE and page.colormap is not None:
        colours = (np.asarray(page.colormap) >> 8).astype(np.uint8).T
        return lambda pixels: np.ascontiguousarray(colours[pixels])
    if (
        photometric == PHOTOMETRIC.SEPARATED
        and page.dtype == np.uint8
        and page.samplesperpixel == 4
    ):
        return _from_cmyk
    if photometric == PHOTOMETRIC.MINISWHITE and page.dtype == np.uint8:
        return lambda pixels: to_rgb(255 - pixels, what)
    in_ycbcr = photometric == PHOTOMETRIC.YCBCR and page.compression not in DECODES_YCBCR
    if in_ycbcr or photometric not in (
        PHOTOMETRIC.MINISBLACK,
        PHOTOMETRIC.RGB,
        PHOTOMETRIC.YCBCR,
        PHOTOMETRIC.MINISWHITE,
    ):
        kind = getattr(photometric, "name", photometric)
        raise NoisySegError(f"{path} has colours of kind {kind}: save it as RGB")
    return _from_rgb(page, sample, what)


def _from_cmyk(pixels: NDArray[Any]) -> Pixels:
    return np.asarray(Image.fromarray(pixels, "CMYK").convert("RGB"))


def _from_rgb(
    page: Any, sample: NDArray[Any] | None, what: str
) -> Callable[[NDArray[Any]], Pixels]:
    alpha = page.extrasamples[0] if len(page.extrasamples) == 1 else None
    divisor = 1
    if page.dtype == np.uint16 and sample is not None and sample.ndim == 3:
        divisor = divisor_of_16_bits(sample, what)

    def convert(pixels: NDArray[Any]) -> Pixels:
        if page.dtype == np.uint16 and pixels.ndim == 3:
            pixels = ((pixels.astype(np.uint32) + divisor // 2) // divisor).astype(np.uint8)
        if pixels.ndim == 3 and pixels.shape[2] == 4 and alpha == UNSPECIFIED:
            pixels = pixels[..., :3]
        if pixels.ndim == 3 and pixels.shape[2] == 4 and alpha == ASSOCIATED_ALPHA:
            return _premultiplied(to_rgb(pixels[..., :3], what), pixels[..., 3:])
        return to_rgb(pixels, what)

    return convert


def _premultiplied(rgb: Pixels, alpha: NDArray[Any]) -> Pixels:
    """Colours already weighted by their opacity, laid on white."""
    mixed = rgb.astype(np.uint16) + (255 - alpha.astype(np.uint16))
    laid: Pixels = np.minimum(mixed, 255).astype(np.uint8)
    return laid
