"""Changing resolution: area averages of pixels, votes of labels, points by pixel centres."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_noisyseg.method import BACKGROUND, NUCLEUS, UNKNOWN

Shape = tuple[int, int]


def working_shape(shape: Shape, mpp: float, working_mpp: float) -> Shape:
    """Rows and columns at `working_mpp` of an image of `shape` at `mpp`; at least one each."""
    factor = mpp / working_mpp
    return max(1, round(shape[0] * factor)), max(1, round(shape[1] * factor))


def resize(array: NDArray[Any], shape: Shape) -> NDArray[Any]:
    """uint8 (H, W) or (H, W, 3), or float32 (H, W), to `shape`, the type kept.

    Area averages where it shrinks, bilinear where it grows; pixel (0, 0)'s corner stays in place.
    """
    if array.shape[:2] == shape:
        return array
    shrinks = shape[0] * shape[1] < array.shape[0] * array.shape[1]
    method = Image.Resampling.BOX if shrinks else Image.Resampling.BILINEAR
    image = Image.fromarray(np.ascontiguousarray(array))
    return np.asarray(image.resize((shape[1], shape[0]), method))


def share(mask: NDArray[np.bool_], shape: Shape) -> NDArray[np.float32]:
    """How much of each new pixel the mask covers, float32 in 0..1."""
    resized: NDArray[np.float32] = resize(mask.astype(np.float32), shape)
    return resized


def resize_mask(mask: NDArray[np.bool_], shape: Shape) -> NDArray[np.bool_]:
    """Bool (H, W) to `shape`: where at least half of the pixel is covered."""
    return mask if mask.shape == shape else share(mask, shape) >= 0.5


def resize_states(states: NDArray[np.uint8], shape: Shape, least: float = 0.5) -> NDArray[np.uint8]:
    """A plane of BACKGROUND, NUCLEUS, UNKNOWN to `shape` by vote.

    A pixel is supervised where the two known states together cover the share `least` of it; then
    the larger of them wins, nucleus on a tie.
    """
    if states.shape == shape:
        return states
    background = share(states == BACKGROUND, shape)
    nucleus = share(states == NUCLEUS, shape)
    known = background + nucleus >= least - 1e-6
    voted = np.where(nucleus >= background, NUCLEUS, BACKGROUND)
    return np.where(known, voted, UNKNOWN).astype(np.uint8)


def resize_lines(states: NDArray[np.uint8], shape: Shape) -> NDArray[np.uint8]:
    """`resize_states` for planes whose background is a line one pixel wide (Voronoi borders).

    A plain majority would lose the line; here a pixel counts from half a line's coverage.
    """
    factor = max(1.0, states.shape[0] / shape[0])
    return resize_states(states, shape, least=0.5 / factor)


def scale_points(points: NDArray[np.float64], old: Shape, new: Shape) -> NDArray[np.float64]:
    """(y, x) with pixel centres at integers, from an image of shape `old` to `new`."""
    factor = np.array([new[0] / old[0], new[1] / old[1]])
    scaled: NDArray[np.float64] = (points + 0.5) * factor - 0.5
    return scaled
