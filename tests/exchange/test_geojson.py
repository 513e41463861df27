from __future__ import annotations

import contextlib
import json
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_noisyseg import bounded_json
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.exchange import geojson
from napari_noisyseg.exchange.annotation import read_masks, read_points
from napari_noisyseg.exchange.geojson import read
from napari_noisyseg.exchange.shapes import left_out

SQUARE = [[[10, 20], [14, 20], [14, 23], [10, 23], [10, 20]]]
HOLE = [[11, 21], [12, 21], [12, 22], [11, 22], [11, 21]]


def one(tmp_path: Path, properties: Any = None, geometry: Any = None, **more: Any) -> geojson.Shape:
    geometry = geometry or {"type": "Polygon", "coordinates": SQUARE}
    feature = {"type": "Feature", "properties": properties, "geometry": geometry, **more}
    (shape,) = read(written(tmp_path, {"type": "FeatureCollection", "features": [feature]}))
    return shape


def written(tmp_path: Path, document: Any) -> Path:
    path = tmp_path / "größe 1.geojson"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


EXPORTS = {
    "03012023_JN": (3, 3),
    "20251117_P09_Liposarcoma_HE_membraneslide2_1_4041-25_ScanRegion2": (3, 35),
    "Example_2": (3, 151),
    "Single_cells": (3, 128),
    "TD_01_verysmall_mIF": (3, 6),
    "objects": (0, 2),
    "test_missing_classification": (0, 2),
    "test_multipolygon": (0, 2),
    "test_point": (1, 1),
}


@pytest.mark.parametrize("name", EXPORTS)
def test_real_exports_of_qupath_are_read(data_dir: Path, name: str) -> None:
    path = data_dir / "qupath" / f"{name}.geojson"
    features = json.loads(path.read_text())["features"]
    shapes = read(path)
    kinds = [s.kind for s in shapes]
    assert (kinds.count("point"), kinds.count("polygon")) == EXPORTS[name]
    for feature, shape in zip(features, shapes, strict=True):
        given = feature["geometry"]["coordinates"]
        if shape.kind == "point":
            assert shape.points.tolist() == [[given[1] - 0.5, given[0] - 0.5]]
        elif feature["geometry"]["type"] == "Polygon":
            assert [r.tolist() for r in shape.polygons[0]] == given
        else:
            assert [[r.tolist() for r in p] for p in shape.polygons] == given
        assert shape.id == feature.get("id")
        classification = feature["properties"].get("classification")
        if isinstance(classification, dict):
            assert shape.class_name == classification["name"]
            assert list(shape.color or ()) == classification["color"]


def test_every_file_of_qupath_is_tested(data_dir: Path) -> None:
    assert {p.stem for p in (data_dir / "qupath").glob("*.geojson")} == set(EXPORTS)


def test_measurements_are_read_as_object_and_as_list(tmp_path: Path) -> None:
    assert one(tmp_path, {"measurements": {"Area": 3, "note": "x"}}).measurements == {"Area": 3}
    older = [{"name": "Area", "value": 3.5}, {"name": "empty"}, None]
    assert one(tmp_path, {"measurements": older}).measurements == {"Area": 3.5}


@pytest.mark.parametrize(
    ("classification", "name", "color"),
    [
        (None, None, None),
        ("Tumor", "Tumor", None),
        ("{'name': 'Tumor'}", "Tumor", None),
        ("  ", None, None),
        ({"name": "Tumor", "color": [200, 0, 0]}, "Tumor", (200, 0, 0)),
        ({"name": "Tumor", "colorRGB": -3670016}, "Tumor", (200, 0, 0)),
        ({"names": ["Tumor", "Positive"], "color": [1, 2, 3]}, "Tumor: Positive", (1, 2, 3)),
        ({"name": None}, None, None),
        ({}, None, None),
        (["Tumor"], None, None),
    ],
)
def test_classifications_of_all_kinds(
    tmp_path: Path, classification: Any, name: str | None, color: Any
) -> None:
    shape = one(tmp_path, {"classification": classification})
    assert (shape.class_name, shape.color) == (name, color)


@pytest.mark.parametrize("properties", [None, {}, {"objectType": None}])
def test_missing_properties_are_no_error(tmp_path: Path, properties: Any) -> None:
    shape = one(tmp_path, properties)
    assert (shape.class_name, shape.role, shape.id) == (None, "annotation", None)


