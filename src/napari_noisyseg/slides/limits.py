"""What is believed of a file before its pixels are read."""

from __future__ import annotations

from pathlib import Path

from napari_noisyseg.errors import NoisySegError

MAX_DECODED_PIXELS = 178_956_970
"""Largest image that is decoded as a whole (13 377 x 13 377), Pillow's own limit against bombs."""

MAX_LABELLED_PIXELS = 120_000_000
"""Images above this get no label image of their own."""

MPP_RANGE = (0.05, 4.0)
"""Sizes of a pixel in µm that a microscope makes; 72, 96 or 300 dpi of an office program do not."""


def check_decodable(height: int, width: int, what: str) -> None:
    """Refuse images of no pixels and images too large to be held in memory at once."""
    if height < 1 or width < 1:
        raise NoisySegError(f"{what} has no pixels ({width} x {height})")
    if height * width > MAX_DECODED_PIXELS:
        raise NoisySegError(
            f"{what} says it is {width} x {height} pixels without smaller levels, more than can be "
            f"opened at once ({MAX_DECODED_PIXELS:,}): save it as a tiled pyramid "
            "(pyramidal TIFF, OME-TIFF or OME-Zarr), or cut it"
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
