"""Label images: one number per nucleus, 0 for background."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides.beginning import TIFF_STARTS, file_start
from napari_noisyseg.slides.limits import check_decodable
from napari_noisyseg.slides.plain import opened
from napari_noisyseg.slides.tiff import check_axes

LARGEST = np.iinfo(np.int32).max


def read_labels(path: Path) -> NDArray[np.int32]:
    """A label image (.tif or .png) as int32 (H, W), 0 = background; binary masks become 0, 1.

    Palette PNGs give their indices. Raises `NoisySegError` for colour images, stacks, negative or
    fractional numbers, ids beyond 2^31 - 1, and damaged files.
    """
    path = Path(path)
    labels = _from_tiff(path) if file_start(path).startswith(TIFF_STARTS) else _from_png(path)
    if labels.ndim != 2:
        raise NoisySegError(
            f"{path} is a colour image (shape {labels.shape}), not a label image: give one with a "
            "number per nucleus in a single channel"
        )
    return _as_int32(labels, path)


def _from_png(path: Path) -> NDArray[Any]:
    with opened(path) as image:
        return np.asarray(image)


def _from_tiff(path: Path) -> NDArray[Any]:
    try:
        with tifffile.TiffFile(path, _multifile=False) as file:
            series = file.series[0]
            check_axes(series, path)
            if len(file.series) > 1:
                raise NoisySegError(f"{path} holds {len(file.series)} images: one is needed")
            check_decodable(series.shape[0], series.shape[1], str(path))
            pixels: NDArray[Any] = series.asarray()
            return pixels
    except NoisySegError:
        raise
    # damaged files break the parser and the decoders in ways without number
    except Exception as error:
        raise NoisySegError(f"{path} is damaged or incomplete ({error}): copy it anew") from error


def _as_int32(labels: NDArray[Any], path: Path) -> NDArray[np.int32]:
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
    return labels.astype(np.int32)
