"""A table of nuclei: size, shape, stain, class and state of each."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.exchange.ahead import ahead
from napari_noisyseg.exchange.cells import cell
from napari_noisyseg.exchange.nuclei import ExportedImage
from napari_noisyseg.instances import shapes_of
from napari_noisyseg.slides import Box, Slide
from napari_noisyseg.stains.pixels import hematoxylin_of
from napari_noisyseg.store import Packed

Table = NDArray[np.float64]
"""Area and perimeter in µm, eccentricity, mean hematoxylin of n nuclei, (n, 4)."""
TILE = 4096
COLUMNS = (
    *("id", "label", "x", "y", "area_um2", "perimeter_um", "eccentricity", "mean_hematoxylin"),
    *("class", "state", "score", "comment"),
)


def write_csv(image: ExportedImage, path: Path) -> None:
    """A row a nucleus, in order of serial; `label` is its number in label images.

    x, y are level-0 pixels, pixel centres at integers. The hematoxylin is a density by the fixed
    stain vectors, so that images compare.
    """
    rows: list[str] = []
    serials: list[int] = []
    comments = image.project.nuclei.comments(image.record.name)
    said = {id: _fields(words) for id, words in comments.items()}
    for nuclei, measured in _measured(image):
        rows += _rows(nuclei, measured, said)
        serials += nuclei.serials
    with path.open("w", newline="", encoding="utf-8") as file:
        file.write(",".join(COLUMNS) + "\n")
        file.writelines(rows[k] for k in np.argsort(serials, kind="stable").tolist())


def is_csv(path: Path) -> bool:
    """Whether a file is such a table, with the column of comments or without it."""
    with path.open("rb") as file:
        return file.read(200).startswith(",".join(COLUMNS[:-1]).encode())


def _fields(*values: str) -> str:
    """Fields of a row, quoted where needed; nothing that a spreadsheet runs as a formula."""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow([cell(value) for value in values])
    return text.getvalue()


def _rows(nuclei: Packed, measured: Table, comments: Mapping[str, str]) -> list[str]:
    kinds = set(zip(nuclei.classes, nuclei.states, strict=True))
    ends = {kind: _fields(kind[0] or "", kind[1]) for kind in kinds}
    scores = ["" if score is None else f"{score:.6g}" for score in nuclei.scores]
    columns = (nuclei.ids, nuclei.serials, nuclei.x, nuclei.y, measured.tolist(),
               nuclei.classes, nuclei.states, scores)  # fmt: skip
    return [
        f"{id},{serial},{x:.6g},{y:.6g},{area:.6g},{around:.6g},{long:.6g},{dark:.6g},"
        f"{ends[name, state]},{score},{comments.get(id, '')}\n"
        for id, serial, x, y, (area, around, long, dark), name, state, score in zip(
            *columns, strict=True
        )
    ]


class _Part(NamedTuple):
    """Nuclei of a square of the image, and the pixels of the region that they lie in."""

    nuclei: Packed
    region: Box
    rgb: NDArray[np.uint8]


def _measured(image: ExportedImage) -> Iterator[tuple[Packed, Table]]:
    """Nuclei of a square of the image, and what is measured of each.

    One square is read while another one is measured and a third one is put into words.
    """
    with image.project.pixels(image.record.name) as slide:
        parts = ahead(partial(_read, slide), image.by_square(TILE))
        yield from ahead(partial(_measure, image.record.mpp), parts)


def _read(slide: Slide, nuclei: Packed) -> _Part:
    (y0, x0), (y1, x1) = nuclei.boxes[:, :2].min(axis=0), nuclei.boxes[:, 2:].max(axis=0)
    region = Box(int(y0), int(x0), int(y1), int(x1))
    return _Part(nuclei, region, slide.read(region))


def _measure(mpp: float, part: _Part) -> tuple[Packed, Table]:
    table = np.empty((len(part.nuclei), 4))
    for which, stack in part.nuclei.stacks():
        shapes = shapes_of(stack)
        table[which, 0] = shapes.areas * mpp**2
        table[which, 1] = shapes.perimeters * mpp
        table[which, 2] = shapes.eccentricities
        corners = part.nuclei.boxes[which, :2] - part.region.origin
        table[which, 3] = _hematoxylin(stack, corners, part.rgb) / shapes.areas
    return part.nuclei, table


def _hematoxylin(
    stack: NDArray[np.uint8], corners: NDArray[np.int64], rgb: NDArray[np.uint8]
) -> NDArray[np.float64]:
    """The sum of the densities of each mask (k, h, w), (k,); `corners` (k, 2) say where the first
    pixel of each box is in `rgb` (H, W, 3).
    """
    number, height, width = stack.shape
    inside = stack.reshape(number, -1).view(np.bool_)
    # masks lie one pixel inside their stack
    rows, columns = (np.arange(n) - 1 for n in (height, width))
    steps = (rows[:, None] * rgb.shape[1] + columns).ravel()
    places = (corners[:, :1] * rgb.shape[1] + corners[:, 1:] + steps)[inside]
    dark = hematoxylin_of(rgb, places)
    sums, counts = np.zeros(number), np.count_nonzero(inside, axis=1)
    starts = (np.cumsum(counts) - counts)[counts > 0]
    if len(starts):
        sums[counts > 0] = np.add.reduceat(dark, starts, dtype=np.float64)
    return sums
