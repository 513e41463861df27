"""Colours as the scanner's own profile (ICC) describes them, brought to sRGB."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides.box import Box
from napari_noisyseg.slides.level import Level, Pixels
from napari_noisyseg.slides.slide import Slide

LARGEST = 16 * 2**20
"""Bytes of a profile."""
TAG = 34675
"""Of a TIFF file."""


def in_srgb(slide: Slide, profile: bytes) -> Slide:
    """The slide with every level's colours in sRGB; as it is where the profile is empty.

    `slide.icc` then has the profile's name. Raises NoisySegError for a profile that is damaged, or
    is of other colours than RGB.
    """
    if not profile:
        return slide
    name, change = _change(profile, str(slide.path))

    def read(level: Level, box: Box) -> Pixels:
        return change(level.box(box))

    slide.levels = tuple(
        Level(*level.shape[:2], partial(read, level), str(slide.path)) for level in slide.levels
    )
    slide.icc = name
    return slide


def _change(profile: bytes, what: str) -> tuple[str, Callable[[Pixels], Pixels]]:
    """The profile's name, and what brings its colours (h, w, 3) to sRGB."""
    if len(profile) > LARGEST:
        raise _wrong(what, f"is too large ({len(profile):,} bytes)")
    try:
        own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space, name = own.profile.xcolor_space.strip(), ImageCms.getProfileDescription(own).strip()
        if space != "RGB":
            raise _wrong(what, f"is of {space} and not of RGB")
        # as whoever made the profile meant it, which is what other viewers of slides do
        intent = ImageCms.Intent(ImageCms.getDefaultIntent(own))
        transform = ImageCms.buildTransform(
            own, ImageCms.createProfile("sRGB"), "RGB", "RGB", intent
        )
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError) as error:
        raise _wrong(what, f"is damaged ({error})") from error
    return name or "unnamed", partial(_changed, transform)


def _changed(transform: Any, pixels: Pixels) -> Pixels:
    if not pixels.size:
        return pixels
    image = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(ImageCms.applyTransform(image, transform), np.uint8)


def _wrong(what: str, why: str) -> NoisySegError:
    return NoisySegError(
        f"{what}: its colour profile {why}; leave out --icc",
        window=f"{what}: its colour profile {why}. Clear “Colours by the scanner's profile” in the "
        "preferences, and add it again.",
    )
