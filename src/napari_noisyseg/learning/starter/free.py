"""Fields with true masks whose licences let weights learned from them be shipped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.coarse.appearance import MPP, resized, resized_labels, working_shape
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box, open_image, read_labels

SETS: dict[str, float | None] = {"tnbc": MPP, "tnbc_samples": MPP, "dsb2018/hist": None}
"""µm per pixel of each set: Naylor et al. 2018 (CC BY 4.0), Data Science Bowl 2018 (CC0)."""
SOURCES = {"tnbc": "tnbc", "tnbc_samples": "tnbc", "dsb2018/hist": "dsb2018"}
"""the laboratory or collection behind each set"""
TYPICAL = 11.0
"""Median radius in px of `MPP` to which images of unknown resolution are brought."""
SMALLEST = 10
"""Px below which a label is a scrap."""


@dataclass(frozen=True, slots=True)
class Field:
    """One image at `MPP` with its masks: rgb uint8 (H, W, 3), labels int32 (H, W)."""

    name: str
    source: str
    rgb: NDArray[np.uint8]
    labels: NDArray[np.int32]


def fields(data: Path, without: str | None = None) -> list[Field]:
    """Every field of the sets in `data` but those of one source. NoisySegError where one lacks."""
    found = [
        _field(path, name, mpp)
        for name, mpp in SETS.items()
        if SOURCES[name] != without
        for path in _images(data, name)
    ]
    return [field for field in found if field.labels.any()]


def _images(data: Path, name: str) -> list[Path]:
    images = sorted((data / name / "images").glob("*.png"))
    if not images:
        raise NoisySegError(
            f"no data in {data / name}: the starter is learned from {', '.join(SETS)}, each laid "
            "out as images/NAME.png and labels/NAME.tif (docs/starter.md tells where they are from)"
        )
    return images


def _field(path: Path, name: str, mpp: float | None) -> Field:
    with open_image(path) as slide:
        rgb = slide.read(Box(0, 0, *slide.shape))
    labels = read_labels(path.parents[1] / "labels" / f"{path.stem}.tif").astype(np.int32)
    sizes = np.bincount(labels.ravel())
    labels[sizes[labels] < SMALLEST] = 0
    shape = working_shape(labels.shape, mpp or _guessed(sizes))
    return Field(path.stem, SOURCES[name], resized(rgb, shape), resized_labels(labels, shape))


def _guessed(sizes: NDArray[np.intp]) -> float:
    """µm per pixel at which the median nucleus has the typical radius."""
    areas = sizes[1:][sizes[1:] >= SMALLEST]
    return MPP * TYPICAL / float(np.sqrt(np.median(areas) / np.pi)) if len(areas) else MPP
