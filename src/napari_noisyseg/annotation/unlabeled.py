"""Images without any annotation, for methods that can learn from them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.slides import Box
from napari_noisyseg.store.records import ImageRecord

LARGEST = 4_000_000
"""Pixels up to which an image is trained on as a whole; of larger ones fields must be marked."""
SMALLEST = 32
"""Pixels of the shorter side under which there is no room for a tile."""
CONTRAST = 4
"""Grey levels between the darkest and the brightest percent of an image that shows something."""


@dataclass
class Unlabeled:
    """Takes such images into a run where `wanted`, and keeps why others cannot be used."""

    wanted: bool
    refused: list[str] = field(default_factory=list)

    def boxes(self, record: ImageRecord) -> list[Box]:
        """The whole image, or nothing."""
        height, width = record.height, record.width
        if not self.wanted:
            return []
        if min(height, width) < SMALLEST:
            self.refused.append(
                f"{record.name} is too small for a tile ({width} x {height} pixels; at least "
                f"{SMALLEST} a side are needed)"
            )
            return []
        if height * width > LARGEST:
            self.refused.append(
                f"{record.name} is too large to train on as a whole ({height * width / 1e6:.0f} "
                "megapixels): mark a field in it (noisyseg field, or Annotate ▸ field)"
            )
            return []
        return [Box(0, 0, height, width)]

    def shows_something(self, name: str, rgb: NDArray[np.uint8]) -> bool:
        """Whether an image (H, W, 3) is not blank."""
        low, high = np.percentile(rgb[::2, ::2].max(axis=-1), (0.5, 99.5))
        if high - low >= CONTRAST:
            return True
        self.refused.append(
            f"{name} is blank (all pixels between {low:.0f} and {high:.0f} of 255): if it was "
            "saved from more than 8 bits, save it again with its range stretched"
        )
        return False
