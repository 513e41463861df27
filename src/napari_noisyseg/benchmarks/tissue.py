"""Real tissue with true masks, and the points a person would have clicked on it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..instances import middles
from ..slides import Box, read_labels
from ..slides.plain import open_plain

MIN_SIZE = 10
"""labels of fewer pixels are scraps of the annotation, dropped when scoring"""
ACCEPTED = 0.1
"""share of a field's nuclei that a person has accepted, beside rough masks"""


@dataclass(frozen=True, slots=True)
class Field:
    """One image with its masks."""

    stem: str
    image: Path
    labels: Path
    mpp: float

    def rgb(self) -> NDArray[np.uint8]:
        """Pixels, (H, W, 3)."""
        with open_plain(self.image) as slide:
            return slide.read(Box(0, 0, *slide.shape))

    def truth(self) -> NDArray[np.int32]:
        """Nuclei, (H, W), scraps under MIN_SIZE left out."""
        labels = read_labels(self.labels)
        sizes = np.bincount(labels.ravel())
        small = sizes < MIN_SIZE
        small[0] = False
        return np.where(small[labels], 0, labels).astype(np.int32)


def fields(data: Path, name: str) -> list[Field]:
    """Every image of one set, by name. CPM-15's first seven are at 20x, all others at 40x."""
    images = sorted((data / name / "images").glob("*.png"))
    return [
        Field(p.stem, p, data / name / "labels" / f"{p.stem}.tif", _mpp(name, p.stem))
        for p in images
    ]


def _mpp(name: str, stem: str) -> float:
    low = name == "cpm15" and stem[-2:].isdigit() and int(stem[-2:]) <= 7
    return 0.5 if low else 0.25


def inner_points(labels: NDArray[np.int32]) -> NDArray[np.float64]:
    """One point a nucleus, (n, 2) of (y, x): where its distance to its own border is largest."""
    found = middles(labels, int(labels.max(initial=0)))
    return found[np.isfinite(found).all(axis=1)]


def shifted(
    points: NDArray[np.float64], by: float, shape: tuple[int, int], seed: int
) -> NDArray[np.float64]:
    """Each point moved at random by up to `by` px in y and in x (SC-Net §III-E), kept inside."""
    moves = np.random.default_rng(seed).uniform(-by, by, points.shape)
    moved = np.clip(np.round(points + moves), 0, np.array(shape) - 1)
    return np.unique(moved, axis=0)
