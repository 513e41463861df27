from __future__ import annotations

import csv
import io
import json
import os
import uuid
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from exchange_parts import candidates_of, outlines_of

from napari_noisyseg.errors import JobError, NoisySegError
from napari_noisyseg.exchange import exporting, geojson, measurements
from napari_noisyseg.exchange import labels as label_files
from napari_noisyseg.exchange.cells import text_of
from napari_noisyseg.exchange.exporting import export
from napari_noisyseg.exchange.formats import FORMATS
from napari_noisyseg.exchange.formats import labels as label_format
from napari_noisyseg.exchange.importing import import_rough
from napari_noisyseg.exchange.layers import LAYERS
from napari_noisyseg.exchange.measurements import is_csv
from napari_noisyseg.exchange.outlines import fill
from napari_noisyseg.slides import Box, open_image, read_labels
from napari_noisyseg.store import Candidate, Outline, Project

Tissue = tuple[np.ndarray, np.ndarray]


@pytest.fixture
def found(project: Project, image: str, tnbc: Tissue) -> list[Candidate]:
    """What a run found: the nuclei of the bundled field."""
    project.nuclei.adopt(image, "run-1", candidates_of(tnbc[1]))
    return project.nuclei.candidates(image)


def test_labels_hold_the_serial_of_every_nucleus(
    project: Project, image: str, tmp_path: Path, tnbc: Tissue, found: list[Candidate]
) -> None:
    (path,) = export(project, tmp_path / "out", "labels")
    assert path == tmp_path / "out" / f"{image}.tif"
    labels = read_labels(path)
    assert np.array_equal(labels > 0, tnbc[1] > 0)
    for candidate in found:
        assert np.array_equal(
            labels[candidate.outline.box.slices] == candidate.serial, candidate.outline.mask
        )
    assert tifffile.imread(path).dtype == np.uint16
    assert [p.name for p in (tmp_path / "out").iterdir()] == [path.name]


def test_labels_say_how_large_a_pixel_is(tmp_path: Path) -> None:
    label_files.write_labels(tmp_path / "a.tif", np.arange(20).reshape(4, 5), mpp=0.4)
    assert np.array_equal(read_labels(tmp_path / "a.tif"), np.arange(20).reshape(4, 5))
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.pages.first.tags["XResolution"].value[0] == pytest.approx(25_000)
    with pytest.raises(NoisySegError, match="fluorescence"):
        open_image(tmp_path / "a.tif")


@pytest.mark.parametrize(("largest", "kind"), [(65_535, np.uint16), (65_536, np.uint32)])
def test_numbers_get_the_bits_they_need(tmp_path: Path, largest: int, kind: type) -> None:
    labels = np.full((5, 5), largest)
    label_files.write_labels(tmp_path / "a.tif", labels)
    assert tifffile.imread(tmp_path / "a.tif").dtype == kind
    assert np.array_equal(read_labels(tmp_path / "a.tif"), labels)


