"""What is believed of a file before its pixels are read."""

from __future__ import annotations

from pathlib import Path

from napari_noisyseg.errors import NoisySegError

MAX_DECODED_BYTES = 2**29
"""Of an image that is held in memory as a whole."""

RGB_BYTES = 3
MAX_DECODED_PIXELS = MAX_DECODED_BYTES // RGB_BYTES
"""In 8-bit colours (13 377 x 13 377), which is Pillow's own limit against bombs."""

MAX_COARSEST_PIXELS = 2**34
"""Of the coarsest level of a slide that is read in place (131 072 x 131 072)."""

MAX_LABELLED_PIXELS = 120_000_000
"""Images above this get no label image of their own."""

MPP_RANGE = (0.05, 4.0)
"""Sizes of a pixel in µm that a microscope makes; 72, 96 or 300 dpi of an office program do not."""

STATED_MPP = (0.01, 10.0)
"""What a person may state instead: wider, as a file may be resampled, or say nothing itself."""


def check_decodable(height: int, width: int, what: str, per_pixel: int = RGB_BYTES) -> None:
    """Refuse images of no pixels and images too large to be held in memory at once.

    per_pixel: bytes of a pixel as the file has it, where that is more than 8-bit colours take.
    """
    if height < 1 or width < 1:
        raise NoisySegError(f"{what} has no pixels ({width} x {height})")
    most = MAX_DECODED_BYTES // max(per_pixel, RGB_BYTES)
    if height * width > most:
        raise NoisySegError(
            f"{what} says it is {width} x {height} pixels without smaller levels, more than can be "
            f"opened at once ({most:,} of {max(per_pixel, RGB_BYTES)} bytes): save it as a tiled "
            "pyramid (pyramidal TIFF, OME-TIFF or OME-Zarr), or cut it"
        )


def check_coarsest(height: int, width: int, what: str) -> None:
    """Refuse slides of no pixels, and such as no scanner makes without smaller levels."""
    if height < 1 or width < 1:
        raise NoisySegError(f"{what} has no pixels ({width} x {height})")
    if height * width > MAX_COARSEST_PIXELS:
        raise NoisySegError(
            f"{what} says it is {width} x {height} pixels without smaller levels, more than is "
            "believed: save it as a tiled pyramid (pyramidal TIFF, OME-TIFF or OME-Zarr), or cut it"
        )


def check_labelled(path: Path, height: int, width: int) -> None:
    """NoisySegError for an image with more pixels than one label image may have."""
    if height * width > MAX_LABELLED_PIXELS:
        raise NoisySegError(
            f"{path}: {height * width / 1e6:.0f} megapixels are too many for one label image; cut "
            "out the part you need"
        )


def plausible_mpp(x: float | None, y: float | None) -> float | None:
    """The µm per pixel when both directions name one size that a microscope makes, else None."""
    if x is None or y is None:
        return None
    low, high = MPP_RANGE
    if not (low <= x <= high and low <= y <= high) or abs(x - y) > 0.02 * max(x, y):
        return None
    return (x + y) / 2