def test_collections_lists_features_and_bare_geometries_are_read(tmp_path: Path) -> None:
    geometry = {"type": "Polygon", "coordinates": SQUARE}
    feature = {"type": "Feature", "geometry": geometry}
    for document in (
        {"type": "FeatureCollection", "features": [feature]},
        [feature],
        feature,
        geometry,
    ):
        (shape,) = read(written(tmp_path, document))
        assert shape.polygons[0][0].tolist() == SQUARE[0]
    assert read(written(tmp_path, "\ufeff" + json.dumps([feature])))


def test_of_a_cell_its_nucleus_is_taken(tmp_path: Path) -> None:
    nucleus = {"type": "Polygon", "coordinates": [HOLE]}
    shape = one(tmp_path, {"objectType": "cell"}, nucleusGeometry=nucleus)
    assert shape.role == "nucleus"
    assert shape.polygons[0][0].tolist() == HOLE
    assert one(tmp_path, {"objectType": "cell"}).polygons[0][0].tolist() == SQUARE[0]
    for nothing in (None, {}):
        shape = one(tmp_path, {"objectType": "cell"}, nucleusGeometry=nothing)
        assert shape.polygons[0][0].tolist() == SQUARE[0]


def test_holes_and_several_parts_are_kept(tmp_path: Path) -> None:
    shape = one(
        tmp_path, geometry={"type": "MultiPolygon", "coordinates": [[*SQUARE, HOLE], [HOLE]]}
    )
    assert [len(p) for p in shape.polygons] == [2, 1]


def test_several_points_and_planes(tmp_path: Path) -> None:
    shape = one(tmp_path, geometry={"type": "MultiPoint", "coordinates": [[3.5, 7.5], [1, 2, 0]]})
    assert shape.points.tolist() == [[7, 3], [1.5, 0.5]]


def test_children_are_found(tmp_path: Path) -> None:
    child = {"geometry": {"type": "Point", "coordinates": [1, 1]}}
    parent = {"geometry": None, "properties": {"childObjects": [child, child]}}
    assert len(read(written(tmp_path, [parent, child]))) == 3


def test_lines_and_empty_features_are_passed_over(tmp_path: Path) -> None:
    line = {"geometry": {"type": "LineString", "coordinates": [[0, 0], [1, 1]]}}
    several = {"geometry": {"type": "GeometryCollection", "geometries": [line["geometry"]]}}
    other = {"geometry": {"type": "Curve"}}
    given = [line, {"geometry": None}, {}, several, several["geometry"] | {"geometry": None}, other]
    shapes = read(written(tmp_path, given))
    assert {s.kind for s in shapes} == {"left"}
    assert left_out(shapes) == [
        "1 lines were left out",
        "3 features without a geometry were left out",
        "1 geometry collections (export the objects in them one by one) were left out",
        "1 features of an unknown geometry were left out",
    ]
    with pytest.raises(NoisySegError, match=r"holds no nuclei \(1 geometry collections"):
        read_masks(written(tmp_path, several["geometry"]), (64, 64))
    square = {"geometry": {"type": "Polygon", "coordinates": SQUARE}}
    for use in (read_masks, read_points):
        assert "1 lines were left out" in use(written(tmp_path, [line, square]), (64, 64)).note


@pytest.mark.parametrize(
    "coordinates",
    [
        None,
        [],
        5,
        [[]],
        [[[1, 2], [3, 4]]],
        [[[1, 2], [3, "4"], [5, 6]]],
        [[["1", "2"], ["3", "4"], ["5", "6"]]],
        [[[1, 2], [3], [5, 6]]],
        [[[1, 2], [3, None], [5, 6]]],
        [[[1, 2], [3, True], [5, 6]]],
        [[[1, 2], [3, [4]], [5, 6]]],
        [[{"x": 1}, {"x": 2}, {"x": 3}]],
        [[[1, 2], [3, 1e300], [5, 6]]],
        [[[1, 2], [3, 10**39], [5, 6]]],
    ],
)
def test_broken_geometries_name_the_feature(tmp_path: Path, coordinates: Any) -> None:
    good = {"geometry": {"type": "Polygon", "coordinates": SQUARE}}
    broken = {"geometry": {"type": "Polygon", "coordinates": coordinates}}
    path = written(tmp_path, [good, broken])
    with pytest.raises(NoisySegError, match=r"größe 1\.geojson, feature 2"):
        read(path)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_are_no_place_are_refused(tmp_path: Path, number: str) -> None:
    text = '[{"geometry": {"type": "Point", "coordinates": [1, ' + number + "]}}]"
    with pytest.raises(NoisySegError, match="feature 1"):
        read(written(tmp_path, text))


