"""A table of nuclei: size, shape, stain, class and state of each."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.exchange.cells import cell
from napari_noisyseg.exchange.nuclei import ExportedImage
from napari_noisyseg.instances import shapes_of
from napari_noisyseg.slides import Box, Slide
from napari_noisyseg.stains.deconvolution import FIXED, densities
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


def _measured(image: ExportedImage) -> Iterator[tuple[Packed, Table]]:
    """Nuclei of a square of the image, and what is measured of each."""
    mpp = image.record.mpp
    with image.project.pixels(image.record.name) as slide:
        for nuclei, region, rgb in _read_ahead(slide, image.by_square(TILE)):
            table = np.empty((len(nuclei), 4))
            for which, stack in nuclei.stacks():
                shapes = shapes_of(stack)
                table[which, 0] = shapes.areas * mpp**2
                table[which, 1] = shapes.perimeters * mpp
                table[which, 2] = shapes.eccentricities
                corners = nuclei.boxes[which, :2] - region.origin
                table[which, 3] = _hematoxylin(stack, corners, rgb) / shapes.areas
            yield nuclei, table


def _read_ahead(
    slide: Slide, parts: Iterable[Packed]
) -> Iterator[tuple[Packed, Box, NDArray[np.uint8]]]:
    """The region that each part lies in and its pixels, read while the part before is measured."""
    with ThreadPoolExecutor(1) as reader:
        waiting: list[tuple[Packed, Box, Future[NDArray[np.uint8]]]] = []
        for nuclei in parts:
            (y0, x0), (y1, x1) = nuclei.boxes[:, :2].min(axis=0), nuclei.boxes[:, 2:].max(axis=0)
            region = Box(int(y0), int(x0), int(y1), int(x1))
            waiting.append((nuclei, region, reader.submit(slide.read, region)))
            if len(waiting) > 1:
                before, box, pixels = waiting.pop(0)
                yield before, box, pixels.result()
        for before, box, pixels in waiting:
            yield before, box, pixels.result()


def _hematoxylin(
    stack: NDArray[np.uint8], corners: NDArray[np.int64], rgb: NDArray[np.uint8]
) -> NDArray[np.float64]:
    """The sum of the densities of each mask (k, h, w), (k,); `corners` (k, 2) say where the first
    pixel of each box is in `rgb` (H, W, 3).
    """
    number, height, width = stack.shape
    found = np.flatnonzero(stack.view(np.bool_)).astype(np.int32)
    owner = found // (height * width)
    within = found - owner * np.int32(height * width)
    # masks lie one pixel inside their stack
    rows, columns = (np.arange(n) - 1 for n in (height, width))
    steps = (rows[:, None] * rgb.shape[1] + columns).ravel()
    places = (corners[:, 0] * rgb.shape[1] + corners[:, 1]).take(owner) + steps.take(within)
    pixels = rgb.reshape(-1, 3).take(places, axis=0)
    # in rows, as `densities` works through an image
    dark = densities(pixels[:, None], FIXED)[0, :, 0]
    return np.asarray(np.bincount(owner, dark, minlength=number), np.float64)
