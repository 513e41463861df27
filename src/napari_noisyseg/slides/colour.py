"""Whatever a file or a layer holds → RGB of 8 bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.errors import NoisySegError

TWELVE_BITS = 4095
STRIP = 2**22
"""Pixels that are converted at once."""


def to_rgb(array: NDArray[Any], what: str) -> NDArray[np.uint8]:
    """RGB uint8 (H, W, 3) of grey (H, W[, 1]), grey and alpha, RGB or RGBA (H, W, 2 to 4) pixels.

    Transparent pixels are laid on white. 16-bit colours over the full range and floats in 0..1 are
    scaled. `what` names the image in errors. Raises `NoisySegError` where it is not plain what the
    numbers mean: grey of 16 bits (fluorescence), other floats, more channels, masks, volumes.
    """
    pixels = np.asarray(array)
    _check_shape(pixels.shape, what)
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    pixels = pixels.reshape(*pixels.shape[:2], channels)
    eight = _eight_bits(pixels, what)
    if pixels.dtype == np.uint8 and channels == 3:
        return together(pixels)

    def convert(part: NDArray[Any]) -> NDArray[np.uint8]:
        return over_white(eight(part)) if channels in (2, 4) else eight(part)

    return in_strips(convert, pixels)


def in_strips(
    convert: Callable[[NDArray[Any]], NDArray[np.uint8]], pixels: NDArray[Any]
) -> NDArray[np.uint8]:
    """RGB (H, W, 3) of an image (H, W[, n]) by a function of its rows (h, W[, n]).

    That may give grey (h, W, 1), too. Only a strip at a time takes the room of what it makes.
    """
    height, width = pixels.shape[:2]
    rows = max(1, STRIP // max(width, 1))
    rgb = np.empty((height, width, 3), np.uint8)
    for y in range(0, height, rows):
        rgb[y : y + rows] = convert(pixels[y : y + rows])
    return rgb


def together(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pixels (H, W, 3) with the colours of a pixel side by side in memory."""
    if pixels.flags.c_contiguous:
        return pixels
    # several times as fast as a plain copy where they come as three planes
    found = np.empty(pixels.shape, np.uint8)
    for channel in range(pixels.shape[2]):
        found[..., channel] = pixels[..., channel]
    return found


def over_white(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pixels (H, W, n + 1), the last channel their opacity, laid on white: (H, W, n)."""
    alpha = pixels[..., -1:].astype(np.uint16)
    if alpha.min(initial=255) == 255:
        return pixels[..., :-1]
    mixed = (pixels[..., :-1] * alpha + 255 * (255 - alpha) + 127) // 255
    return mixed.astype(np.uint8)


def _check_shape(shape: tuple[int, ...], what: str) -> None:
    if 0 in shape:
        raise NoisySegError(f"{what} has no pixels (shape {shape})")
    if len(shape) == 3 and shape[2] > 4 and shape[0] in (3, 4):
        raise NoisySegError(f"{what} has its colours first (shape {shape}): move them last")
    if len(shape) == 3 and shape[2] > 4:
        raise NoisySegError(
            f"{what} has {shape[2]} channels or planes (shape {shape}): one RGB image is needed"
        )
    if len(shape) not in (2, 3):
        raise NoisySegError(f"{what} has {len(shape)} axes (shape {shape}): one image is needed")


def _eight_bits(pixels: NDArray[Any], what: str) -> Callable[[NDArray[Any]], NDArray[np.uint8]]:
    """What makes 8 bits of any of its rows. Raises where it is unclear what the numbers mean."""
    if pixels.dtype == np.uint8:
        return lambda part: part
    if pixels.dtype == np.bool_:
        raise NoisySegError(f"{what} is a yes/no mask, not an image: import it as a mask")
    if pixels.dtype.kind == "f":
        _check_floats(pixels, what)
        return lambda part: np.rint(part * 255).astype(np.uint8)
    if pixels.dtype != np.uint16:
        raise NoisySegError(
            f"{what} holds numbers of type {pixels.dtype}: save it with 8 bits per channel"
        )
    divisor = divisor_of_16_bits(pixels, what)
    return lambda part: ((part.astype(np.uint32) + divisor // 2) // divisor).astype(np.uint8)


def divisor_of_16_bits(pixels: NDArray[np.uint16], what: str) -> int:
    """What to divide 16-bit colours (H, W, n) by for 8 bits: 257, or 1 for 8-bit values kept in 16.

    Raises `NoisySegError` for grey, and for colours that end somewhere between.
    """
    if pixels.shape[-1] < 3:
        raise NoisySegError(
            f"{what} is one grey channel of 16 bits, as of fluorescence: take it with its range "
            "stretched (--channel 1), or save it with 8 bits"
        )
    top = int(pixels[..., :3].max(initial=0))
    if top <= 255:
        return 1
    if top <= TWELVE_BITS:
        raise NoisySegError(
            f"{what} keeps colours up to {top} in 16 bits, so its full range is unclear: "
            "save it with 8 bits per channel; of fluorescence, say which channel shows the nuclei "
            f"(--channel 1 to {pixels.shape[-1]})"
        )
    return 257


def _check_floats(pixels: NDArray[Any], what: str) -> None:
    wrong = int(np.size(pixels) - np.isfinite(pixels).sum())
    if wrong:
        raise NoisySegError(
            f"{what} holds decimal numbers of which {wrong} are not finite (NaN or infinite): fill "
            "them, or save it with 8 bits per channel"
        )
    low, high = float(pixels.min()), float(pixels.max())
    if low < 0 or high > 1:
        raise NoisySegError(
            f"{what} holds decimal numbers from {low:g} to {high:g}; only those in 0..1 have a "
            "plain meaning: save it with 8 bits per channel"
        )
