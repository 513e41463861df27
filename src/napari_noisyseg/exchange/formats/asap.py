"""ASAP XML, as CAMELYON has it: one polygon an annotation, a class a group with its colour.

ASAP has no holes: a ring with holes goes to each of them and back on the same line, which encloses
the same pixels.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from napari_noisyseg import bounded_xml
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.exchange.formats.format import Format, has_our_mark, per_image
from napari_noisyseg.exchange.formats.rows import (
    UNNAMED,
    Row,
    color_of,
    colors,
    hex_of,
    rows,
    told_shape,
)
from napari_noisyseg.exchange.formats.xml_text import (
    HEAD,
    MAX_VERTICES,
    closed,
    element,
    number,
    place,
)
from napari_noisyseg.exchange.nuclei import ExportedImage
from napari_noisyseg.exchange.outlines import Polygon, Ring
from napari_noisyseg.exchange.shapes import Color, Shape, passed_over

ENDING = ".xml"
NO_GROUP = "None"
"""What ASAP writes if an annotation is in no group."""
CLASS = "class"
"""Our attribute of this name tells a class that is really called None."""
POINTS = ("Dot", "PointSet")
LINES = ("Measurement",)


# --- writing ---------------------------------------------------------------------------------


def _write(image: ExportedImage, path: Path) -> None:
    pens, used = colors(image), dict[str, str]()
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(f"{HEAD}<ASAP_Annotations>\n<Annotations>\n")
        for row in rows(image):
            color = hex_of(pens.get(row.class_name or "", UNNAMED))
            if row.class_name is not None:
                used[row.class_name] = color
            file.writelines(_annotations(row, color))
        file.write("</Annotations>\n<AnnotationGroups>\n")
        for name, color in used.items():
            about = {"Name": name, "PartOfGroup": NO_GROUP, "Color": color}
            file.write(f"{element('Group', about)}<Attributes/></Group>\n")
        file.write("</AnnotationGroups>\n</ASAP_Annotations>\n")


def _annotations(row: Row, color: str) -> Iterator[str]:
    """One annotation for each part of the nucleus."""
    group = NO_GROUP if row.class_name is None else row.class_name
    about = {"Name": row.id, "Type": "Polygon", "PartOfGroup": group, "Color": color}
    words = row.told() | ({} if row.class_name is None else {CLASS: row.class_name})
    told = "".join(
        element("Attribute", {"Name": key, "Value": value}, close=True)
        for key, value in words.items()
    )
    for polygon in row.polygons:
        corners = "".join(
            f'<Coordinate Order="{k}" X="{number(x)}" Y="{number(y)}"/>'
            for k, (x, y) in enumerate(one_ring(polygon)[:-1].tolist())
        )
        yield (
            f"{element('Annotation', about)}<Attributes>{told}</Attributes>"
            f"<Coordinates>{corners}</Coordinates></Annotation>\n"
        )


def one_ring(polygon: Polygon) -> Ring:
    """One ring (n, 2) around the same pixels: it goes to each hole and back on the same line."""
    outer = polygon[0]
    ways = [step for hole in polygon[1:] for step in (hole, outer[:1])]
    return np.vstack([outer, *ways])


# --- reading ---------------------------------------------------------------------------------


@dataclass
class _Drawn:
    where: str
    type: str
    name: str
    group: str
    color: Color | None
    told: dict[str, str] = field(default_factory=dict)
    corners: list[tuple[float, float]] = field(default_factory=list)


def read(path: Path, image: str) -> Sequence[Shape]:
    """Every polygon, and points; the parts of one of our nuclei together.

    Raises `NoisySegError` naming the annotation (counted from 1) that is wrong.
    """
    reading = _Reading(path)
    bounded_xml.read(path, reading.start, reading.end, b"<Coordinate ", MAX_VERTICES)
    if not reading.known:
        raise NoisySegError(f"{path} is XML but not from ASAP: it has no ASAP_Annotations")
    parts: dict[str, list[_Drawn]] = defaultdict(list)
    for k, drawn in enumerate(d for d in reading.drawn if not _left(d)):
        parts[drawn.told.get("id") or f"{k}"].append(drawn)
    left = [passed_over(d.where, _left(d)) for d in reading.drawn if _left(d)]
    return [_shape(found, reading.groups) for found in parts.values()] + left


def _left(drawn: _Drawn) -> str:
    """What an annotation is that is no outline or point, in the plural; "" for these."""
    if drawn.type in LINES:
        return "measurements (lines)"
    return "" if drawn.corners else "annotations without a corner"


class _Reading:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._at: _Drawn | None = None
        self.known = False
        self.drawn: list[_Drawn] = []
        self.groups: dict[str, Color | None] = {}

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "Coordinate" and self._at is not None:
            self._at.corners.append(place(attributes, self._at.where))
        elif name == "ASAP_Annotations":
            self.known = True
        elif name == "Annotation":
            self._at = _Drawn(
                f"{self._path}, annotation {len(self.drawn) + 1}",
                attributes.get("Type", ""),
                attributes.get("Name", ""),
                attributes.get("PartOfGroup", NO_GROUP),
                color_of(attributes.get("Color", "")),
            )
            self.drawn.append(self._at)
        elif name == "Attribute" and self._at is not None:
            self._at.told[attributes.get("Name", "")] = attributes.get("Value", "")
        elif name == "Group":
            self.groups[attributes.get("Name", "")] = color_of(attributes.get("Color", ""))

    def end(self, name: str) -> None:
        if name == "Annotation":
            self._at = None


def _shape(parts: Sequence[_Drawn], groups: Mapping[str, Color | None]) -> Shape:
    first = parts[0]
    name = first.told.get(CLASS) or (None if first.group == NO_GROUP else first.group)
    color = groups.get(first.group) or first.color
    if first.type in POINTS:
        places = np.array(first.corners, float)[:, ::-1] - 0.5
        return Shape("point", places, (), name, None, "annotation", first.where, color)
    polygons = [(closed(part.corners),) for part in parts]
    return told_shape(polygons, first.where, name, color, first.told)


FORMAT = Format(
    name="asap",
    title="ASAP XML",
    holds="outlines with class, score and state",
    ending=ENDING,
    write=per_image(ENDING, _write),
    shapes=read,
    is_ours=has_our_mark,
    marks=(b"<ASAP_Annotations",),
)
