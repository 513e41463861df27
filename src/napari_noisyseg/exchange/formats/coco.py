"""COCO JSON: one file for all images, outlines as polygons or run lengths, classes as categories.

Polygons cannot have holes in COCO; nuclei with holes are written as run lengths (RLE).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path, PurePath
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg import bounded_json
from napari_noisyseg.bounded_json import WRONG
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.exchange.csv_points import listed
from napari_noisyseg.exchange.drawn import MAX_NUCLEUS
from napari_noisyseg.exchange.formats.format import Format, has_our_mark
from napari_noisyseg.exchange.formats.rows import (
    FARTHEST,
    Row,
    check_vertices,
    color_of,
    colors,
    ring_of,
    rows,
    told_shape,
)
from napari_noisyseg.exchange.marks import MADE_BY
from napari_noisyseg.exchange.nuclei import ExportedImage
from napari_noisyseg.exchange.outlines import Polygon
from napari_noisyseg.exchange.shapes import Shape, passed_over
from napari_noisyseg.slides import Box
from napari_noisyseg.store.images import composed

FILE = "annotations.json"
UNCLASSED = "nucleus"
"""Category of nuclei without a class; in COCO every annotation needs a category."""
PLAIN = ("nucleus", "nuclei")
"""Categories that only say that it is a nucleus."""
CROWD = (
    "outlines marked iscrowd (in COCO a region of many objects: set iscrowd to 0 where each is one "
    "nucleus)"
)
Ints = NDArray[np.int64]


# --- writing ---------------------------------------------------------------------------------


def _write(images: Sequence[tuple[str, ExportedImage]], folder: Path) -> list[str]:
    pens = colors(images[0][1])
    known: dict[str | None, int] = {None: 1}
    known |= {name: k for k, name in enumerate(pens, start=2)}
    with (folder / FILE).open("w", encoding="utf-8", newline="\n") as file:
        about = {"description": "nuclei", "contributor": MADE_BY}
        file.write(f'{{"info": {json.dumps(about)},\n"images": [')
        file.write(",\n".join(_text(_image(k, e)) for k, (_, e) in enumerate(images, start=1)))
        file.write('],\n"annotations": [')
        between, numbers = "\n", count(1)
        for k, (_, image) in enumerate(images, start=1):
            for row in rows(image):
                document = _annotation(row, next(numbers), k, known[row.class_name], image.shape)
                file.write(between + _text(document))
                between = ",\n"
        categories = [
            {"id": k, "name": name or UNCLASSED, "supercategory": "nucleus"}
            | ({"color": list(pens[name])} if name is not None else {})
            for name, k in known.items()
        ]
        file.write(f'\n],\n"categories": {_text(categories)}}}\n')
    return [FILE]


def _text(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False, allow_nan=False)


def _image(number: int, image: ExportedImage) -> dict[str, Any]:
    record = image.record
    # the most likely name of its file: copied images are mostly PNG
    file = record.link.name if record.link is not None else f"{record.name}.png"
    return {"id": number, "file_name": file, "name": record.name, "width": record.width,
            "height": record.height, "mpp": record.mpp}  # fmt: skip


def _annotation(
    row: Row, number: int, image: int, category: int, shape: tuple[int, int]
) -> dict[str, Any]:
    box = row.box
    document: dict[str, Any] = {
        "id": number,
        "image_id": image,
        "category_id": category,
        "bbox": [box.x0, box.y0, box.width, box.height],
        "area": row.area,
        "iscrowd": 0,
        "attributes": row.told(),
    }
    if row.score is not None and np.isfinite(row.score):
        document["score"] = row.score
    if any(len(polygon) > 1 for polygon in row.polygons):
        document["segmentation"] = _run_lengths(row, shape)
    else:
        rings = [polygon[0][:-1].astype(np.int64) for polygon in row.polygons]
        document["segmentation"] = [ring.ravel().tolist() for ring in rings]
    return document


def _run_lengths(row: Row, shape: tuple[int, int]) -> dict[str, Any]:
    """Column by column, zeros first."""
    box, height = row.box, shape[0]
    x, y = np.nonzero(row.outline.mask.T)
    places = (x + box.x0) * height + y + box.y0
    begins = np.flatnonzero(np.diff(places, prepend=-2) != 1)
    starts = places[begins]
    ends = places[np.append(begins[1:], len(places)) - 1] + 1
    turns = np.stack([starts, ends], axis=1).ravel()
    counts = np.diff(np.concatenate([[0], turns, [height * shape[1]]]))
    return {"size": list(shape), "counts": counts.tolist()}


# --- reading ---------------------------------------------------------------------------------


def images(path: Path) -> list[str]:
    """Names of the images that a file is of."""
    return [_name(entry) for entry in _part(_document(path), "images", path)]


def read(path: Path, image: str) -> Sequence[Shape]:
    """The outlines of one image of the file: polygons, run lengths, else boxes.

    Raises `NoisySegError` naming the annotation (counted from 1) that is wrong, and where the file
    has several images of which none has this name.
    """
    document = _document(path)
    try:
        wanted = _image_in(_part(document, "images", path), image, path)
        size = None if wanted is None else _size(wanted)
        classes = {c["id"]: c for c in _part(document, "categories", path)}
        chosen = [
            (entry, f"{path}, annotation {k}")
            for k, entry in enumerate(_part(document, "annotations", path), start=1)
            if wanted is None or entry["image_id"] == wanted["id"]
        ]
    except WRONG as error:
        raise NoisySegError(f"{path} is not COCO as programs write it ({error!r})") from error
    plain = len(classes) == 1
    found = [_shape(entry, classes, plain, where) for entry, where in chosen]
    # run lengths say the size themselves
    found = [s if s.size is not None else replace(s, size=size) for s in found]
    check_vertices((ring for s in found for p in s.polygons for ring in p), path)
    return found


def _document(path: Path) -> Mapping[str, Any]:
    document = bounded_json.read(path)
    if not isinstance(document, dict) or not isinstance(document.get("annotations"), list):
        raise NoisySegError(f"{path} is JSON but not COCO: it has no list of annotations")
    return document


def _part(document: Mapping[str, Any], key: str, path: Path) -> list[dict[str, Any]]:
    part = document.get(key, [])
    if not isinstance(part, list) or not all(isinstance(entry, dict) for entry in part):
        raise NoisySegError(f"{path} is not COCO as programs write it: {key} is no list of objects")
    return part


def _name(entry: Mapping[str, Any]) -> str:
    """The image's name: the file's without folders and ending, where it is not said."""
    file = PurePath(str(entry.get("file_name", "")).replace("\\", "/"))
    return str(entry.get("name") or file.stem)


def _image_in(
    entries: Sequence[Mapping[str, Any]], image: str, path: Path
) -> Mapping[str, Any] | None:
    """The image in the file; None for any image, if the file names none."""
    named = {composed(_name(entry)): entry for entry in entries}
    wanted = composed(image)
    if wanted in named or len(named) == 1:
        return named[wanted if wanted in named else next(iter(named))]
    if named:
        raise NoisySegError(
            f"{path} is of {len(named)} images, none of which is named {image!r} "
            f"({listed(list(named))}): name the image like one of them"
        )
    return None


def _size(entry: Mapping[str, Any]) -> tuple[int, int] | None:
    """Height and width of an image of the file; None where it does not say them."""
    sides = [entry.get(key) for key in ("height", "width")]
    known = [int(v) for v in sides if isinstance(v, (int, float)) and 1 <= v <= FARTHEST]
    return (known[0], known[1]) if len(known) == 2 else None


def _shape(entry: Mapping[str, Any], classes: Mapping[Any, Any], plain: bool, where: str) -> Shape:
    try:
        category = classes.get(entry.get("category_id"), {})
        told = {str(k): str(v) for k, v in (entry.get("attributes") or {}).items()}
        if "score" in entry:
            told.setdefault("score", str(entry["score"]))
        polygons, runs = _outline(entry, where)
    except WRONG as error:
        raise NoisySegError(f"{where} is not an outline that a program writes ({error})") from error
    name = str(category.get("name", "")).strip()
    if name in PLAIN and (plain or ("color" not in category and "label" in told)):
        name = ""
    size = None if runs is None else (runs.height, runs.width)
    if entry.get("iscrowd") in (1, True) and "label" not in told:
        return replace(passed_over(where, CROWD), size=size)
    shape = told_shape(polygons, where, name, color_of(category.get("color")), told)
    draw = None if runs is None else partial(_draw, runs)
    return replace(shape, role="nucleus", draw=draw, size=size)


class _Runs(NamedTuple):
    """Where runs of pixels begin and end, counted down the columns of an image of this size."""

    starts: Ints
    ends: Ints
    height: int
    width: int


def _outline(entry: Mapping[str, Any], where: str) -> tuple[list[Polygon], _Runs | None]:
    """Its polygons; if it is given as runs, also the runs and the box around them."""
    given = entry.get("segmentation")
    if isinstance(given, dict):
        runs = _runs(given, where)
        return [_box_of(runs)], runs
    if isinstance(given, list) and given:
        return [(ring_of(ring, where),) for ring in given], None
    x, y, width, height = (float(v) for v in entry["bbox"])
    corners = [[x, y], [x + width, y], [x + width, y + height], [x, y + height]]
    return [(ring_of(corners, where),)], None


def _runs(given: Mapping[str, Any], where: str) -> _Runs:
    height, width = (int(v) for v in given["size"])
    counts = given["counts"]
    lengths = np.array(_unpacked(counts) if isinstance(counts, str) else counts)
    if lengths.dtype.kind not in "iu" or lengths.ndim != 1 or (lengths < 0).any():
        raise NoisySegError(f"{where} has run lengths that are not counts of pixels")
    turns = np.cumsum(lengths.astype(np.int64))
    if min(height, width) < 1 or not len(turns) or turns[-1] != height * width:
        raise NoisySegError(f"{where} has run lengths that do not fill its {width} x {height}")
    starts, ends = turns[:-1:2], turns[1::2]
    some = ends > starts
    if not some.any():
        raise NoisySegError(f"{where} has run lengths without any pixel: leave it out")
    return _Runs(starts[some], ends[some], height, width)


def _unpacked(text: str) -> list[int]:
    """Run lengths of the short form: 5 bits a letter, differences to the last but one."""
    counts: list[int] = []
    value = shift = 0
    for letter in text.encode("ascii"):
        code = letter - 48
        if not 0 <= code < 64 or shift > 60:
            raise ValueError("no run lengths of COCO")
        value |= (code & 31) << shift
        shift += 5
        if not code & 32:
            value -= (1 << shift) if code & 16 else 0
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value = shift = 0
    return counts


def _box_of(runs: _Runs) -> Polygon:
    first, last = runs.starts, runs.ends - 1
    x0, x1 = int(first[0] // runs.height), int(last[-1] // runs.height) + 1
    # a run that continues in the next column has pixels at both edges
    whole = (first // runs.height != last // runs.height).any()
    y0 = 0 if whole else int((first % runs.height).min())
    y1 = runs.height if whole else int((last % runs.height).max()) + 1
    return (np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]], float),)


def _draw(runs: _Runs, box: Box) -> NDArray[np.bool_]:
    """The pixels of a box that the runs cover, bool (h, w)."""
    lengths = runs.ends - runs.starts
    if lengths.sum() > MAX_NUCLEUS:
        raise NoisySegError("run lengths cover a region, not a nucleus: leave it out of the file")
    begins = np.repeat(runs.starts - np.cumsum(lengths) + lengths, lengths)
    x, y = np.divmod(np.arange(len(begins)) + begins, runs.height)
    mask = np.zeros(box.shape, bool)
    inside = (y >= box.y0) & (y < box.y1) & (x >= box.x0) & (x < box.x1)
    mask[y[inside] - box.y0, x[inside] - box.x0] = True
    return mask


FORMAT = Format(
    name="coco",
    title="COCO JSON",
    holds="outlines and boxes of all images in one file, for machine learning",
    ending=".json",
    write=_write,
    shapes=read,
    images=images,
    is_ours=has_our_mark,
    marks=(b'"annotations"',),
    # of many images, or many outlines, neither end of the file need have the list's own name
    weak_marks=(b'"image_id"', b'"file_name"'),
    one_file=FILE,
)
