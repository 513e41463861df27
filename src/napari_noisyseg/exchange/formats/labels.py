"""Label images: each pixel holds the number of its nucleus."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.exchange.formats.format import Format, per_image
from napari_noisyseg.exchange.labels import (
    TILE,
    read_labels,
    tile_boxes,
    write_labels,
    write_tiles,
    writer_of,
)
from napari_noisyseg.exchange.nuclei import ExportedImage
from napari_noisyseg.exchange.shapes import LabelFile

ENDING = ".tif"
WHOLE_PIXELS = 64_000_000


def _read(path: Path) -> LabelFile:
    return LabelFile(read_labels(path))


def _write(image: ExportedImage, path: Path) -> None:
    height, width = image.shape
    if height * width <= WHOLE_PIXELS:
        write_labels(path, image.labels(), image.record.mpp)
    else:
        write_tiles(path, image.shape, _tiles(image), image.largest, image.record.mpp)


def _tiles(image: ExportedImage) -> Iterator[NDArray[np.int32]]:
    for box, nuclei in zip(tile_boxes(image.shape), image.by_tile(), strict=True):
        tile = np.zeros((TILE, TILE), np.int32)
        for nucleus in nuclei:
            nucleus.outline.paste(tile, box, nucleus.serial)
        yield tile


def _is_ours(path: Path) -> bool:
    return writer_of(path) == "export"


FORMAT = Format(
    name="labels",
    title="Label TIFF",
    holds="each pixel holds the number of its nucleus",
    ending=ENDING,
    other_endings=(".tiff",),
    read_endings=(".png",),
    write=per_image(ENDING, _write),
    labels=_read,
    is_ours=_is_ours,
)
