"""HistomicsUI JSON (Digital Slide Archive): closed polylines with holes, classes as groups.

Rectangles, ellipses and circles are read as outlines, points as points.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_noisyseg import bounded_json
from napari_noisyseg.bounded_json import WRONG
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.exchange.formats.format import Format, has_our_mark, per_image
from napari_noisyseg.exchange.formats.rows import (
    FARTHEST,
    NO_POINTS,
    UNNAMED,
    Row,
    check_vertices,
    colors,
    ring_of,
    rows,
    told_shape,
)
from napari_noisyseg.exchange.formats.simple import ellipse, rectangle
from napari_noisyseg.exchange.marks import MADE_BY
from napari_noisyseg.exchange.nuclei import ExportedImage
from napari_noisyseg.exchange.outlines import Ring
from napari_noisyseg.exchange.shapes import Color, Shape, passed_over

ENDING = ".json"
ROUND = {"rectangle": rectangle, "ellipse": ellipse, "circle": ellipse}
"""Elements that are kept by their middle and size."""
OTHERS = "elements that are neither outlines nor points (open lines, arrows, grids, images)"


# --- writing ---------------------------------------------------------------------------------


def _write(image: ExportedImage, path: Path) -> None:
    pens = colors(image)
    head = {"description": MADE_BY, "name": f"Nuclei of {image.record.name}"}
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(f'{json.dumps(head, ensure_ascii=False)[:-1]}, "elements": [')
        between = "\n"
        for row in rows(image):
            for element in _elements(row, pens.get(row.class_name or "", UNNAMED)):
                file.write(between + json.dumps(element, ensure_ascii=False, allow_nan=False))
                between = ",\n"
        file.write("\n]}\n")


def _elements(row: Row, color: Color) -> Iterator[dict[str, Any]]:
    """One element for each part of the nucleus. HistomicsUI refuses unknown keys: ours are under
    `user`.
    """
    red, green, blue = color
    for polygon in row.polygons:
        element: dict[str, Any] = {
            "type": "polyline",
            "closed": True,
            "points": _points(polygon[0]),
            "lineColor": f"rgb({red},{green},{blue})",
            "user": row.told(),
        }
        if len(polygon) > 1:
            element["holes"] = [_points(hole) for hole in polygon[1:]]
        if row.class_name is not None:
            element |= {"label": {"value": row.class_name}, "group": row.class_name}
        yield element


def _points(ring: Ring) -> list[list[int]]:
    return [[int(x), int(y), 0] for x, y in ring[:-1].tolist()]


# --- reading ---------------------------------------------------------------------------------


def read(path: Path, image: str) -> Sequence[Shape]:
    """Every outline and point; the parts of one of our nuclei together.

    Raises `NoisySegError` naming the element (counted from 1) that is wrong.
    """
    elements = list(_all_elements(bounded_json.read(path), path))
    parts: dict[str, list[Shape]] = defaultdict(list)
    for k, element in enumerate(elements, start=1):
        shape = _shape(element, f"{path}, element {k}")
        parts[shape.id or f"{k}"].append(shape)
    found = [
        replace(same[0], polygons=tuple(p for s in same for p in s.polygons))
        for same in parts.values()
    ]
    check_vertices((ring for s in found for p in s.polygons for ring in p), path)
    return found


def _all_elements(document: Any, path: Path) -> Iterator[dict[str, Any]]:
    """Of one annotation or several, bare or as the server hands them out."""
    for entry in document if isinstance(document, list) else [document]:
        entry = entry.get("annotation", entry) if isinstance(entry, dict) else None
        elements = entry.get("elements") if isinstance(entry, dict) else None
        if not isinstance(elements, list) or not all(isinstance(e, dict) for e in elements):
            raise NoisySegError(f"{path} is JSON but not from HistomicsUI: it has no elements")
        yield from elements


def _shape(element: Mapping[str, Any], where: str) -> Shape:
    kind = str(element.get("type"))
    outline = kind in ROUND or (kind == "polyline" and element.get("closed") is True)
    if not outline and kind != "point":
        return passed_over(where, OTHERS)
    try:
        polygon = tuple(ring_of(ring, where) for ring in _rings(element)) if outline else ()
        name = element.get("group") or (element.get("label") or {}).get("value")
        told = {str(k): str(v) for k, v in (element.get("user") or {}).items()}
        color = _color(element.get("lineColor"))
        places = NO_POINTS if outline else np.array([_pair(element["center"])])[:, ::-1] - 0.5
    except WRONG as error:
        what = "an outline" if outline else "a point"
        raise NoisySegError(f"{where} is not {what} of HistomicsUI ({error!r})") from error
    named = str(name) if isinstance(name, str) else None
    color = color if named else None
    if outline:
        return told_shape([polygon], where, named, color, told)
    return Shape("point", places, (), named, None, "annotation", where, color)


def _rings(element: Mapping[str, Any]) -> list[Any]:
    """The outline and the holes of an element."""
    if element["type"] == "polyline":
        return [element["points"], *(element.get("holes") or [])]
    middle, turn = _pair(element["center"]), _number(element.get("rotation") or 0)
    if element["type"] == "circle":
        size = (2 * _number(element["radius"]),) * 2
    else:
        size = _number(element["width"]), _number(element["height"])
    return [ROUND[element["type"]](middle, size, turn)]


def _pair(place: Any) -> tuple[float, float]:
    return _number(place[0]), _number(place[1])


def _number(value: Any) -> float:
    if type(value) not in (int, float) or not abs(value) <= FARTHEST:
        raise ValueError(f"{value!r} is no place or length in an image")
    return float(value)


def _color(value: Any) -> Color | None:
    """rgb(r, g, b) or rgba(r, g, b, a)."""
    text = str(value).strip().lower()
    if not text.startswith(("rgb(", "rgba(")) or not text.endswith(")"):
        return None
    red, green, blue = (
        min(max(int(float(v)), 0), 255) for v in text[:-1].split("(")[1].split(",")[:3]
    )
    return red, green, blue


FORMAT = Format(
    name="histomics",
    title="HistomicsUI JSON",
    holds="outlines with class, score and state, for the Digital Slide Archive",
    ending=ENDING,
    write=per_image(ENDING, _write),
    shapes=read,
    is_ours=has_our_mark,
    marks=(b'"elements"',),
)