def test_broken_json_names_the_line(tmp_path: Path) -> None:
    with pytest.raises(NoisySegError, match=r"größe 1\.geojson, line 3: "):
        read(written(tmp_path, '{"type": "FeatureCollection",\n"features": [\n{]}'))


@pytest.mark.parametrize("document", ["", "  \n", "3", '"words"', "{}", '{"features": 3}', "[3]"])
def test_what_is_no_geojson_is_refused(tmp_path: Path, document: str) -> None:
    with pytest.raises(NoisySegError, match=r"größe 1\.geojson"):
        read(written(tmp_path, document))


@pytest.mark.parametrize("depth", [70, 5_000, 200_000])
def test_deep_nesting_is_refused(tmp_path: Path, depth: int) -> None:
    text = '[{"x": ' + "[" * depth + "]" * depth + "}]"
    with pytest.raises(NoisySegError, match="größe 1"):
        read(written(tmp_path, text))


def test_sizes_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, [{"geometry": {"type": "Polygon", "coordinates": SQUARE}}] * 3)
    monkeypatch.setattr(geojson, "MAX_VERTICES", 14)
    with pytest.raises(NoisySegError, match="more than 14 vertices"):
        read(path)
    with pytest.raises(NoisySegError, match="more than is read at once"):
        bounded_json.read(path, limit=100)


def test_missing_and_foreign_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NoisySegError, match="there is no file"):
        read(tmp_path / "gone.geojson")
    with pytest.raises(NoisySegError, match="is a folder"):
        read(tmp_path)
    (tmp_path / "a.geojson").write_bytes(b"\xff\xfe\x00{")
    with pytest.raises(NoisySegError, match="UTF-8"):
        read(tmp_path / "a.geojson")


def test_a_nucleus_is_written_as_qupath_wants_it() -> None:
    identity = str(uuid.uuid4())
    polygons = [tuple(np.array(ring, float) for ring in (*SQUARE, HOLE))]
    feature = geojson.feature(polygons, identity, ("Tumor", (200, 0, 0)), {"A": 1.5}, {"k": "v"})
    assert feature == {
        "type": "Feature",
        "id": identity,
        "geometry": {"type": "Polygon", "coordinates": [*SQUARE, HOLE]},
        "properties": {
            "objectType": "detection",
            "classification": {"name": "Tumor", "color": [200, 0, 0]},
            "measurements": {"A": 1.5},
            "metadata": {"k": "v"},
        },
    }
    plain = geojson.feature(polygons * 2, identity, None, {}, {})
    assert plain["properties"] == {"objectType": "detection"}
    assert plain["geometry"]["type"] == "MultiPolygon"


def test_damaged_files_never_show_a_traceback(tmp_path: Path) -> None:
    features = [
        {
            "type": "Feature",
            "id": str(uuid.UUID(int=n)),
            "geometry": {"type": kind, "coordinates": coordinates},
            "properties": {"classification": {"name": "T", "color": [1, 2, 3]}},
        }
        for n, (kind, coordinates) in enumerate(
            [("Polygon", SQUARE), ("Polygon", [HOLE]), ("MultiPolygon", [SQUARE, [HOLE]])] * 2
        )
    ]
    whole = json.dumps({"type": "FeatureCollection", "features": features})
    generator = np.random.default_rng(4)
    survivors = 0
    for _ in range(400):
        document = json.loads(whole)
        replace_one(document, generator)
        # any other exception fails the test
        with contextlib.suppress(NoisySegError):
            read_masks(written(tmp_path, document), (64, 64))
            survivors += 1
    assert 100 < survivors < 390


def replace_one(document: Any, generator: np.random.Generator) -> None:
    """Put something else in the place of one value, anywhere in a document."""
    values = [None, 1e9, -3, 7.5, [], {}, "text", True, [[]], [None], {"type": "Point"}]
    holder = document
    while True:
        keys = list(holder) if isinstance(holder, dict) else range(len(holder))
        key = keys[generator.integers(len(keys))]
        deeper = isinstance(holder[key], (dict, list)) and len(holder[key])
        if not deeper or generator.random() < 0.15:
            holder[key] = values[generator.integers(len(values))]
            return
        holder = holder[key]


def test_rings_without_an_area_are_no_nuclei(tmp_path: Path) -> None:
    flat = [[[3, 3], [9, 9], [3, 3]]]
    point = [[[5, 5], [5, 5], [5, 5], [5, 5]]]
    shapes = [{"geometry": {"type": "Polygon", "coordinates": c}} for c in (flat, point, SQUARE)]
    masks = read_masks(written(tmp_path, shapes), (64, 64))
    assert len(masks.outlines) == 1
    assert "2 outlines without a pixel" in masks.note
