"""Nuclei of a label image drawn again, each in a window of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from napari_noisyseg.noise.draws import DIRECTION, TURN, Strength, draws, sizes, whole_sizes
from napari_noisyseg.noise.outlines import (
    MAX_TURN,
    Mask,
    boxed,
    dilated,
    eroded,
    moved,
    reach_of,
)
from napari_noisyseg.slides import Box

Labels = NDArray[np.int32]
Window = tuple[slice, slice]


@dataclass(frozen=True)
class Change:
    """How one nucleus is redrawn, and how many px around it that may touch (None: by its size)."""

    draw: Callable[[Mask], Mask]
    reach: int | None


def changes(noise: str, ids: ArrayLike, strength: Strength, seed: int) -> dict[int, Change]:
    """How each of these nuclei is redrawn; noise: box, dilate, erode or affine."""
    numbers = np.asarray(ids).astype(int).tolist()
    if noise == "affine":
        own, beta = draws(ids, seed), sizes(ids, strength, seed).tolist()
        turn = (MAX_TURN * (2 * own[:, TURN] - 1)).tolist()
        direction = (360 * own[:, DIRECTION]).tolist()
        how = [
            partial(moved, turn=t, direction=d, beta=b)
            for t, d, b in zip(turn, direction, beta, strict=True)
        ]
        return {i: Change(draw, None) for i, draw in zip(numbers, how, strict=True)}
    steps = whole_sizes(ids, strength, seed).tolist()
    return {i: _change(noise, step) for i, step in zip(numbers, steps, strict=True)}


def _change(noise: str, step: int) -> Change:
    if noise == "box":
        return Change(partial(boxed, grow=step), step)
    if noise == "dilate":
        return Change(partial(dilated, radius=step), step)
    return Change(partial(eroded, radius=step), 1)


def redraw(labels: Labels, plan: Mapping[int, Change]) -> Labels:
    """The image with the nuclei of the plan drawn again.

    What a nucleus keeps of its place stays its own; of several that want a free pixel the lowest
    id has it.
    """
    windows = windows_of(labels)
    drawn: dict[int, tuple[Window, Mask]] = {}
    kept = labels.astype(np.int32)
    for nucleus, change in plan.items():
        window = _grown(windows[nucleus], change.reach, labels.shape)
        before = labels[window] == nucleus
        after = change.draw(before)
        kept[window][before & ~after] = 0
        drawn[nucleus] = window, after
    result = kept.copy()
    for nucleus in sorted(drawn, reverse=True):
        window, after = drawn[nucleus]
        result[window][after & (kept[window] == 0)] = nucleus
    return result


def ids_of(labels: NDArray[Any]) -> NDArray[np.int64]:
    """The nuclei of a label image, (n,), ascending."""
    if labels.max(initial=0) > labels.size:
        found = np.unique(labels)
    else:
        found = np.flatnonzero(np.bincount(labels.ravel()))
    return found[found > 0].astype(np.int64)


def windows_of(labels: Labels) -> dict[int, Window]:
    """The bounding box of each nucleus."""
    ids = ids_of(labels)
    # find_objects makes a list as long as the largest id
    if labels.max(initial=0) > labels.size:
        labels = np.searchsorted(np.append(0, ids), labels).astype(np.int32)
        numbers = np.arange(1, len(ids) + 1)
    else:
        numbers = ids
    boxes: list[Any] = ndimage.find_objects(labels)
    return {int(i): boxes[n - 1] for i, n in zip(ids, numbers, strict=True)}


def _grown(window: Window, reach: int | None, shape: tuple[int, ...]) -> Window:
    box = Box.of_slices(*window)
    return box.grow(reach_of(*box.shape) if reach is None else reach).clip(shape).slices
