"""Running a network over a whole image, in windows where it is too large for one pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_noisyseg.method import Batch, TrainingImage


def batch_of(image: TrainingImage, device: str) -> Batch:
    """A whole image as a batch of one."""

    def tensor(array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(device)[None]

    return Batch(
        image=tensor(image.image),
        hematoxylin=tensor(image.hematoxylin),
        labels={name: tensor(label) for name, label in image.labels.items()},
        known=tensor(image.known),
        tissue=tensor(image.tissue),
        planes={name: tensor(plane) for name, plane in image.planes.items()},
        half=torch.zeros(1, dtype=torch.long, device=device),
        superpixels=None if image.superpixels is None else tensor(image.superpixels).long(),
    )


def in_windows(
    forward: Callable[[Tensor], Tensor], x: Tensor, side: int = 1024, margin: int = 96
) -> Tensor:
    """`forward(x)` of (B, channels, h, w), computed in windows of `side` px when x is larger.

    Neighbouring windows overlap by twice `margin` and each keeps its inner part, so that no seam
    shows where the receptive field is not much wider than the margin.
    """
    height, width = x.shape[-2:]
    if height <= side and width <= side:
        return forward(x)
    rows = []
    for top, bottom, keep_top, keep_bottom in _windows(height, side, margin):
        parts = [
            forward(x[..., top:bottom, left:right])[
                ..., keep_top - top : keep_bottom - top, keep_left - left : keep_right - left
            ]
            for left, right, keep_left, keep_right in _windows(width, side, margin)
        ]
        rows.append(torch.cat(parts, dim=-1))
    return torch.cat(rows, dim=-2)


def _windows(length: int, side: int, margin: int) -> Iterator[tuple[int, int, int, int]]:
    """Start and end of each window, then of the part of it that is kept."""
    step = side - 2 * margin
    starts = range(0, max(length - 2 * margin, 1), step)
    for start in starts:
        first, last = start == starts[0], start == starts[-1]
        end = length if last else start + side
        yield start, end, start if first else start + margin, end if last else end - margin
