"""Label images: one number per nucleus, 0 for background."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides.beginning import TIFF_STARTS, file_start
from napari_noisyseg.slides.colour import STRIP
from napari_noisyseg.slides.limits import check_decodable
from napari_noisyseg.slides.plain import opened, strips
from napari_noisyseg.slides.tiff import check_axes
from napari_noisyseg.slides.tiff_pages import open_pages

LARGEST = np.iinfo(np.int32).max
ID_BYTES = 4
SINGLE = ("1", "L", "P", "I", "I;16", "I;16B", "I;16L", "F")
"""Modes of Pillow with one number a pixel."""


def read_labels(path: Path) -> NDArray[np.int32]:
    """A label image (.tif or .png) as int32 (H, W), 0 = background; binary masks become 0, 1.

    Palette PNGs give their indices. Raises `NoisySegError` for colour images, stacks, negative or
    fractional numbers, ids beyond 2^31 - 1, and damaged files.
    """
    path = Path(path)
    labels = _from_tiff(path) if file_start(path).startswith(TIFF_STARTS) else _from_png(path)
    if labels.ndim != 2 or not labels.size:
        raise NoisySegError(f"{path} is damaged: it unpacks to {labels.shape}; copy it again")
    return as_int32(labels, path)


def _from_png(path: Path) -> NDArray[Any]:
    with opened(path) as image:
        if image.mode not in SINGLE:
            raise _coloured(path, f"mode {image.mode}")
        check_decodable(image.height, image.width, str(path), ID_BYTES)
        labels: NDArray[Any] | None = None
        for rows, part in strips(image):
            values = np.asarray(part)
            labels = (
                np.empty((image.height, image.width), values.dtype) if rows.start == 0 else labels
            )
            assert labels is not None
            labels[rows] = values
        assert labels is not None
        return labels


def _from_tiff(path: Path) -> NDArray[Any]:
    try:
        with open_pages(path) as file:
            series = file.series[0]
            check_axes(series, path)
            if len(file.series) > 1:
                raise NoisySegError(f"{path} holds {len(file.series)} images: one is needed")
            lengths = dict(zip(series.axes, series.shape, strict=True))
            height, width = lengths["Y"], lengths["X"]
            if series.size != height * width:  # a stack, or channels, of one are no harm
                raise _coloured(path, f"shape {series.shape}")
            check_decodable(height, width, str(path), max(ID_BYTES, series.dtype.itemsize))
            pixels: NDArray[Any] = series.asarray()
            return pixels.reshape(height, width)
    except NoisySegError:
        raise
    # damaged files break the parser and the decoders in ways without number
    except Exception as error:
        raise NoisySegError(f"{path} is damaged or incomplete ({error}): copy it again") from error


def _coloured(path: Path, what: str) -> NoisySegError:
    return NoisySegError(
        f"{path} is a colour image or a stack ({what}), not a label image: give one with a number "
        "per nucleus in a single channel"
    )


def as_int32(labels: NDArray[Any], path: Path) -> NDArray[np.int32]:
    """Labels of any whole numbers as int32; `NoisySegError` for others and for too large ones."""
    if labels.dtype.kind not in "buif":
        raise NoisySegError(f"{path} holds {labels.dtype}, not the numbers of nuclei")
    if labels.dtype.kind == "f" and not (
        np.isfinite(labels).all() and (labels == np.floor(labels)).all()
    ):
        raise NoisySegError(f"{path} holds fractions, not whole numbers: is it a probability map?")
    low, high = labels.min(initial=0), labels.max(initial=0)
    if low < 0 or high > LARGEST:
        wrong = low if low < 0 else high
        raise NoisySegError(f"{path} holds the label {wrong}: use 0 to {LARGEST:,}, 0 = background")
    return labels.astype(np.int32, copy=False)


def windows_of(labels: NDArray[np.int32]) -> dict[int, tuple[slice, slice]]:
    """The bounding box of each value but 0 in a label image (H, W), as an index; ascending."""
    if labels.min(initial=0) >= 0 and labels.max(initial=0) <= labels.size:
        # no more places are made than the image has pixels: nothing needs to be renumbered
        plain = ndimage.find_objects(labels)
        return {n: (p[0], p[1]) for n, p in enumerate(plain, start=1) if p is not None}
    values, numbered = without_gaps(labels)
    found = ndimage.find_objects(numbered)
    return {int(values[n]): (p[0], p[1]) for n, p in enumerate(found, start=1) if p is not None}


def without_gaps(labels: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The values of a label image, ascending, 0 first, and the image (H, W) of their places there.

    Whatever counts up to the largest value needs that: an id of two thousand million is allowed.
    """
    parts = np.array_split(labels, max(1, labels.size // STRIP))
    values = np.unique(np.concatenate([[0], *(np.unique(part) for part in parts)]))
    numbered = np.empty(labels.shape, np.int32)
    for part, place in zip(parts, np.array_split(numbered, len(parts)), strict=True):
        place[:] = np.searchsorted(values, part)
    return values.astype(np.int32), numbered
