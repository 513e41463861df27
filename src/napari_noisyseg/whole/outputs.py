"""What is written of a predicted slide: a table of its nuclei, outlines for QuPath, its summary."""

from __future__ import annotations

import json
import uuid
from array import array
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.exchange import geojson
from napari_noisyseg.exchange.cells import cell
from napari_noisyseg.exchange.detections import generator
from napari_noisyseg.exchange.labels import TILE, tile_boxes, write_tiles, written_whole
from napari_noisyseg.exchange.outlines import trace
from napari_noisyseg.exchange.predicted import NAMES
from napari_noisyseg.store.arrays import open_array
from napari_noisyseg.store.packing import count_masks
from napari_noisyseg.whole.stitch import Settled, Stitched

COLUMNS = ("label", "x", "y", "area_um2", "confidence", "doubt")
DOUBTFUL = 0.5
"""Confidence below which a nucleus is more likely wrong than right."""


@dataclass(frozen=True, slots=True)
class Summary:
    """A slide in a line. tissue_mm2: of stained tissue; per_mm2: nuclei for each of these.

    doubtful: share of the nuclei whose confidence is under a half; None where none was told.
    """

    image: str
    width: int
    height: int
    mpp: float
    tissue_mm2: float
    nuclei: int
    per_mm2: float | None
    mean_area_um2: float | None
    median_area_um2: float | None
    doubtful: float | None

    def row(self) -> dict[str, Any]:
        """By name."""
        return asdict(self)


def summary(
    image: str,
    shape: tuple[int, int],
    mpp: float,
    tissue_mm2: float,
    areas: NDArray[np.floating[Any]],
    doubtful: int | None,
) -> Summary:
    """Of areas (n,) in µm² of the nuclei of an image of `shape`."""
    count = len(areas)
    mean, median = (round(float(f(areas)), 3) if count else None for f in (np.mean, np.median))
    return Summary(
        image, shape[1], shape[0], mpp, round(tissue_mm2, 5), count,
        round(count / tissue_mm2, 2) if tissue_mm2 > 0 else None, mean, median,
        round(doubtful / count, 4) if count and doubtful is not None else None,
    )  # fmt: skip


def write_table(path: Path, stitched: Stitched) -> tuple[NDArray[np.float32], int]:
    """A row for each nucleus, tile by tile; whole or not at all. Gives areas in µm², and doubtful.

    x, y: level-0 pixels, centres at integers. Raises JobError.
    """
    areas, doubtful = array("f"), 0
    with written_whole(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        file.write(",".join(COLUMNS) + "\n")
        for settled in stitched.nuclei():
            sizes = areas_of(settled, stitched.plan.mpp)
            file.writelines(_rows(settled, sizes))
            areas.extend(sizes.tolist())
            doubtful += int((settled.nuclei.scores < DOUBTFUL).sum())
    return np.array(areas, np.float32), doubtful


def areas_of(settled: Settled, mpp: float) -> NDArray[np.float64]:
    """In µm², (n,)."""
    nuclei = settled.nuclei
    boxes = [nuclei.box(k) for k in range(len(nuclei))]
    return np.asarray(count_masks(nuclei.masks, boxes) * mpp**2, np.float64)


def _rows(settled: Settled, sizes: NDArray[np.float64]) -> Iterator[str]:
    nuclei = settled.nuclei
    doubts = {reason: json.dumps(cell(reason)) for reason in set(nuclei.reasons)}
    for k, id in enumerate(settled.ids.tolist()):
        y, x = nuclei.places[k]
        score, doubt = nuclei.scores[k], doubts[nuclei.reasons[k]]
        yield f"{id},{x:.2f},{y:.2f},{sizes[k]:.6g},{score:.4f},{doubt}\n"


def write_outlines(path: Path, stitched: Stitched, image: str) -> None:
    """Every nucleus as QuPath's detection, tile by tile; whole or not at all. Raises JobError."""
    with written_whole(path) as partial, partial.open("w", encoding="utf-8", newline="\n") as file:
        file.write(f'{{"type": "FeatureCollection", {generator("predict")}, "features": [')
        between = "\n"
        for settled in stitched.nuclei():
            for k, id in enumerate(settled.ids.tolist()):
                file.write(between + _feature(settled, k, id, image))
                between = ",\n"
        file.write("\n]}\n")


def _feature(settled: Settled, k: int, id: int, image: str) -> str:
    nuclei = settled.nuclei
    polygons = trace(nuclei.mask(k), nuclei.box(k).origin)
    measured = {"confidence": round(float(nuclei.scores[k]), 4)}
    about = {"image": image, "label": str(id)}
    name = str(uuid.uuid5(NAMES, f"{image} {id}"))
    feature = geojson.feature(polygons, name, None, measured, about)
    return json.dumps(feature, ensure_ascii=False, allow_nan=False)


def write_image(path: Path, stitched: Stitched) -> None:
    """The label image as one TIFF, tile by tile; whole or not at all. Raises JobError."""
    plan = stitched.plan
    shape, array = (plan.height, plan.width), open_array(stitched.labels, 0, "r")
    largest = max((int(s.ids[-1]) for s in stitched.nuclei() if len(s.ids)), default=0)

    def tiles() -> Iterator[NDArray[Any]]:
        for box in tile_boxes(shape):
            part = np.asarray(array[box.slices])
            yield np.pad(part, ((0, TILE - box.height), (0, TILE - box.width)))

    with written_whole(path) as partial:
        write_tiles(partial, shape, tiles(), largest, plan.mpp, by="predict")
