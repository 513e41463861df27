"""Whether images can teach a method that has rough labels alone; said before training begins."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.method import BACKGROUND, NUCLEUS, MethodConfig, Needs, TrainingImage

LEAST = 32
"""px at working resolution that some image must have on both sides"""
GIANT = 0.5
"""share of an image above which a superpixel says nothing about its parts"""


def check(images: Sequence[TrainingImage], config: MethodConfig, needs: Needs) -> None:
    """Raise NoisySegError with what is wrong and how to mend it."""
    if not needs.rough or needs.clean:
        return
    _check_sizes(images, config)
    _check_classes(images)
    _check_superpixels(images)


def _check_sizes(images: Sequence[TrainingImage], config: MethodConfig) -> None:
    if any(min(image.known.shape) >= LEAST for image in images):
        return
    height, width = max((image.known.shape for image in images), key=min)
    raise NoisySegError(
        f"images are too small to learn from: the largest has {width}x{height} px at "
        f"{config.working_mpp:g} µm per pixel, and a tile needs {LEAST} on both sides; give larger "
        "images or fields, or a finer resolution (working_mpp)"
    )


def _check_classes(images: Sequence[TrainingImage]) -> None:
    seen: set[int] = set()
    for image in images:
        for name in ("rough", "clean"):
            seen |= set(np.unique(image.labels[name]).tolist()) if name in image.labels else set()
    for state, what, mend in (
        (NUCLEUS, "no nucleus", "check that the right masks were imported"),
        (BACKGROUND, "no background", "masks must leave out what is no nucleus"),
    ):
        if seen and state not in seen:
            raise NoisySegError(f"the rough masks hold {what} in any image of the run: {mend}")


def _check_superpixels(images: Sequence[TrainingImage]) -> None:
    shares = [
        np.bincount(image.superpixels.ravel()).max() / image.superpixels.size
        for image in images
        if image.superpixels is not None
    ]
    if shares and min(shares) > GIANT:
        raise NoisySegError(
            f"one superpixel covers {100 * min(shares):.0f} % of an image or more, in every image: "
            "set a smaller superpixel_um, or use_superpixels=false if the images have no texture"
        )
