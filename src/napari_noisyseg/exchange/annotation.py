"""A file of annotation, whatever its format, as the points or nuclei of one image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.exchange.csv_points import listed
from napari_noisyseg.exchange.drawn import check_sizes, masks_of, once, swapped
from napari_noisyseg.exchange.formats import Format, endings, of_file
from napari_noisyseg.exchange.shapes import LabelFile, Masks, Points, Shape, colors_of, left_out
from napari_noisyseg.slides import Box, without_gaps
from napari_noisyseg.store.records import Outline

WHOLE = 128**2
"""pixels of an image that may be no more than a nucleus and its surroundings"""
BLOB = 0.6
"""share of the image above which a single mask is no nucleus"""
WIDE, SCATTERED = 0.25, 5
"""share of the image over which a class, or a shade, is spread at least, and in how many parts"""
SHADES = 16
"""labels, as many as classes hardly are: those that are spread are shades, of whatever parts"""
SOLID = 20
"""pixels of a class's part, once its ragged rim is off: noise in a rough mask is all rim"""


def read_points(
    path: Path, shape: tuple[int, int], image: str = "", format: str | None = None
) -> Points:
    """The points of a file, all inside an image of this shape and no two alike.

    A file of outlines without points gives a point inside each of its nuclei. `image`: whose
    points, if the file has several images; `format`: the file's, if its ending does not tell.
    Raises `NoisySegError` naming the lines (or features) that are wrong.
    """
    chosen = of_file(path, format)
    chosen.require()
    if chosen.points is not None:
        table = chosen.points(path)
        points = Points(table.points, table.classes, [f"line {n}" for n in table.lines])
    elif chosen.shapes is not None:
        found = _of_this_size(chosen.shapes(path, image), shape)
        points = _points_of_shapes(found, path, shape)
    else:
        raise _unread(path, chosen, "points")
    _check_points(points, path, shape)
    return points


def read_masks(
    path: Path, shape: tuple[int, int], image: str = "", format: str | None = None
) -> Masks:
    """The nuclei of a label image or of a file of outlines, for an image of this shape.

    What reaches over the image's edge is cut to it. `image`, `format` as in `read_points`. Raises
    `NoisySegError` for another size, where most nuclei are outside the image, and for files without
    any.
    """
    chosen = of_file(path, format)
    chosen.require()
    if chosen.shapes is not None:
        nuclei = _masks_of_shapes(_of_this_size(chosen.shapes(path, image), shape), path, shape)
    elif chosen.labels is not None:
        nuclei = _nuclei_of_labels(chosen.labels(path), path, shape)
    else:
        raise _unread(path, chosen, "masks")
    if not nuclei.outlines:
        raise _nothing(path, "nuclei", nuclei.note)
    return nuclei


def _nothing(path: Path, kind: str, note: str) -> NoisySegError:
    left = f" ({note})" if note else ""
    return NoisySegError(f"{path} holds no {kind}{left}: nothing was imported")


def _of_this_size(shapes: Sequence[Shape], shape: tuple[int, int]) -> Sequence[Shape]:
    """The shapes; NoisySegError where the file says that their image has another size."""
    for drawn in shapes:
        if drawn.size is not None and drawn.size != shape:
            raise NoisySegError(
                f"{drawn.where} is of an image of {drawn.size[1]} x {drawn.size[0]} pixels but its "
                f"image is {shape[1]} x {shape[0]}: give a file that was made for this image at "
                "full size"
            )
    return shapes


def _masks_of_shapes(shapes: Sequence[Shape], path: Path, shape: tuple[int, int]) -> Masks:
    nuclei = once(masks_of(shapes, path, shape))
    points = sum(len(s.points) for s in shapes if s.kind == "point")
    if not points:
        return nuclei
    if not nuclei.outlines:
        raise NoisySegError(
            f"{path} holds {points} points and no outline: import them as points "
            "(noisyseg create --points, or noisyseg import --as points)"
        )
    left = f"{points} points in the file were left out"
    return replace(nuclei, note="; ".join(filter(None, [nuclei.note, left])))