def test_large_images_are_written_tile_by_tile_alike(
    project: Project,
    image: str,
    tmp_path: Path,
    found: list[Candidate],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (whole,) = export(project, tmp_path / "whole", "labels")
    monkeypatch.setattr(label_format, "WHOLE_PIXELS", 1000)
    for module in (label_format, label_files):
        monkeypatch.setattr(module, "TILE", 96)
    monkeypatch.setattr("napari_noisyseg.exchange.nuclei.TILE", 96)
    (tiled,) = export(project, tmp_path / "tiled", "labels")
    with tifffile.TiffFile(tiled) as file:
        assert file.pages.first.is_tiled
    assert np.array_equal(read_labels(tiled), read_labels(whole))


def test_geojson_comes_back_as_the_same_nuclei(
    project: Project, image: str, tmp_path: Path, found: list[Candidate]
) -> None:
    project.nuclei.decide([found[0].id], "accepted")
    project.nuclei.set_class([found[0].id], "Tumör")
    (path,) = export(project, tmp_path, "geojson")
    shapes = geojson.read(path)
    assert [s.id for s in shapes] == [c.id for c in found]
    assert all(s.role == "nucleus" for s in shapes)
    for shape, candidate in zip(shapes, found, strict=True):
        box = candidate.outline.box
        assert np.array_equal(fill(shape.polygons, box), candidate.outline.mask)
        assert shape.measurements["Area µm^2"] == pytest.approx(candidate.area_um2)
        assert shape.measurements["Score"] == pytest.approx(candidate.score)
    assert [s.class_name for s in shapes] == ["Tumör"] + [None] * (len(found) - 1)
    color = project.nuclei.classes()[0].color
    assert shapes[0].color == tuple(int(color[k : k + 2], 16) for k in (1, 3, 5))


def test_geojson_is_as_qupath_demands(
    project: Project, image: str, tmp_path: Path, found: list[Candidate]
) -> None:
    project.nuclei.decide([found[0].id], "accepted")
    project.nuclei.set_class([found[0].id], "Tumör")
    (path,) = export(project, tmp_path, "geojson")
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document["type"] == "FeatureCollection"
    for feature in document["features"]:
        assert uuid.UUID(feature["id"])
        properties = feature["properties"]
        assert properties["objectType"] == "detection"
        assert "isLocked" not in properties
        if "classification" in properties:
            assert set(properties["classification"]) == {"name", "color"}
        assert all(isinstance(v, float) for v in properties["measurements"].values())
        assert all(isinstance(v, str) for v in properties["metadata"].values())
        for ring in feature["geometry"]["coordinates"]:
            assert ring[0] == ring[-1]
    first = document["features"][0]["properties"]["metadata"]
    assert (first["state"], first["run"], first["image"]) == ("accepted", "run-1", image)


def test_comments_and_classes_leave_with_their_nuclei(
    project: Project, image: str, tmp_path: Path, found: list[Candidate]
) -> None:
    words = '=mitosis?, "late"\nsee slide 3'
    first, second = found[0].id, found[1].id
    project.nuclei.decide([first, second], "accepted")
    project.nuclei.set_class([first], "tumour")
    project.nuclei.set_comment(image, first, words)
    (path,) = export(project, tmp_path, "geojson")
    said = {f["id"]: f["properties"] for f in json.loads(path.read_text("utf-8"))["features"]}
    assert said[first]["metadata"]["comment"] == project.nuclei.comment(first)
    assert said[first]["classification"]["name"] == "tumour"
    assert "comment" not in said[second]["metadata"]
    (table,) = export(project, tmp_path, "csv")
    with table.open(newline="", encoding="utf-8") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    assert text_of(rows[first]["comment"]) == project.nuclei.comment(first)
    assert rows[first]["comment"].startswith("'=")
    assert (rows[first]["class"], rows[second]["comment"]) == ("tumour", "")
    assert len(rows) == len(found)
    assert is_csv(table)


@pytest.mark.parametrize("mpp", [0.1, 0.25, 0.499])
def test_a_round_trip_shifts_nothing_at_any_resolution(
    tmp_path: Path, tnbc: Tissue, mpp: float
) -> None:
    with Project.create(tmp_path / "q.noisyseg") as project:
        project.add_array(tnbc[0], "a", mpp=mpp)
        project.nuclei.adopt("a", "run-1", candidates_of(tnbc[1]))
        (path,) = export(project, tmp_path / "out", "geojson")
        import_rough(project, "a", path)
        assert np.array_equal(project.nuclei.painted("a") > 0, tnbc[1] > 0)


def test_accepted_outlines_take_precedence_and_rejected_ones_are_left_out(
    project: Project, image: str, tmp_path: Path, found: list[Candidate]
) -> None:
    rejected, accepted, doubted = found[:3]
    drawn = Outline(Box(0, 0, 30, 4), np.ones((30, 4), bool))
    project.nuclei.decide([rejected.id], "rejected")
    project.nuclei.decide([accepted.id], "accepted", outlines={accepted.id: drawn})
    project.nuclei.decide([doubted.id], "unsure")
    (path,) = export(project, tmp_path / "refined", "labels")
    labels = read_labels(path)
    assert set(np.unique(labels)) - {0} == {c.serial for c in found} - {rejected.serial}
    assert (labels[:30, :4] == accepted.serial).all()
    assert not (labels[accepted.outline.box.slices][accepted.outline.mask] == accepted.serial).any()
    (path,) = export(project, tmp_path / "accepted", "labels", layer="accepted")
    labels = read_labels(path)
    assert set(np.unique(labels)) == {0, accepted.serial}
    assert (labels == accepted.serial).sum() == 120


def test_a_nucleus_that_the_newest_run_missed_is_exported_when_accepted(
    project: Project, image: str, tmp_path: Path, tnbc: Tissue, found: list[Candidate]
) -> None:
    project.nuclei.decide([found[0].id], "accepted")
    others = np.where(tnbc[1] == np.unique(tnbc[1])[1], 0, tnbc[1])
    project.nuclei.adopt(image, "run-2", candidates_of(others, "run-2"))
    (path,) = export(project, tmp_path / "out", "geojson")
    assert {s.id for s in geojson.read(path)} == {c.id for c in found}


def test_measurements_are_those_of_each_outline(
    project: Project, image: str, tmp_path: Path, tnbc: Tissue
) -> None:
    drawn = outlines_of(tnbc[1])[:5]
    first = candidates_of(tnbc[1])[:5]
    over = replace(first[0], outline=drawn[1])  # two nuclei on the same pixels
    project.nuclei.adopt(image, "run-1", [*first, over])
    (path,) = export(project, tmp_path, "csv")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    candidates = project.nuclei.candidates(image)
    assert [r["id"] for r in rows] == [c.id for c in candidates]
    for row, candidate in zip(rows, candidates, strict=True):
        assert float(row["area_um2"]) == pytest.approx(candidate.area_um2, rel=1e-5)
        assert 0 <= float(row["eccentricity"]) < 1
        assert float(row["perimeter_um"]) > 0
        assert float(row["score"]) == pytest.approx(candidate.score, rel=1e-5)
        assert (row["state"], row["class"]) == ("unreviewed", "")
    twins = [r for r, c in zip(rows, candidates, strict=True) if c.outline == drawn[1]]
    assert twins[0]["mean_hematoxylin"] == twins[1]["mean_hematoxylin"]
    assert all(float(r["mean_hematoxylin"]) > 0.1 for r in rows)


@pytest.mark.parametrize("name", ["=HYPERLINK(1)", "+1", "-1", "@x"])
def test_names_in_a_table_are_no_formulas(
    project: Project, image: str, tmp_path: Path, found: list[Candidate], name: str
) -> None:
    project.nuclei.decide([found[0].id], "accepted")
    project.nuclei.set_class([found[0].id], name)
    (path,) = export(project, tmp_path, "csv")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert sum("'" + name in row for row in rows) == 1
    assert not [c for row in rows for c in row if c.startswith(("=", "+", "-", "@"))]
    # numbers stay numbers
    assert all(float(value) >= 0 for value in rows[1][1:8])


def test_measurements_do_not_depend_on_the_pieces(
    project: Project,
    tmp_path: Path,
    found: list[Candidate],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (whole,) = export(project, tmp_path / "whole", "csv")
    monkeypatch.setattr(measurements, "TILE", 100)
    (pieces,) = export(project, tmp_path / "pieces", "csv")
    assert pieces.read_text() == whole.read_text()


# what may go wrong


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        ("refined", "train first"),
        ("accepted", "accept"),
        ("corrected", "train mmc or superpixel"),
        ("outline", "click nuclei first"),
        ("local", "click nuclei first"),
        ("rough", "paint or import rough masks first"),
    ],
)
def test_nothing_to_export_is_said(project: Project, tmp_path: Path, layer: str, said: str) -> None:
    with pytest.raises(NoisySegError, match=said):
        export(project, tmp_path / "out", "labels", layer)
    assert not (tmp_path / "out").exists()


