"""A decision seen on the canvas at once: only the pixels of one nucleus are drawn anew."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_noisyseg.gui.canvas import layers
from napari_noisyseg.review.queue import ReviewItem
from napari_noisyseg.slides import Box
from napari_noisyseg.store.records import Outline

ROOM = 64
"""pixels round the outlines in which an earlier, larger one may still be painted"""


def repaint(layer: Any, item: ReviewItem, outline: Outline, shape: tuple[int, int]) -> None:
    """Take a rejected nucleus from the `refined` layer, or put it (back) with this outline.

    `shape` is the image's (H, W): a layer that shows something else (levels of a slide, a preview
    of a part) is left alone.
    """
    data = layer.data
    if not isinstance(data, np.ndarray) or data.shape != shape or not data.flags.writeable:
        return
    box = Box.around((item.candidate.outline.box, outline.box)).grow(ROOM).clip(shape)
    part = data[box.slices]
    part[part == item.candidate.serial] = 0
    if item.state != "rejected":
        outline.paste(part, box, item.candidate.serial, under=True)
    layers.refresh_box(layer, box)