def _unread(path: Path, format: Format, kind: Literal["points", "masks"]) -> NoisySegError:
    able = ", ".join(endings(kind))
    reason = format.refusal or f"{format.title} holds no {kind}"
    return NoisySegError(f"{path}: {reason}; {kind} are read from files that end in {able}")


def pixel(places: NDArray[np.float64]) -> NDArray[np.int64]:
    """The pixels (n, 2) that points are in."""
    return np.floor(places + 0.5).astype(np.int64)


def _check_points(points: Points, path: Path, shape: tuple[int, int]) -> None:
    if not len(points.places):
        raise _nothing(path, "points", points.note)
    cells = pixel(points.places)
    outside = np.flatnonzero(((cells < 0) | (cells >= shape)).any(axis=1))
    if len(outside):
        named = listed([f"{points.where[i]} {_xy(points.places[i])}" for i in outside])
        advice = swapped(points.places.max(axis=0) + 0.5, shape) or (
            "mend or remove them, and check that coordinates are in level-0 pixels, x before y"
        )
        raise NoisySegError(
            f"{path}: {named}: outside the image of {shape[1]} x {shape[0]} pixels; {advice}"
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
        nuclei = once(masks_of(shapes, path, shape))
        places = np.array([o.middle() for o in nuclei.outlines], float).reshape(-1, 2)
        where = [f"nucleus {n}" for n in range(1, len(places) + 1)]
        words = f"the file has no points: {len(places)} were put into its nuclei"
        note = "; ".join(filter(None, [words if len(places) else "", nuclei.note]))
        return Points(places, nuclei.classes, where, note, nuclei.colors)
    places = np.vstack([s.points for s in drawn])
    owners = [s for s in drawn for _ in s.points]
    left = sum(s.kind == "polygon" for s in shapes)
    notes = [f"{left} outlines in the file were left out"] if left else []
    return Points(
        places,
        [s.class_name for s in owners],
        [s.where.removeprefix(f"{path}, ") for s in owners],
        "; ".join([*notes, *left_out(shapes)]),
        colors_of(drawn),
    )


def _nuclei_of_labels(file: LabelFile, path: Path, shape: tuple[int, int]) -> Masks:
    labels = file.labels
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
    _check_labels(numbered, places, [f"{path}, label {name}" for name in names])
    found = [Outline(box, numbered[box.slices] == n) for n, box in places]
    return Masks(found, [file.classes.get(n) for n in names], note, file.colors)


def _check_labels(
    numbered: NDArray[np.int32], places: list[tuple[int, Box]], named: list[str]
) -> None:
    """NoisySegError where numbers stand for background, classes or shades instead of nuclei."""
    check_sizes([(named[n - 1], box) for n, box in places])
    if numbered.size < WHOLE:
        return
    wide = [(n, box) for n, box in places if box.height * box.width > WIDE * numbered.size]
    scattered = []
    for n, box in wide:
        mask = numbered[box.slices] == n
        if np.count_nonzero(mask) > BLOB * numbered.size:
            raise NoisySegError(
                f"{named[n - 1]} covers {np.count_nonzero(mask) / numbered.size:.0%} of the image, "
                "so it is no nucleus: give pixels of the background the value 0, and those of each "
                "nucleus a number of its own"
            )
        parts = _parts(mask).max() if len(places) >= SHADES else _solid_parts(mask)
        if parts >= SCATTERED:
            scattered.append(named[n - 1])
    if 2 * len(scattered) >= len(places) > 0:
        raise NoisySegError(
            f"{listed(scattered, 1)}: many parts all over the image, so these are classes or "
            "shades, not nuclei: give a number of its own to each nucleus (a mask of one value is "
            "taken apart)"
        )


def _parts(mask: NDArray[Any]) -> NDArray[np.int32]:
    """The parts of a mask of one value, numbered; pieces that touch at a corner are separate."""
    return np.asarray(ndimage.label(mask)[0], np.int32)


def _solid_parts(mask: NDArray[np.bool_]) -> int:
    """In how many parts of a nucleus's make a mask lies."""
    parts = _parts(ndimage.binary_opening(mask, np.ones((3, 3), bool)))
    return int(np.count_nonzero(np.bincount(parts.ravel())[1:] >= SOLID))
