"""A file of annotation, whatever its format, as the points or nuclei of one image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.exchange import csv_points, geojson
from napari_noisyseg.exchange.csv_points import listed
from napari_noisyseg.exchange.drawn import check_sizes, masks_of
from napari_noisyseg.exchange.shapes import Masks, Points, Shape
from napari_noisyseg.slides import Box, read_labels, without_gaps
from napari_noisyseg.store.records import Outline

GEOJSON = (".geojson", ".json")
LABELS = (".tif", ".tiff", ".png")


def read_points(path: Path, shape: tuple[int, int]) -> Points:
    """The points of a .csv or .geojson file, all inside an image of this shape and no two alike.

    A GeoJSON file without points gives a point inside each of its nuclei. Raises `NoisySegError`
    naming the lines (or features) that are wrong.
    """
    if path.suffix.lower() == ".csv":
        table = csv_points.read(path)
        points = Points(table.points, table.classes, [f"line {n}" for n in table.lines])
    elif path.suffix.lower() in GEOJSON:
        points = _points_of_shapes(geojson.read(path), path, shape)
    else:
        raise NoisySegError(f"{path}: points are read from .csv (x,y[,class]) or QuPath .geojson")
    _check_points(points, path, shape)
    return points


def read_masks(path: Path, shape: tuple[int, int]) -> Masks:
    """The nuclei of a label image (.tif, .png) or a .geojson file, for an image of this shape.

    What reaches over the image's edge is cut to it. Raises `NoisySegError` for another size, for
    nuclei outside the image and for files without any.
    """
    if path.suffix.lower() in GEOJSON:
        nuclei = masks_of(geojson.read(path), path, shape)
    elif path.suffix.lower() in LABELS:
        nuclei = _nuclei_of_labels(read_labels(path), path, shape)
    else:
        raise NoisySegError(f"{path}: masks are read from label images (.tif, .png) or .geojson")
    if not nuclei.outlines:
        raise NoisySegError(f"{path} holds no nuclei: nothing was imported")
    return nuclei


def pixel(places: NDArray[np.float64]) -> NDArray[np.int64]:
    """The pixels (n, 2) in which points lie."""
    return np.floor(places + 0.5).astype(np.int64)


def _check_points(points: Points, path: Path, shape: tuple[int, int]) -> None:
    if not len(points.places):
        raise NoisySegError(f"{path} holds no points: nothing was imported")
    cells = pixel(points.places)
    outside = np.flatnonzero(((cells < 0) | (cells >= shape)).any(axis=1))
    if len(outside):
        named = listed([f"{points.where[i]} {_xy(points.places[i])}" for i in outside])
        raise NoisySegError(
            f"{path}: {named}: outside the image of {shape[1]} x {shape[0]} pixels; mend or "
            "remove them, and check that coordinates are in level-0 pixels, x before y"
        )
    first: dict[tuple[int, int], int] = {}
    twice = []
    for i, cell in enumerate(map(tuple, cells.tolist())):
        earlier = first.setdefault(cell, i)
        if earlier != i:
            twice.append(f"{points.where[i]} repeats {points.where[earlier]}")
    if twice:
        raise NoisySegError(f"{path}: {listed(twice)}: remove the points that are there twice")


def _xy(place: NDArray[np.float64]) -> str:
    return f"(x {place[1]:g}, y {place[0]:g})"


def _points_of_shapes(shapes: Sequence[Shape], path: Path, shape: tuple[int, int]) -> Points:
    drawn = [s for s in shapes if s.kind == "point"]
    if not drawn:
        nuclei = masks_of(shapes, path, shape)
        places = np.array([o.middle() for o in nuclei.outlines], float).reshape(-1, 2)
        where = [f"nucleus {n}" for n in range(1, len(places) + 1)]
        words = f"the file has no points: {len(places)} were put into its nuclei"
        return Points(places, nuclei.classes, where, "; ".join(filter(None, [words, nuclei.note])))
    places = np.vstack([s.points for s in drawn])
    owners = [s for s in drawn for _ in s.points]
    left = len(shapes) - len(drawn)
    note = f"{left} outlines in the file were left out" if left else ""
    return Points(
        places,
        [s.class_name for s in owners],
        [s.where.removeprefix(f"{path}, ") for s in owners],
        note,
    )


def _nuclei_of_labels(labels: NDArray[np.int32], path: Path, shape: tuple[int, int]) -> Masks:
    if labels.shape != shape:
        raise NoisySegError(
            f"{path} is {labels.shape[1]} x {labels.shape[0]} pixels but its image is "
            f"{shape[1]} x {shape[0]}: give the label image of this image at full size"
        )
    values, numbered = without_gaps(labels)
    names = values[values != 0].tolist()
    note = ""
    parts = _parts(numbered) if len(names) == 1 else None
    if parts is not None and parts.max() > 1:
        numbered, names = parts, names * int(parts.max())
        note = f"a mask of one value: its {len(names)} separate parts were taken as nuclei"
    places = [(n, Box.of_slices(*p)) for n, p in enumerate(ndimage.find_objects(numbered), start=1)]
    check_sizes([(f"{path}, label {names[n - 1]}", box) for n, box in places])
    found = [Outline(box, numbered[box.slices] == n) for n, box in places]
    return Masks(found, [None] * len(found), note)


def _parts(mask: NDArray[np.int32]) -> NDArray[np.int32]:
    """The parts of a mask of one value, numbered; what touches at a corner only is apart."""
    return np.asarray(ndimage.label(mask)[0], np.int32)
