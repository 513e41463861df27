"""What a method makes of the labels it was given: maps of whole images, and what it changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.data.resample import Shape
from napari_noisyseg.method import (
    ADDED,
    KEPT,
    NUCLEUS,
    REMOVED,
    UNKNOWN,
    Method,
    TrainingImage,
)
from napari_noisyseg.nets.tiling import batch_of
from napari_noisyseg.training.device import precision


def explain(method: Method, image: TrainingImage, device: str) -> dict[str, NDArray[Any]]:
    """The method's maps of its labels, float32 (H, W) at working resolution; {} where none."""
    with precision(device):
        maps = method.explain(batch_of(image, device))
    return {name: values[0].float().cpu().numpy() for name, values in maps.items()}


def window(image: TrainingImage, start: tuple[int, int], shape: Shape) -> TrainingImage:
    """The part of an image of `shape` that begins at `start` (y, x), moved inside if need be."""
    y, x = (
        max(0, min(at, length - size))
        for at, length, size in zip(start, image.known.shape, shape, strict=True)
    )
    part = (..., slice(y, y + shape[0]), slice(x, x + shape[1]))

    def cut(planes: Any) -> dict[str, NDArray[Any]]:
        return {name: plane[part] for name, plane in planes.items()}

    return replace(
        image, image=image.image[part], hematoxylin=image.hematoxylin[part],
        labels=cut(image.labels), known=image.known[part], tissue=image.tissue[part],
        points=image.points - (y, x), planes=cut(image.planes),
        superpixels=None if image.superpixels is None else image.superpixels[part],
    )  # fmt: skip


def changes(
    corrected: NDArray[np.bool_], rough: NDArray[np.uint8], clean: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8]:
    """What the corrected mask keeps of, adds to and removes from a plane of states, uint8 (H, W).

    clean: where it says something, nothing was the method's to change: KEPT or 0.
    """
    given = rough == NUCLEUS
    if clean is not None:
        given = np.where(clean == UNKNOWN, given, corrected)
    return np.select(
        [corrected & given, corrected & ~given, ~corrected & given], [KEPT, ADDED, REMOVED], 0
    ).astype(np.uint8)