def test_unknown_formats_and_layers_are_refused(project: Project, tmp_path: Path) -> None:
    with pytest.raises(NoisySegError, match="geojson, labels, csv"):
        export(project, tmp_path, "pdf")
    with pytest.raises(NoisySegError, match=", ".join(LAYERS)):
        export(project, tmp_path, "labels", "all")
    assert not list(tmp_path.glob("*.tif"))


FILES = [name for name, f in FORMATS.items() if not f.is_folder]


@pytest.mark.parametrize("format", FILES)
def test_an_export_may_replace_an_earlier_one_but_nothing_else(
    project: Project, tmp_path: Path, found: list[Candidate], format: str
) -> None:
    (path,) = export(project, tmp_path / "out", format)
    content = path.read_bytes()
    project.nuclei.decide([found[0].id], "rejected")
    export(project, tmp_path / "out", format)
    assert path.read_bytes() != content
    if format == "labels":
        tifffile.imwrite(path, np.zeros((9, 9, 3), np.uint8), photometric="rgb")
    else:
        path.write_text("somebody's own")
    own = path.read_bytes()
    with pytest.raises(NoisySegError, match="not of an earlier export"):
        export(project, tmp_path / "out", format)
    assert path.read_bytes() == own
    assert list((tmp_path / "out").iterdir()) == [path]


