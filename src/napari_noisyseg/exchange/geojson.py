"""GeoJSON as QuPath writes and reads it: level-0 pixels, x then y, corner-based."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg import bounded_json
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.exchange.outlines import Polygon
from napari_noisyseg.exchange.shapes import Role, Shape, passed_over
from napari_noisyseg.store.records import STATES, State

MAX_VERTICES = 20_000_000
"""Of a whole file: some hundred thousand nuclei."""

ROLES: Mapping[str, Role] = {"detection": "nucleus", "cell": "nucleus", "annotation": "annotation"}
DRAWN = ("Point", "MultiPoint", "Polygon", "MultiPolygon")
PASSED = {
    "LineString": "lines",
    "MultiLineString": "lines",
    "GeometryCollection": "geometry collections (export the objects in them one by one)",
}
"""Geometries that are no nuclei, in words."""
NO_POINTS: NDArray[np.float64] = np.zeros((0, 2))


def read(path: Path) -> list[Shape]:
    """All points and polygons of a GeoJSON file: a collection, a list or a single feature.

    Of a cell its nucleus is taken where the file has it, else its outline. Lines, collections of
    geometries and features without a geometry are passed over. Raises `NoisySegError` naming the
    feature (counted from 1) when a geometry is broken, and the line when it is no JSON.
    """
    shapes: list[Shape] = []
    vertices = 0
    for number, feature in enumerate(_features(bounded_json.read(path), path), start=1):
        shape = _shape(feature, f"{path}, feature {number}")
        if shape is None:
            continue
        vertices += len(shape.points) + sum(len(r) for p in shape.polygons for r in p)
        if vertices > MAX_VERTICES:
            raise NoisySegError(
                f"{path} has more than {MAX_VERTICES:,} vertices: export it in parts"
            )
        shapes.append(shape)
    return shapes


def _features(document: Any, path: Path) -> list[Any]:
    """The features, in any of the ways in which QuPath has written them, with children."""
    if isinstance(document, list):
        top = document
    elif isinstance(document, dict) and isinstance(document.get("features"), list):
        top = document["features"]
    elif isinstance(document, dict) and "geometry" in document:
        top = [document]
    elif isinstance(document, dict) and document.get("type") in (*DRAWN, *PASSED):
        top = [{"type": "Feature", "geometry": document}]
    else:
        raise NoisySegError(f"{path} is JSON but not GeoJSON: export the objects as GeoJSON")
    found: list[Any] = []
    waiting = top[::-1]
    while waiting:
        feature = waiting.pop()
        found.append(feature)
        waiting += _children(feature)[::-1]
    return found


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _shape(feature: Any, where: str) -> Shape | None:
    if not isinstance(feature, Mapping):
        raise NoisySegError(f"{where} is {str(feature)[:40]!r}, not a feature: export it again")
    properties = _mapping(feature.get("properties"))
    geometry = _mapping(feature.get("nucleusGeometry")) or _mapping(feature.get("geometry"))
    kind = geometry.get("type")
    if kind not in DRAWN:
        return _passed(feature, kind, where)
    name, color = _classification(properties.get("classification"))
    points, polygons = _coordinates(kind, geometry.get("coordinates"), where)
    identity = feature.get("id")
    return Shape(
        kind="point" if kind.endswith("Point") else "polygon",
        points=points,
        polygons=polygons,
        class_name=name,
        id=_uuid(identity),
        role=_role(properties),
        where=f"{where} (id {identity})" if isinstance(identity, str) else where,
        color=color,
        measurements=_measurements(properties.get("measurements")),
        state=_state(_mapping(properties.get("metadata")).get("state")),
    )


def _passed(feature: Mapping[str, Any], kind: Any, where: str) -> Shape | None:
    """What is said of a feature without points or polygons; None if it only holds others."""
    if kind is not None:
        return passed_over(where, PASSED.get(str(kind), "features of an unknown geometry"))
    return None if _children(feature) else passed_over(where, "features without a geometry")


def _children(feature: Any) -> list[Any]:
    children = _mapping(_mapping(feature).get("properties")).get("childObjects")
    children = children or _mapping(feature).get("childObjects")
    return children if isinstance(children, list) else []


def _state(value: Any) -> State | None:
    """The decision of a person, as we write it."""
    return next((state for state in STATES if state == value), None)


def _uuid(value: Any) -> str | None:
    try:
        return str(uuid.UUID(value)) if isinstance(value, str) else None
    except ValueError:
        return None


def _role(properties: Mapping[str, Any]) -> Role:
    kind = properties.get("objectType") or properties.get("object_type")
    if kind is None:
        return "annotation"
    return ROLES.get(str(kind).lower(), "other")


def _classification(value: Any) -> tuple[str | None, tuple[int, int, int] | None]:
    """Name and colour of null, a plain name, an object, one with `names`, or its Python text."""
    if isinstance(value, str):
        as_text = re.fullmatch(r"\{\s*['\"]name['\"]\s*:\s*['\"](.*?)['\"].*\}", value)
        return (as_text[1] if as_text else value).strip() or None, None
    given = _mapping(value)
    name = given.get("name")
    names = given.get("names")
    if name is None and isinstance(names, list):
        name = ": ".join(str(n) for n in names)
    color = given.get("color", given.get("colorRGB"))
    return (str(name).strip() or None) if name is not None else None, _color(color)


def _color(value: Any) -> tuple[int, int, int] | None:
    """[r, g, b], or the packed integer of older files."""
    if isinstance(value, int) and not isinstance(value, bool):
        return (value >> 16) & 255, (value >> 8) & 255, value & 255
    if isinstance(value, list) and len(value) == 3 and all(isinstance(v, int) for v in value):
        red, green, blue = (min(max(v, 0), 255) for v in value)
        return red, green, blue
    return None


def _measurements(value: Any) -> dict[str, float]:
    """An object, or a list of names and values as in older files; only numbers are kept."""
    if isinstance(value, list):
        value = {str(_mapping(v).get("name")): _mapping(v).get("value") for v in value}
    numbers = ((k, v) for k, v in _mapping(value).items() if isinstance(v, (int, float)))
    return {str(k): float(v) for k, v in numbers}


def _coordinates(
    kind: str, value: Any, where: str
) -> tuple[NDArray[np.float64], tuple[Polygon, ...]]:
    """Points as y, x around pixel centres, or polygons as they are."""
    if kind == "Point":
        return _vertices([value], where)[:, ::-1] - 0.5, ()
    if kind == "MultiPoint":
        return _vertices(value, where)[:, ::-1] - 0.5, ()
    parts = [value] if kind == "Polygon" else value
    if not isinstance(parts, list) or not parts:
        raise NoisySegError(f"{where} has no polygon in it: export it again")
    return NO_POINTS, tuple(_polygon(part, where) for part in parts)


def _polygon(rings: Any, where: str) -> Polygon:
    if not isinstance(rings, list) or not rings:
        raise NoisySegError(f"{where} has a polygon without a ring: export it again")
    polygon = tuple(_vertices(ring, where) for ring in rings)
    if any(len(ring) < 3 for ring in polygon):
        raise NoisySegError(f"{where} has a ring of fewer than 3 points: export it again")
    return polygon


def _vertices(value: Any, where: str) -> NDArray[np.float64]:
    """(n, 2) of x, y; a third coordinate (QuPath's plane) is left out."""
    try:
        rows = [(row[0], row[1]) for row in value]
        if not all(type(v) in (int, float) for v in chain.from_iterable(rows)):
            raise TypeError
        vertices = np.array(rows, float).reshape(-1, 2)
    except (TypeError, IndexError, KeyError, ValueError, OverflowError) as error:
        raise NoisySegError(f"{where} has coordinates that are not pairs of numbers") from error
    if not np.isfinite(vertices).all() or (len(vertices) and np.abs(vertices).max() > 1e8):
        raise NoisySegError(f"{where} has coordinates that are not in an image")
    return vertices


def feature(
    polygons: Sequence[Polygon],
    identity: str,
    classification: tuple[str, tuple[int, int, int]] | None,
    measurements: Mapping[str, float],
    metadata: Mapping[str, str],
) -> dict[str, Any]:
    """A nucleus as QuPath's detection. A classification needs both its name and its colour."""
    properties: dict[str, Any] = {"objectType": "detection"}
    if classification is not None:
        name, color = classification
        properties["classification"] = {"name": name, "color": list(color)}
    if measurements:
        properties["measurements"] = dict(measurements)
    if metadata:
        properties["metadata"] = dict(metadata)
    shape = geometry(polygons)
    return {"type": "Feature", "id": identity, "geometry": shape, "properties": properties}


def geometry(polygons: Sequence[Polygon]) -> dict[str, Any]:
    """A polygon, or several as one."""
    parts = [[_plain(ring) for ring in polygon] for polygon in polygons]
    if len(parts) == 1:
        return {"type": "Polygon", "coordinates": parts[0]}
    return {"type": "MultiPolygon", "coordinates": parts}


def _plain(ring: NDArray[np.float64]) -> list[list[float]]:
    whole = (ring == np.round(ring)).all()
    plain: list[list[float]] = (ring.astype(np.int64) if whole else ring).tolist()
    return plain
