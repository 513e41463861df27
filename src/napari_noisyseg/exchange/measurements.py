"""A table of nuclei: size, shape, stain, class and state of each."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.exchange.cells import cell
from napari_noisyseg.exchange.nuclei import ExportedImage, ExportedNucleus
from napari_noisyseg.instances import Measured, measure
from napari_noisyseg.slides import Box, Slide
from napari_noisyseg.stains.deconvolution import FIXED, densities

TILE = 2048
COLUMNS = (
    *("id", "label", "x", "y", "area_um2", "perimeter_um", "eccentricity", "mean_hematoxylin"),
    *("class", "state", "score"),
)


def write_csv(image: ExportedImage, path: Path) -> None:
    """A row a nucleus, in order of serial; `label` is its number in label images.

    x, y are level-0 pixels, pixel centres at integers. The hematoxylin is a density by the fixed
    stain vectors, so that images compare.
    """
    measured = dict(_measured(image))
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        for n in image.nuclei:
            m = measured[n.id]
            shape = (m.area_um2, m.perimeter_um, m.eccentricity, m.mean_hematoxylin)
            numbers = [f"{v:.6g}" for v in (n.x, n.y, *shape)]
            score = "" if n.score is None else f"{n.score:.6g}"
            table.writerow([n.id, n.serial, *numbers, cell(n.class_name or ""), n.state, score])


def is_csv(path: Path) -> bool:
    """Whether a file is such a table."""
    with path.open("rb") as file:
        return file.read(200).startswith(",".join(COLUMNS).encode())


def _measured(image: ExportedImage) -> Iterator[tuple[str, Measured]]:
    """Each nucleus's id with its figures, reading the pixels in pieces."""
    groups: dict[tuple[int, int], list[ExportedNucleus]] = defaultdict(list)
    for nucleus in image.nuclei:
        box = nucleus.outline.box
        groups[box.y0 // TILE, box.x0 // TILE].append(nucleus)
    if not groups:
        return
    with image.project.pixels(image.record.name) as slide:
        for group in groups.values():
            yield from _measured_group(group, slide, image.record.mpp)


def _measured_group(
    group: list[ExportedNucleus], slide: Slide, mpp: float
) -> Iterator[tuple[str, Measured]]:
    region = Box.around(n.outline.box for n in group)
    density = densities(slide.read(region), FIXED)[0]
    labels = np.zeros(density.shape, np.int32)
    for number, nucleus in enumerate(group, start=1):
        place = nucleus.outline.box.within(region)
        mask = nucleus.outline.mask
        # one that overlaps another is measured alone, so that neither loses pixels
        if labels[place][mask].any():
            yield nucleus.id, _alone(mask, density[place], mpp)
        else:
            labels[place][mask] = number
    for measured in measure(labels, density, mpp):
        yield group[measured.label - 1].id, measured


def _alone(mask: NDArray[np.bool_], density: NDArray[np.float32], mpp: float) -> Measured:
    return measure(mask.astype(np.int32), density, mpp)[0]