def test_a_folder_may_be_replaced_where_it_is_ours(
    project: Project, tmp_path: Path, found: list[Candidate]
) -> None:
    (path,) = export(project, tmp_path / "out", "ome-zarr")
    (path / "more").write_text("left over")
    export(project, tmp_path / "out", "ome-zarr")
    assert not (path / "more").exists()
    assert list((tmp_path / "out").iterdir()) == [path]
    (path / "zarr.json").write_text('{"node_type": "group"}')
    with pytest.raises(NoisySegError, match="not of an earlier export"):
        export(project, tmp_path / "out", "ome-zarr")
    assert (path / "labels").is_dir()
    with pytest.raises(NoisySegError, match="cannot go to stdout"):
        exporting.export_one(project, io.BytesIO(), "ome-zarr")


@pytest.mark.parametrize("format", FILES)
@pytest.mark.parametrize("new", [True, False])
def test_a_full_disk_leaves_nothing_half_written(
    project: Project,
    tmp_path: Path,
    found: list[Candidate],
    monkeypatch: pytest.MonkeyPatch,
    format: str,
    new: bool,
) -> None:
    out = tmp_path / "out"
    before = {} if new else {p: p.read_bytes() for p in export(project, out, format)}
    project.nuclei.decide([found[0].id], "rejected")
    monkeypatch.setattr(Path, "open", full_disk(Path.open))
    monkeypatch.setattr(tifffile, "imwrite", no_space)
    with pytest.raises(JobError, match="No space left"):
        export(project, out, format)
    monkeypatch.undo()
    assert out.exists() != new
    assert {p: p.read_bytes() for p in before} == before
    assert set(before) == (set() if new else set(out.iterdir()))


def no_space(*_: object, **__: object) -> None:
    raise OSError(28, os.strerror(28))


def full_disk(real: object) -> object:
    """`Path.open` on a disk that takes no more."""

    def opened(path: Path, mode: str = "r", *rest: object, **options: object) -> object:
        file = real(path, mode, *rest, **options)  # type: ignore[operator]
        if "w" in mode:
            file.write = no_space
        return file

    return opened


def test_a_file_in_place_of_the_folder_is_refused(
    project: Project, tmp_path: Path, found: list[Candidate]
) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(NoisySegError, match="name a folder"):
        export(project, tmp_path / "out", "labels")
    assert (tmp_path / "out").read_text() == "mine"


def test_images_named_like_no_file_may_be_are_told_apart(tmp_path: Path, tnbc: Tissue) -> None:
    assert exporting._stems(["a/b", "a:b", "A_B", "..", "Größe 1"]) == [
        "a_b",
        "a_b-2",
        "A_B-3",
        "image",
        "Größe 1",
    ]
    with Project.create(tmp_path / "q.noisyseg") as project:
        for name in ("one", "two", "bare"):
            project.add_array(tnbc[0], name, mpp=0.25)
        for name in ("one", "two"):
            project.nuclei.adopt(name, "run-1", candidates_of(tnbc[1]))
        names = [p.name for p in export(project, tmp_path / "all", "labels")]
        assert names == ["one.tif", "two.tif"]
        (path,) = export(project, tmp_path / "one", "labels", image="two")
        assert path.name == "two.tif"
    with Project.open(tmp_path / "q.noisyseg", write=False) as project:
        assert len(export(project, tmp_path / "read only", "geojson")) == 2
