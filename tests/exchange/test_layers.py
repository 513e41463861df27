"""What each layer sends out: outlines at clicks, rough masks, masks as a method mended them."""

from __future__ import annotations

import csv
import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from exchange_parts import outlines_of
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_noisyseg.coarse import project as regions_of
from napari_noisyseg.coarse.project import labels_of
from napari_noisyseg.errors import JobError
from napari_noisyseg.exchange import derived, geojson, stored
from napari_noisyseg.exchange import labels as label_files
from napari_noisyseg.exchange.exporting import export
from napari_noisyseg.exchange.layers import LAYERS
from napari_noisyseg.exchange.outlines import fill
from napari_noisyseg.slides import Box, read_labels
from napari_noisyseg.store import ImageRecord, Nucleus, Outline, Project

Tissue = tuple[np.ndarray, np.ndarray]
SIDE = 192
WHOLE = Box(0, 0, SIDE, SIDE)
BLOBS = np.array([(y, x) for y in range(30, SIDE, 44) for x in range(28, SIDE, 40)])


@pytest.fixture
def clicks(tnbc: Tissue) -> np.ndarray:
    """A pixel inside each nucleus of the corner of the bundled field, (n, 2)."""
    return np.array([places[len(places) // 2] for places in _pixels(tnbc[1][:SIDE, :SIDE])])


def _pixels(labels: np.ndarray) -> Iterator[np.ndarray]:
    for value in np.unique(labels)[1:]:
        places = np.argwhere(labels == value)
        if len(places) > 60:
            yield places


@pytest.fixture
def project(tmp_path: Path, tnbc: Tissue) -> Iterator[Project]:
    """Two corners of real tissue: `a` to be marked, `bare` without anything."""
    with Project.create(tmp_path / "p.noisyseg") as made:
        made.add_array(tnbc[0][:SIDE, :SIDE], "a", mpp=0.25)
        made.add_array(tnbc[0][-SIDE:, -SIDE:], "bare", mpp=0.25)
        yield made


@pytest.fixture
def nuclei(project: Project, clicks: np.ndarray) -> list[Nucleus]:
    return project.nuclei.add_many("a", clicks)


def expected(project: Project, layer: str) -> np.ndarray:
    labels = labels_of(project, "a", WHOLE, (layer,))
    return np.array(labels.outlines if layer == "outline" else labels.instances)


def exported(project: Project, out: Path, layer: str) -> np.ndarray:
    (path,) = export(project, out, "labels", layer)
    assert path.name == "a.tif"  # an image without anything gets no file
    return read_labels(path)


# outline and local


@pytest.mark.parametrize("layer", ["outline", "local"])
def test_labels_are_what_is_derived(
    project: Project, tmp_path: Path, nuclei: list[Nucleus], layer: str
) -> None:
    labels = exported(project, tmp_path / "out", layer)
    assert np.array_equal(labels, expected(project, layer))
    assert set(np.unique(labels)) - {0} == {n.serial for n in nuclei}
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["a.tif"]


@pytest.mark.parametrize("layer", ["outline", "local"])
def test_geojson_and_csv_are_of_the_same_nuclei(
    project: Project, tmp_path: Path, nuclei: list[Nucleus], layer: str
) -> None:
    project.nuclei.set_class([nuclei[0].id], "Tumör")
    wanted = expected(project, layer)
    (path,) = export(project, tmp_path, "geojson", layer)
    for shape, n in zip(geojson.read(path), nuclei, strict=True):
        assert (shape.id, shape.class_name) == (n.id, "Tumör" if n is nuclei[0] else None)
        assert "Score" not in shape.measurements
        assert np.array_equal(fill(shape.polygons, WHOLE), wanted == n.serial)
    document = json.loads(path.read_text("utf-8"))
    assert {f["properties"]["metadata"]["state"] for f in document["features"]} == {"unreviewed"}
    assert not any("run" in f["properties"]["metadata"] for f in document["features"])
    (path,) = export(project, tmp_path, "csv", layer)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["id"], int(r["label"]), r["score"]) for r in rows] == [
        (n.id, n.serial, "") for n in nuclei
    ]
    areas = [float(np.count_nonzero(wanted == n.serial)) / 16 for n in nuclei]
    assert [float(r["area_um2"]) for r in rows] == pytest.approx(areas, rel=1e-5)


@pytest.mark.parametrize("layer", ["outline", "local"])
@pytest.mark.parametrize("accept", [True, False])
def test_a_settled_outline_stands_over_the_derived_one(
    project: Project, tmp_path: Path, nuclei: list[Nucleus], layer: str, accept: bool
) -> None:
    chosen, wanted = nuclei[3], expected(project, layer)
    drawn = Outline(Box(0, 0, 40, 9), np.ones((40, 9), bool))
    if accept:
        project.nuclei.decide([chosen.id], "accepted", outlines={chosen.id: drawn})
    else:
        project.nuclei.set_outline(chosen.id, drawn.box, drawn.mask, "edit")
    labels = exported(project, tmp_path, layer)
    assert np.array_equal(labels == chosen.serial, drawn.cut(WHOLE))
    others = ~drawn.cut(WHOLE) & (wanted != chosen.serial)
    assert np.array_equal(labels[others], wanted[others])
    (path,) = export(project, tmp_path, "geojson", layer)
    (shape,) = [s for s in geojson.read(path) if s.id == chosen.id]
    assert np.array_equal(fill(shape.polygons, WHOLE), drawn.cut(WHOLE))
    states = [f["properties"]["metadata"] for f in json.loads(path.read_text())["features"]]
    (state,) = [s["state"] for s in states if s["label"] == str(chosen.serial)]
    assert state == ("accepted" if accept else "unreviewed")


def test_a_click_in_a_settled_outline_is_of_that_nucleus(
    project: Project, tmp_path: Path, nuclei: list[Nucleus]
) -> None:
    first, second = nuclei[:2]
    box = Box.around(
        Box(int(n.y), int(n.x), int(n.y) + 1, int(n.x) + 1) for n in (first, second)
    ).grow(2)
    inside = [n for n in nuclei if box.clip((SIDE, SIDE)).contains(n.y, n.x)]
    box = box.clip((SIDE, SIDE))
    project.nuclei.set_outline(first.id, box, np.ones(box.shape, bool), "edit")
    labels = exported(project, tmp_path, "outline")
    gone = {n.serial for n in inside} - {first.serial}
    assert second.serial in gone
    assert set(np.unique(labels)) - {0} == {n.serial for n in nuclei} - gone


@pytest.mark.parametrize("layer", ["outline", "local"])
def test_rejected_nuclei_stay_out(
    project: Project, tmp_path: Path, nuclei: list[Nucleus], layer: str
) -> None:
    project.nuclei.decide([nuclei[0].id], "rejected")
    project.nuclei.decide([nuclei[1].id], "unsure")
    labels = exported(project, tmp_path, layer)
    wanted = expected(project, layer)
    assert np.array_equal(labels, np.where(wanted == nuclei[0].serial, 0, wanted))
    (path,) = export(project, tmp_path, "csv", layer)
    rows = path.read_text("utf-8").splitlines()
    assert len(rows) == len(nuclei)
    assert rows[1].startswith(nuclei[1].id)
    assert ",unsure," in rows[1]


def test_a_doubt_is_told_once_with_the_image(tmp_path: Path, tnbc: Tissue) -> None:
    said: list[str] = []
    with Project.create(tmp_path / "dark.noisyseg") as project:
        project.add_array(tnbc[0][:SIDE, :SIDE] // 8, "night", mpp=0.25)
        project.nuclei.add("night", 50, 60)
        export(project, tmp_path / "a", "labels", "local", tell=said.append)
        assert said == []
        (path,) = export(project, tmp_path / "b", "labels", "outline", tell=said.append)
        assert len(said) == 1
        assert said[0].startswith("night: this image is dark")
        assert np.array_equal(
            read_labels(path), labels_of(project, "night", WHOLE, ("local",)).instances
        )


@pytest.fixture
def in_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the image were a slide, of which only the fields are worked on."""
    monkeypatch.setattr(regions_of, "WHOLE_PIXELS", 1000)
    monkeypatch.setattr(stored, "WHOLE_PIXELS", 1000)


@pytest.mark.usefixtures("in_fields")
@pytest.mark.parametrize("layer", ["outline", "local"])
def test_a_nucleus_of_two_fields_comes_once(
    project: Project, tmp_path: Path, nuclei: list[Nucleus], layer: str
) -> None:
    left, right = Box(0, 0, SIDE, 110), Box(0, 80, SIDE, 170)
    for box in (left, right):
        project.nuclei.add_field("a", box)
    inside = {n.serial: n for n in nuclei if box_of(n, left) or box_of(n, right)}
    assert any(box_of(n, left) and box_of(n, right) for n in inside.values())
    assert len(inside) < len(nuclei)
    (path,) = export(project, tmp_path, "geojson", layer)
    shapes = geojson.read(path)
    assert [s.id for s in shapes] == [n.id for n in inside.values()]
    for shape, n in zip(shapes, inside.values(), strict=True):
        mask = fill(shape.polygons, WHOLE)
        assert mask.any()
        assert ndimage.label(mask, np.ones((3, 3)))[1] == 1
        assert n.id == shape.id
    assert set(np.unique(exported(project, tmp_path, layer))) - {0} == set(inside)


def box_of(nucleus: Nucleus, box: Box) -> bool:
    return box.contains(nucleus.y, nucleus.x)


@pytest.mark.usefixtures("in_fields", "nuclei")
def test_a_slide_without_a_field_has_no_outlines(project: Project, tmp_path: Path) -> None:
    assert derived.outline(project, project.image("a")) is None
    project.nuclei.add_field("a", Box(0, 0, 60, 60))
    assert export(project, tmp_path, "labels", "outline")


PLACE = st.tuples(st.integers(0, SIDE - 1), st.integers(0, SIDE - 1))
ACT = st.sampled_from(["accepted", "rejected", "unsure", "edit", "leave"])


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(PLACE, ACT), min_size=1, max_size=8), st.booleans())
def test_whatever_was_decided_each_nucleus_is_there_once(
    tnbc: Tissue, tmp_path_factory: pytest.TempPathFactory, acts: list, fields: bool
) -> None:
    folder = tmp_path_factory.mktemp("any")
    with Project.create(folder / "p.noisyseg") as project, pytest.MonkeyPatch.context() as patch:
        record = project.add_array(tnbc[0][:SIDE, :SIDE], "a", mpp=0.25)
        if fields:
            patch.setattr(regions_of, "WHOLE_PIXELS", 1000)
            project.nuclei.add_field("a", Box(0, 0, 120, SIDE))
            project.nuclei.add_field("a", Box(90, 0, SIDE, 150))
        drawn = {n.id: o for (n, o) in (decided(project, *act) for act in acts) if o is not None}
        image = derived.outline(project, record)
        found = image.nuclei if image is not None else []
        assert derived.count(project, record) == len(found)
        assert len({n.serial for n in found}) == len(found)
        assert set(drawn) <= {n.id for n in found}
        settled = np.zeros(WHOLE.shape, bool)
        for n in found:
            assert n.state != "rejected"
            assert n.score is None
            if n.id in drawn:
                assert n.outline == drawn[n.id]
                settled |= n.outline.cut(WHOLE)
        assert not any((n.outline.cut(WHOLE) & settled).any() for n in found if n.id not in drawn)
        assert all(
            export(project, folder / "out", f, "outline")
            for f in ("labels", "geojson", "csv")
            if found
        )


def decided(project: Project, place: tuple[int, int], act: str) -> tuple[Nucleus, Outline | None]:
    nucleus = project.nuclei.add("a", *place)
    box = Box(place[0] - 6, place[1] - 4, place[0] + 5, place[1] + 7).clip(WHOLE.shape)
    outline = Outline(box, np.ones(box.shape, bool))
    if act == "edit":
        project.nuclei.set_outline(nucleus.id, *(outline.box, outline.mask), "edit")
    elif act == "accepted":
        project.nuclei.decide([nucleus.id], "accepted", outlines={nucleus.id: outline})
    elif act != "leave":
        project.nuclei.decide([nucleus.id], act)
    return nucleus, outline if act in ("edit", "accepted") else None


# rough and corrected


def blobs(step: int = 3) -> np.ndarray:
    """Disks with the numbers 3, 6, 9, ..., int32 (SIDE, SIDE)."""
    labels = np.zeros(WHOLE.shape, np.int32)
    for number, (y, x) in enumerate(BLOBS, start=1):
        labels[y - 8 : y + 9, x - 6 : x + 7] = number * step
    return labels


def paint(project: Project, labels: np.ndarray) -> None:
    project.nuclei.paint("a", WHOLE, project.nuclei.painted("a"), labels)


def test_rough_masks_keep_their_numbers(project: Project, tmp_path: Path) -> None:
    labels = blobs()
    labels[:4, :4] = labels[-4:, -4:] = 1  # one number, two places: one nucleus
    paint(project, labels)
    assert np.array_equal(exported(project, tmp_path, "rough"), labels)
    (path,) = export(project, tmp_path, "csv", "rough")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(r["label"]) for r in rows] == np.unique(labels)[1:].tolist()
    assert {(r["state"], r["class"], r["score"]) for r in rows} == {("unreviewed", "", "")}


def test_ids_of_rough_masks_stay_from_export_to_export(project: Project, tmp_path: Path) -> None:
    paint(project, blobs())
    (first,) = export(project, tmp_path / "a", "geojson", "rough")
    (second,) = export(project, tmp_path / "b", "geojson", "rough")
    assert first.read_bytes() == second.read_bytes()
    ids = [s.id for s in geojson.read(first)]
    assert len({uuid.UUID(id) for id in ids}) == len(BLOBS)


def test_what_was_rubbed_out_is_not_there(project: Project, tmp_path: Path) -> None:
    paint(project, blobs())
    paint(project, np.zeros_like(blobs()))
    assert stored.rough(project, project.image("a")) is None


@pytest.mark.usefixtures("in_fields")
def test_numbers_that_two_fields_share_are_two_nuclei(project: Project, tmp_path: Path) -> None:
    labels = np.zeros(WHOLE.shape, np.int32)
    labels[5:20, 5:20], labels[100:120, 90:99], labels[50:60, 50:60] = 1, 1, 2
    paint(project, labels)
    found = exported(project, tmp_path, "rough")
    assert (found[5:20, 5:20] == 1).all()
    assert (found[100:120, 90:99] == 3).all()
    assert (found[50:60, 50:60] == 2).all()


@pytest.mark.parametrize("strip", [2**24, 5 * SIDE])
def test_corrected_masks_come_back(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, strip: int
) -> None:
    monkeypatch.setattr(stored, "STRIP", strip)
    project.labels.write("a", "corrected", blobs(1), {"run": "r"})
    assert np.array_equal(exported(project, tmp_path, "corrected"), blobs(1))


def test_corrected_masks_without_numbers_are_taken_apart(project: Project, tmp_path: Path) -> None:
    project.labels.write("a", "corrected", (blobs() > 0).astype(np.uint8))
    found = exported(project, tmp_path, "corrected")
    assert np.array_equal(found, blobs(1))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 0.9), st.integers(1, 3), st.integers(1, 40))
def test_pieces_are_those_of_a_labelling(seed: int, share: float, values: int, strip: int) -> None:
    random = np.random.default_rng(seed)
    shape = tuple(int(n) for n in random.integers(1, 20, 2))
    labels = (random.random(shape) < share) * random.integers(1, values + 1, shape)
    record = ImageRecord("a", *shape, 0.25, False, None, "")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stored, "STRIP", strip)
        runs = stored._runs(record, lambda box: labels[box.slices])
    found = list(stored._outlines(runs, stored._pieces(runs)))
    whole = Box(0, 0, *shape)
    count = 0
    for value in range(1, values + 1):
        parts, number = ndimage.label(labels == value, np.ones((3, 3)))
        count += number
        masks = {tuple(map(tuple, np.argwhere(parts == k))) for k in range(1, number + 1)}
        mine = {tuple(map(tuple, np.argwhere(o.cut(whole)))) for _, o in found}
        assert masks <= mine
    assert count == len(found) == len({serial for serial, _ in found})
    used = {serial for serial, o in found if (labels[o.cut(whole)] == serial).all()}
    assert set(np.unique(labels)) - {0} <= used


# every layer, every format


@pytest.fixture
def full(project: Project, nuclei: list[Nucleus], tnbc: Tissue) -> Project:
    """A project that has something of every layer."""
    first = outlines_of(tnbc[1][:SIDE, :SIDE])[0]
    project.nuclei.decide([nuclei[0].id], "accepted", outlines={nuclei[0].id: first})
    paint(project, blobs())
    project.labels.write("a", "corrected", blobs(1))
    return project


@pytest.mark.parametrize("format", ["labels", "geojson", "csv"])
@pytest.mark.parametrize("layer", LAYERS)
def test_every_layer_goes_out(full: Project, tmp_path: Path, layer: str, format: str) -> None:
    (path,) = export(full, tmp_path / "out", format, layer)
    assert path.stem == "a"
    assert path.stat().st_size > 100
    count = LAYERS[layer].count(full, full.image("a"))
    assert count > 0
    if format == "labels":
        assert len(np.unique(read_labels(path))) - 1 == count
    elif format == "geojson":
        assert len(geojson.read(path)) == count
    else:
        assert len(path.read_text("utf-8").splitlines()) - 1 == count
    assert LAYERS[layer].count(full, full.image("bare")) == 0


@pytest.mark.parametrize("layer", LAYERS)
def test_a_project_that_cannot_be_written_is_enough(
    full: Project, tmp_path: Path, layer: str
) -> None:
    with Project.open(full.path, write=False) as reader:
        assert export(reader, tmp_path / "out", "labels", layer)


@pytest.mark.parametrize("layer", LAYERS)
def test_a_full_disk_leaves_nothing(
    full: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layer: str
) -> None:
    def no_space(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(label_files.tifffile, "imwrite", no_space)
    with pytest.raises(JobError, match="No space left"):
        export(full, tmp_path / "out", "labels", layer)
    assert not (tmp_path / "out").exists()
