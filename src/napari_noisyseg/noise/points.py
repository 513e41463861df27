"""Clicks that miss: points of nuclei, moved at random."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.instances import middles
from napari_noisyseg.noise.draws import DIRECTION, SIZE, chosen, draws
from napari_noisyseg.noise.redraw import ids_of


def points(
    labels: NDArray[Any], jitter: float = 8.0, share: float = 0.0, seed: int = 0
) -> NDArray[np.float64]:
    """A click per nucleus, (n, 2) of (y, x) px, by ascending id; a `share` is left out.

    Each is the nucleus's deepest pixel, moved by up to `jitter` px to any side, evenly over that
    disk (SC-Net §III-E shifts over a square), and kept inside the image.
    """
    ids = ids_of(labels)
    ids = ids[~chosen(ids, share, seed)]
    centres = inner_points(labels, ids)
    own = draws(ids, seed)
    length, angle = jitter * np.sqrt(own[:, SIZE]), 2 * np.pi * own[:, DIRECTION]
    clicked = centres + length[:, None] * np.stack([np.sin(angle), np.cos(angle)], axis=1)
    return np.asarray(np.clip(clicked, 0, np.array(labels.shape, float) - 1), np.float64)


def inner_points(labels: NDArray[Any], ids: NDArray[np.int64]) -> NDArray[np.float64]:
    """Of each nucleus the pixel farthest from its border, (n, 2) of (y, x)."""
    every = ids_of(labels)  # packed, as the largest id may be far beyond their number
    packed = np.searchsorted(np.append(0, every), labels).astype(np.int32)
    return middles(packed, len(every))[np.searchsorted(every, ids)]
