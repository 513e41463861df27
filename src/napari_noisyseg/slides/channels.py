"""Fluorescence: one channel of 8 or 16 bits, chosen by a person, becomes a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides.colour import STRIP, in_strips

SATURATED = 0.1
"""Percent of the pixels that the stretched range leaves out at either end."""


def which(what: str, count: int, names: Sequence[str] = ()) -> NoisySegError:
    """The question for the channel, with the channels' names where the file has them."""
    listed = ", ".join(
        f"{i + 1} {names[i]}" if i < len(names) else str(i + 1) for i in range(count)
    )
    return NoisySegError(
        f"{what} has {count} channels of fluorescence ({listed}): choose the one with nuclei "
        f"(--channel 1 to {count}), or save only that one"
    )


def chosen(pixels: NDArray[Any], channel: int, what: str) -> NDArray[np.uint8]:
    """Channel 1..n of (H, W[, n]) numbers as grey RGB of 8 bits, stretched over its own range."""
    planes = pixels.reshape(*pixels.shape[:2], -1)
    count = planes.shape[2]
    if not 1 <= channel <= count:
        many = f"channels 1 to {count}" if count > 1 else "one channel"
        raise NoisySegError(
            f"{what} has {many}: there is no --channel {channel}",
            window=f"{what} has {many}: there is no channel {channel}",
        )
    values = planes[..., channel - 1]
    if values.dtype not in (np.uint8, np.uint16):
        raise NoisySegError(
            f"{what} holds numbers of type {values.dtype}: save its channels with 8 or 16 bits"
        )
    low, high = _range(values)

    def stretched(part: NDArray[Any]) -> NDArray[np.uint8]:
        share = np.clip((part.astype(np.float32) - low) / (high - low), 0, 1)
        grey: NDArray[np.uint8] = np.rint(255 * share).astype(np.uint8)
        return grey[..., None]

    return in_strips(stretched, values)


def _range(values: NDArray[Any]) -> tuple[float, float]:
    """What becomes black and white of numbers (H, W) of 8 or 16 bits; counted, never sorted."""
    counts = np.zeros(2**16, np.int64)
    for row in np.array_split(values, max(1, values.size // STRIP)):
        counts += np.bincount(row.ravel(), minlength=len(counts))
    upto = np.cumsum(counts)
    places = np.array([SATURATED, 100 - SATURATED]) / 100 * (values.size - 1)
    below, above = (np.searchsorted(upto, f(places), "right") for f in (np.floor, np.ceil))
    low, high = (below + (places % 1) * (above - below)).tolist()
    if high <= low:
        low = float(values.min())
        high = max(float(values.max()), low + 1)
    return low, high


def is_fluorescence(series: Any) -> bool:
    """Whether a TIFF's channels are planes of their own, not colours.

    Three planes of 8 bits are taken for red, green and blue.
    """
    lengths = dict(zip(series.axes, series.shape, strict=True))
    count = lengths.get("C", 1)
    return "S" not in lengths and count > 1 and (series.dtype != np.uint8 or count != 3)


def names_of(file: Any) -> list[str]:
    """The channels' names as OME or ImageJ wrote them; [] where there are none."""
    labels = (file.imagej_metadata or {}).get("Labels") or []
    if file.ome_metadata:
        image = tifffile.xml2dict(file.ome_metadata).get("OME", {}).get("Image", {})
        image = image[0] if isinstance(image, list) else image
        found = image.get("Pixels", {}).get("Channel", [])
        labels = [c.get("Name", "") for c in (found if isinstance(found, list) else [found])]
    return [str(label) for label in labels if label]


def check_single(path: Path, series: Any) -> None:
    """Refuse pyramids: they are linked, not copied, so that a choice would be lost."""
    if len(series.levels) > 1:
        raise NoisySegError(
            f"{path} is a pyramid, of which no channel can be chosen: save the one that shows the "
            "nuclei alone, as a plain TIFF"
        )
