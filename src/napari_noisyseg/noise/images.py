"""Noise that strikes images: every nucleus of a struck one is changed in the same way.

The published generators change the label image of a sample as a whole (Li et al. 2021, §3.1; the
noise of MLB-Seg, section 4.1): an annotator in a hurry misses in one direction, or draws all
outlines too wide. Noise that strikes nuclei one by one (`simulate`) averages out within an image.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.noise.draws import CHOICE, DIRECTION, TURN, chosen, draws
from napari_noisyseg.noise.outlines import MAX_TURN, Mask, dilated, eroded, moved
from napari_noisyseg.noise.redraw import Change, Labels, ids_of, redraw

Correlated = Literal["affine", "morph"]
CORRELATED: tuple[Correlated, ...] = get_args(Correlated)


def strike_images(
    labels: Iterable[NDArray[Any]], noise: Correlated, share: float, beta: float, seed: int = 0
) -> list[Labels]:
    """Label images (H, W) of which a share is struck; the others are as they were.

    affine: all nuclei of an image turned by one angle and shifted in one direction, each until
    `beta` of its size has changed; morph: all grown, or all shrunk, by `beta` of their size (half
    of the images each). The same seed strikes the same images in the same way.
    """
    if noise not in CORRELATED:
        raise NoisySegError(f"there is no noise {noise!r} of images: use {' or '.join(CORRELATED)}")
    if not (0 <= share <= 1 and 0 <= beta <= 2):
        raise NoisySegError(f"share {share:g}, strength {beta:g}: give 0 to 1, and 0 to 2")
    images = list(labels)
    numbers = np.arange(1, len(images) + 1)
    struck, own = chosen(numbers, share, seed), draws(numbers, seed + 1)
    return [
        _struck(image, noise, beta, own[k]) if struck[k] else np.asarray(image, np.int32)
        for k, image in enumerate(images)
    ]


def _struck(labels: NDArray[Any], noise: Correlated, beta: float, own: NDArray[Any]) -> Labels:
    image = np.ascontiguousarray(labels, dtype=np.int32)
    change = _turned_and_shifted(own, beta) if noise == "affine" else _resized(own, beta)
    return redraw(image, {int(i): change for i in ids_of(image)})


def _turned_and_shifted(own: NDArray[Any], beta: float) -> Change:
    turn, direction = MAX_TURN * (2 * own[TURN] - 1), 360 * own[DIRECTION]
    return Change(partial(moved, turn=turn, direction=direction, beta=beta), None)


def _resized(own: NDArray[Any], beta: float) -> Change:
    return Change(partial(resized, beta=beta, grow=bool(own[CHOICE] < 0.5)), None)


def resized(mask: Mask, beta: float, grow: bool) -> Mask:
    """A nucleus grown or shrunk by `beta` of its size, as if it were a disk of that size."""
    disk = math.sqrt(mask.sum() / math.pi)
    if grow:
        return dilated(mask, round(disk * (math.sqrt(1 + beta) - 1)))
    return eroded(mask, round(disk * (1 - math.sqrt(max(1 - beta, 0.0)))))
