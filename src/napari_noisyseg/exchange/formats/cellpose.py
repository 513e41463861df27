"""Cellpose `_seg.npy`: what its window opens beside an image.

Such a file is a pickle, which can run code when it is opened: we write it and never read it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.exchange.formats.format import Format, has_our_mark, per_image
from napari_noisyseg.exchange.formats.labels import WHOLE_PIXELS
from napari_noisyseg.exchange.formats.rows import UNNAMED, colors, rows
from napari_noisyseg.exchange.marks import MADE_BY
from napari_noisyseg.exchange.nuclei import ExportedImage
from napari_noisyseg.slides import without_gaps

ENDING = "_seg.npy"


def _write(image: ExportedImage, path: Path) -> None:
    height, width = image.shape
    if height * width > WHOLE_PIXELS:
        raise NoisySegError(
            f"{image.record.name} is {width} x {height} pixels, more than Cellpose opens at once: "
            "choose labels or geojson"
        )
    values, masks = without_gaps(image.labels())
    found = {row.serial: row for row in rows(image)}
    # a nucleus that is completely under others has no pixel of its own
    seen = [found[value] for value in values[values != 0].tolist()]
    kind = np.dtype(np.uint16 if len(seen) < 2**16 else np.uint32)
    pens = colors(image)
    areas = np.array([row.area for row in seen], float)
    diameter = float(np.sqrt(np.median(areas) / np.pi) * 2) if len(areas) else 0.0
    content: dict[str, Any] = {
        "generator": MADE_BY,
        "filename": image.record.name,
        "masks": masks.astype(kind),
        "outlines": (masks * _at_edge(masks)).astype(kind),
        "colors": np.array(
            [pens.get(row.class_name or "", UNNAMED) for row in seen], np.uint8
        ).reshape(-1, 3),
        "ismanual": np.array([row.state == "accepted" for row in seen], bool),
        "chan_choose": [0, 0],
        "manual_changes": [],
        "diameter": diameter,
        "est_diam": diameter,
        # keys that Cellpose does not use
        "ids": [row.id for row in seen],
        "labels": np.array([row.serial for row in seen], np.int64),
        "classes": [row.class_name for row in seen],
        "states": [row.state for row in seen],
        "scores": [row.score for row in seen],
    }
    with path.open("wb") as file:
        np.save(file, np.array(content, object))


def _at_edge(masks: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Pixels beside one of another number, or of none."""
    padded = np.pad(masks, 1)
    inner = padded[1:-1, 1:-1]
    beside = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    return np.asarray(np.any([inner != other for other in beside], axis=0))


FORMAT = Format(
    name="cellpose",
    title="Cellpose _seg.npy",
    holds="masks and outlines as Cellpose's window opens them",
    loses="Nuclei are renumbered, and where they overlap a pixel belongs to one of them.",
    ending=ENDING,
    write=per_image(ENDING, _write),
    is_ours=has_our_mark,
    refusal="a Cellpose _seg.npy is a pickle, which can run code, and is never opened; in Cellpose "
    "save the masks as PNG or TIFF, and import those",
)
