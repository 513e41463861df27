"""Aperio ImageScope XML, as MoNuSeg and MoNuSAC have it too.

A class is an `Annotation` with its colour, an outline a `Region`, a hole a `Region` of its own with
`NegativeROA="1"`. Coordinates are level-0 pixels, corner-based.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import shapely

from napari_noisyseg import bounded_xml
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.exchange.formats.format import Format, has_our_mark, per_image
from napari_noisyseg.exchange.formats.rows import UNNAMED, Row, colors, rows, told_shape
from napari_noisyseg.exchange.formats.simple import ellipse, rectangle
from napari_noisyseg.exchange.formats.xml_text import (
    HEAD,
    MAX_VERTICES,
    closed,
    element,
    number,
    place,
)
from napari_noisyseg.exchange.nuclei import ExportedImage
from napari_noisyseg.exchange.outlines import Ring
from napari_noisyseg.exchange.shapes import Color, Shape, passed_over

ENDING = ".xml"
NO_CLASS = re.compile(r"(description|name|layer \d+|)", re.IGNORECASE)
"""Names that are not classes: ImageScope's names of annotations, MoNuSeg's of attributes."""

RECTANGLE, ELLIPSE, LINES = "1", "2", ("3", "4")
"""Types of regions; 0 is drawn freehand, 3 an arrow and 4 a ruler."""
LOST = "holes that lie in no outline"


# --- writing ---------------------------------------------------------------------------------


def _write(image: ExportedImage, path: Path) -> None:
    by_class: dict[str | None, list[Row]] = defaultdict(list)
    for row in rows(image):
        by_class[row.class_name].append(row)
    pens = colors(image)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(HEAD)
        file.write(element("Annotations", {"MicronsPerPixel": number(image.record.mpp)}) + "\n")
        first = 1
        for k, (name, found) in enumerate(by_class.items(), start=1):
            red, green, blue = pens.get(name or "", UNNAMED)
            # ImageScope keeps colours as Windows does: blue in the highest byte
            about = {"Id": k, "Name": name or "", "ReadOnly": 0, "Type": 4, "Visible": 1,
                     "LineColor": red | green << 8 | blue << 16}  # fmt: skip
            # MoNuSAC and its readers expect the class here
            named = "" if name is None else element("Attribute", {"Name": name, "Id": 0}, True)
            file.write(f"{element('Annotation', about)}<Attributes>{named}</Attributes><Regions>\n")
            for row in found:
                lines = list(_regions(row, first))
                first += len(lines)
                file.writelines(lines)
            file.write("</Regions></Annotation>\n")
        file.write("</Annotations>\n")


def _regions(row: Row, first: int) -> Iterator[str]:
    """The outline of each part of a nucleus, and its holes after it."""
    told = "".join(
        element("Attribute", {"Name": key, "Value": value}, close=True)
        for key, value in row.told().items()
    )
    for polygon in row.polygons:
        for hole, ring in enumerate(polygon):
            about = {"Id": first, "Type": 0, "Text": "", "NegativeROA": int(hole > 0),
                     "InputRegionId": 0, "Analyze": 1, "DisplayId": first}  # fmt: skip
            vertices = "".join(
                f'<Vertex X="{number(x)}" Y="{number(y)}" Z="0"/>' for x, y in ring[:-1].tolist()
            )
            yield (
                f"{element('Region', about)}<Attributes>{told}</Attributes>"
                f"<Vertices>{vertices}</Vertices></Region>\n"
            )
            first += 1


# --- reading ---------------------------------------------------------------------------------


@dataclass
class _Layer:
    """An `Annotation`: its class, and what is in it."""

    title: str
    color: Color | None
    inside: str = ""
    regions: list[_Region] = field(default_factory=list)

    @property
    def named(self) -> bool:
        """Whether somebody gave it a name."""
        return NO_CLASS.fullmatch(self.title) is None

    @property
    def name(self) -> str:
        """The class: its name, else what its attribute says; "" for none."""
        # an attribute that says the same is ours
        if self.named or self.inside == self.title:
            return self.title
        return "" if NO_CLASS.fullmatch(self.inside) else self.inside


@dataclass
class _Region:
    where: str
    hole: bool
    kind: str
    told: dict[str, str] = field(default_factory=dict)
    vertices: list[tuple[float, float]] = field(default_factory=list)


def read(path: Path, image: str) -> Sequence[Shape]:
    """Every outline; regions of one of our nuclei together, holes in what they lie in.

    Of rectangles and ellipses ImageScope keeps corners alone; arrows and rulers are passed over.

    Raises `NoisySegError` naming the region (counted from 1) that is wrong.
    """
    reading = _Reading(path)
    bounded_xml.read(path, reading.start, reading.end, b"<Vertex ", MAX_VERTICES)
    if not reading.known:
        raise NoisySegError(f"{path} is XML but not from ImageScope: it has no Annotations")
    return [shape for layer in reading.layers for shape in _shapes(layer)]


class _Reading:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._number = 0
        self._region: _Region | None = None
        self.known = False
        self.layers: list[_Layer] = []

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "Vertex" and self._region is not None:
            self._region.vertices.append(place(attributes, self._region.where))
        elif name == "Annotations":
            self.known = True
        elif name == "Annotation":
            color = _color(attributes.get("LineColor", ""))
            self.layers.append(_Layer(attributes.get("Name", "").strip(), color))
        elif name == "Region" and self.layers:
            self._number += 1
            where = f"{self._path}, region {self._number}"
            kind = attributes.get("Type", "").strip()
            self._region = _Region(where, attributes.get("NegativeROA") == "1", kind)
            self.layers[-1].regions.append(self._region)
        elif name == "Attribute":
            self._attribute(attributes.get("Name", ""), attributes.get("Value", ""))

    def _attribute(self, name: str, value: str) -> None:
        if self._region is not None:
            self._region.told[name] = value
        elif self.layers and not self.layers[-1].named:
            named = value.strip() or name.strip()
            self.layers[-1].inside = self.layers[-1].inside or named

    def end(self, name: str) -> None:
        if name == "Region":
            self._region = None


def _color(text: str) -> Color | None:
    """Red, green and blue of a BGR integer, which may be negative."""
    try:
        value = int(text)
    except ValueError:
        return None
    return value & 255, value >> 8 & 255, value >> 16 & 255


def _shapes(layer: _Layer) -> list[Shape]:
    """What is drawn in an annotation, by the regions in it."""
    left = [(r, _left(r)) for r in layer.regions]
    drawn = [r for r, what in left if not what]
    rings = [closed(_corners(r)) for r in drawn]
    holes = _owners(drawn, rings)
    owned = {k for found in holes.values() for k in found}
    left += [(r, LOST) for k, r in enumerate(drawn) if r.hole and k not in owned]
    parts: dict[str, list[int]] = defaultdict(list)
    for k, region in enumerate(drawn):
        if not region.hole:
            parts[region.told.get("id") or f"{k}"].append(k)
    return [
        told_shape(
            [(rings[k], *(rings[h] for h in holes[k])) for k in found],
            drawn[found[0]].where,
            layer.name,
            layer.color if layer.name else None,
            drawn[found[0]].told,
        )
        for found in parts.values()
    ] + [passed_over(region.where, what) for region, what in left if what]


def _left(region: _Region) -> str:
    """What a region is that is no outline, in the plural; "" for an outline."""
    if not region.vertices:
        return "regions without a vertex"
    return "arrows and rulers" if region.kind in LINES and len(region.vertices) < 3 else ""


def _corners(region: _Region) -> list[tuple[float, float]]:
    """The corners of its outline, also where the file keeps only those of the box around it."""
    if region.kind not in (RECTANGLE, ELLIPSE):
        return region.vertices
    xs, ys = zip(*region.vertices, strict=True)
    middle = (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2
    size = max(xs) - min(xs), max(ys) - min(ys)
    box = set(product((min(xs), max(xs)), (min(ys), max(ys))))
    if region.kind == RECTANGLE and len(xs) == 2:
        return [(x, y) for x, y in rectangle(middle, size).tolist()]
    if region.kind == ELLIPSE and (len(xs) == 2 or set(region.vertices) == box):
        return [(x, y) for x, y in ellipse(middle, size).tolist()]
    return region.vertices


def _owners(regions: Sequence[_Region], rings: Sequence[Ring]) -> Mapping[int, list[int]]:
    """The holes of each outline: of ours those that follow it, else by where they lie."""
    found: dict[int, list[int]] = defaultdict(list)
    strangers = []
    last: tuple[str, int] | None = None
    for k, region in enumerate(regions):
        name = region.told.get("id")
        if not region.hole:
            last = (name, k) if name else None
        elif last is not None and last[0] == name:
            found[last[1]].append(k)
        else:
            strangers.append(k)
    outer = [k for k, r in enumerate(regions) if not r.hole and len(rings[k]) > 3]
    if strangers and outer:
        areas = [shapely.Polygon(rings[k]) for k in outer]
        tree = shapely.STRtree(areas)
        for hole in strangers:
            inside = tree.query(shapely.Point(rings[hole][0]), predicate="intersects")
            if len(inside):
                smallest = min(inside, key=lambda n: areas[int(n)].area)
                found[outer[int(smallest)]].append(hole)
    return found


FORMAT = Format(
    name="imagescope",
    title="Aperio ImageScope XML",
    holds="outlines and holes, with class, score and state",
    ending=ENDING,
    write=per_image(ENDING, _write),
    shapes=read,
    is_ours=has_our_mark,
    marks=(b"<Annotations",),
)
