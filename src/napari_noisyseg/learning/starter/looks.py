"""Other looks of the same tissue: stain, blur, resolution, noise and JPEG as scanners differ."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage as ndi

Rgb = NDArray[np.uint8]
Random = np.random.Generator

MIX, GAIN, SHIFT = 0.12, 0.2, 0.03
"""Deviations of the matrix that mixes optical densities, of their strength (log), of their zero."""


def another_look(rgb: Rgb, random: Random) -> Rgb:
    """The same field, uint8 (H, W, 3), as another laboratory might have it."""
    rgb = _stained(rgb, random)
    for change, share in ((_blurred, 0.5), (_coarsened, 0.25), (_sharpened, 0.2), (_noisy, 0.2),
                          (_compressed, 0.5)):  # fmt: skip
        if random.random() < share:
            rgb = change(rgb, random)
    return rgb


def _stained(rgb: Rgb, random: Random) -> Rgb:
    density = -np.log((rgb.astype(np.float32) + 1) / 256)
    mix = np.eye(3) + random.normal(0, MIX, (3, 3))
    density = density @ mix * np.exp(random.normal(0, GAIN)) + random.normal(0, SHIFT, 3)
    return _bytes(256 * np.exp(-density) - 1)


def _blurred(rgb: Rgb, random: Random) -> Rgb:
    sigma = random.uniform(0.3, 1.5)
    return np.asarray(ndi.gaussian_filter(rgb, (sigma, sigma, 0)), np.uint8)


def _coarsened(rgb: Rgb, random: Random) -> Rgb:
    height, width = rgb.shape[:2]
    factor = random.uniform(0.45, 0.8)
    small = (round(width * factor), round(height * factor))
    image = Image.fromarray(rgb).resize(small, Image.Resampling.BOX)
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))


def _sharpened(rgb: Rgb, random: Random) -> Rgb:
    exact = rgb.astype(np.float32)
    soft = ndi.gaussian_filter(exact, (1.5, 1.5, 0))
    return _bytes(exact + random.uniform(0.3, 1.0) * (exact - soft))


def _noisy(rgb: Rgb, random: Random) -> Rgb:
    return _bytes(rgb + random.normal(0, random.uniform(2, 10), rgb.shape))


def _compressed(rgb: Rgb, random: Random) -> Rgb:
    written = io.BytesIO()
    Image.fromarray(rgb).save(written, "JPEG", quality=int(random.integers(25, 95)))
    return np.asarray(Image.open(written))


def _bytes(values: NDArray[np.floating]) -> Rgb:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)
