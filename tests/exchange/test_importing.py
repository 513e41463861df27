from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import tifffile
from exchange_parts import outlines_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image
from skimage.draw import disk

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.exchange import geojson
from napari_noisyseg.exchange.annotation import read_masks, read_points
from napari_noisyseg.exchange.importing import import_clean, import_points, import_rough
from napari_noisyseg.exchange.outlines import trace
from napari_noisyseg.noise import simulate
from napari_noisyseg.slides import Box
from napari_noisyseg.store import Project

Tissue = tuple[np.ndarray, np.ndarray]


def csv(tmp_path: Path, rows: str) -> Path:
    path = tmp_path / "points.csv"
    path.write_text("x,y,class\n" + rows)
    return path


def label_file(tmp_path: Path, labels: np.ndarray) -> Path:
    tifffile.imwrite(tmp_path / "labels.tif", labels.astype(np.uint16))
    return tmp_path / "labels.tif"


def geojson_file(tmp_path: Path, *features: dict[str, object]) -> Path:
    path = tmp_path / "objects.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": list(features)}))
    return path


def square(x: float, y: float, side: float, **properties: object) -> dict[str, object]:
    ring = [[x, y], [x + side, y], [x + side, y + side], [x, y + side], [x, y]]
    geometry = {"type": "Polygon", "coordinates": [ring]}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def point(x: float, y: float, **properties: object) -> dict[str, object]:
    geometry = {"type": "Point", "coordinates": [x, y]}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


# points


def test_points_are_no_masks_and_it_says_what_they_are(
    project: Project, image: str, tmp_path: Path
) -> None:
    with pytest.raises(NoisySegError, match="2 points and no outline: import them as points"):
        import_rough(project, image, geojson_file(tmp_path, point(3, 4), point(30, 40)))


def shades() -> np.ndarray:
    """Nuclei whose rims a resizing has made grey."""
    rng = np.random.default_rng(0)
    return np.where(rng.random((512, 512)) < 0.2, rng.integers(1, 200, (512, 512)), 0)


def classes(labels: np.ndarray) -> np.ndarray:
    return np.where(labels > 0, 1 + labels % 2, 0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda labels: labels + 1, "label 1 covers .*background the value 0"),
        (classes, "classes or shades, not nuclei"),
        (lambda labels: shades(), "classes or shades, not nuclei"),
    ],
)
def test_numbers_that_are_no_nuclei_are_refused(
    project: Project, image: str, tnbc: Tissue, tmp_path: Path, change, said: str
) -> None:
    path = label_file(tmp_path, change(tnbc[1]))
    for read in (import_clean, import_rough):
        with pytest.raises(NoisySegError, match=said):
            read(project, image, path)
    assert project.nuclei.of(image) == []


@pytest.mark.parametrize("kind", ["flip", "random"])
def test_noise_all_over_a_small_image_is_read_as_rough_masks(
    tnbc: Tissue, tmp_path: Path, kind: Literal["flip", "random"]
) -> None:
    """Pixels that noise adds belong to the nearest nucleus, which then lies in ragged parts."""
    few = np.where(np.isin(tnbc[1], np.unique(tnbc[1][:140, :140])[1:4]), tnbc[1], 0)[:140, :140]
    noisy = simulate(few, kind, seed=1)
    found = read_masks(label_file(tmp_path, noisy), noisy.shape)
    assert len(found.outlines) == len(np.unique(noisy)) - 1


def test_one_label_with_stray_pixels_is_a_nucleus(tmp_path: Path) -> None:
    labels = np.zeros((140, 140), np.int32)
    for number, middle in enumerate((40, 100), start=1):
        labels[disk((middle, middle), 30)] = number
    labels[3::30, 3:60:13] = 1
    assert len(read_masks(label_file(tmp_path, labels), labels.shape).outlines) == 2


def test_points_beside_outlines_are_told_of(project: Project, image: str, tmp_path: Path) -> None:
    path = geojson_file(tmp_path, point(3, 4), square(10, 10, 20))
    imported = import_rough(project, image, path)
    assert "1 points in the file were left out" in imported.note


def test_points_of_a_table_come_in_as_one_action(
    project: Project, image: str, tmp_path: Path
) -> None:
    imported = import_points(project, image, csv(tmp_path, "3,7.5,Tumor\n510,2,\n"))
    assert int(imported) == 2
    nuclei = project.nuclei.of(image)
    assert [(n.y, n.x, n.class_name, n.origin) for n in nuclei] == [
        (7.5, 3, "Tumor", "import"),
        (2, 510, None, "import"),
    ]
    project.nuclei.undo()
    assert project.nuclei.of(image) == []


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("3,4,\n512,4,\n", r"line 3 \(x 512, y 4\): outside the image of 512 x 512"),
        ("3,4,\n3,-0.6,\n", "line 3"),
        ("3,4,\n5,5,\n3.2,3.9,\n", "line 4 repeats line 2"),
        ("", "no points"),
    ],
)
def test_points_that_cannot_be_are_named_and_nothing_comes_in(
    project: Project, image: str, tmp_path: Path, rows: str, said: str
) -> None:
    version = project.nuclei.version()
    with pytest.raises(NoisySegError, match=said):
        import_points(project, image, csv(tmp_path, rows))
    assert project.nuclei.of(image) == []
    assert project.nuclei.version() == version


def test_points_on_the_edge_pixels_are_inside(project: Project, image: str, tmp_path: Path) -> None:
    assert int(import_points(project, image, csv(tmp_path, "-0.5,-0.5,\n511.4,511.49,\n"))) == 2


def test_the_same_file_twice_is_refused(project: Project, image: str, tmp_path: Path) -> None:
    path = csv(tmp_path, "3,4,\n9,9,\n")
    import_points(project, image, path)
    with pytest.raises(NoisySegError, match=r"line 2; line 3: .*already"):
        import_points(project, image, path)
    assert len(project.nuclei.of(image)) == 2


def test_points_of_qupath_are_moved_by_half_a_pixel(
    project: Project, image: str, tmp_path: Path
) -> None:
    path = geojson_file(
        tmp_path, point(10.5, 20.5, classification={"name": "Tumor"}), square(30, 30, 5)
    )
    imported = import_points(project, image, path)
    (nucleus,) = project.nuclei.of(image)
    assert (nucleus.y, nucleus.x, nucleus.class_name) == (20, 10, "Tumor")
    assert "1 outlines in the file were left out" in imported.note


def test_outlines_alone_give_a_point_each(project: Project, image: str, tmp_path: Path) -> None:
    path = geojson_file(tmp_path, square(10, 20, 3), square(40, 50, 5))
    imported = import_points(project, image, path)
    assert [(n.y, n.x) for n in project.nuclei.of(image)] == [(21, 11), (52, 42)]
    assert "no points" in imported.note


def test_other_files_of_points_are_refused(project: Project, image: str, tmp_path: Path) -> None:
    with pytest.raises(NoisySegError, match=r"points\.txt.*\.geojson.*\.csv"):
        import_points(project, image, tmp_path / "points.txt")


# masks


@pytest.mark.parametrize("kind", ["tif", "png", "geojson"])
def test_rough_masks_are_painted_exactly(
    project: Project, image: str, tmp_path: Path, tnbc: Tissue, kind: str
) -> None:
    labels = tnbc[1]
    path = tmp_path / f"masks.{kind}"
    if kind == "tif":
        tifffile.imwrite(path, labels.astype(np.uint16))
    elif kind == "png":
        Image.fromarray(labels.astype(np.uint16)).save(path)
    else:
        outlines = outlines_of(labels)
        path.write_text(
            json.dumps(
                [
                    geojson.feature(trace(o.mask, o.box[:2]), str(n), None, {}, {})
                    for n, o in enumerate(outlines)
                ]
            )
        )
    imported = import_rough(project, image, path)
    painted = project.nuclei.painted(image)
    assert int(imported) == len(np.unique(labels)) - 1
    assert np.array_equal(painted > 0, labels > 0)
    pairs = np.unique(np.stack([painted[labels > 0], labels[labels > 0]]), axis=1)
    assert len(pairs[0]) == int(imported)
    project.nuclei.undo()
    assert not project.nuclei.painted(image).any()


def test_what_is_painted_already_stays(project: Project, image: str, tmp_path: Path) -> None:
    before = project.nuclei.painted(image, box=Box(0, 0, 20, 20))
    project.nuclei.paint(image, Box(0, 0, 20, 20), before, np.full((20, 20), 4, np.int32))
    labels = np.zeros((512, 512), int)
    labels[10:40, 10:40] = 1
    import_rough(project, image, label_file(tmp_path, labels))
    painted = project.nuclei.painted(image)
    assert (painted[:20, :20] == 4).all()
    assert (painted[20:40, 10:40] == 5).all()


def test_rough_masks_under_others_are_counted_out(
    project: Project, image: str, tmp_path: Path
) -> None:
    import_rough(project, image, geojson_file(tmp_path, square(5, 5, 9)))
    again = import_rough(project, image, geojson_file(tmp_path, square(5, 5, 9), square(50, 5, 9)))
    assert (again.count, again.note) == (
        1,
        "left out, as other masks have all of their pixels: 1",
    )
    before = project.nuclei.version()
    with pytest.raises(NoisySegError, match="imported before"):
        import_rough(project, image, geojson_file(tmp_path, square(5, 5, 9)))
    assert project.nuclei.version() == before


@pytest.mark.parametrize("act", [import_rough, import_clean])
def test_masks_of_another_size_are_refused(
    project: Project, image: str, tmp_path: Path, act: object
) -> None:
    labels = np.ones((100, 512), int)
    with pytest.raises(NoisySegError, match="is 512 x 100 pixels but its image is 512 x 512"):
        act(project, image, label_file(tmp_path, labels))  # type: ignore[operator]


@pytest.mark.parametrize("act", [import_rough, import_clean])
def test_masks_without_nuclei_are_refused(
    project: Project, image: str, tmp_path: Path, act: object
) -> None:
    for path in (label_file(tmp_path, np.zeros((512, 512))), geojson_file(tmp_path)):
        with pytest.raises(NoisySegError, match="holds no nuclei"):
            act(project, image, path)  # type: ignore[operator]


def test_nuclei_across_the_edge_are_cut(project: Project, image: str, tmp_path: Path) -> None:
    import_rough(project, image, geojson_file(tmp_path, square(-5, 500, 20)))
    painted = project.nuclei.painted(image) > 0
    assert painted.sum() == 12 * 15
    assert painted[500:, :15].all()


def test_nuclei_beside_the_image_are_left_out_unless_most_are_there(
    project: Project, image: str, tmp_path: Path
) -> None:
    far = [square(600, y, 9) for y in (5, 50)]
    path = geojson_file(tmp_path, square(5, 5, 9), far[0])
    assert import_rough(project, image, path).note == "1 outlines outside the image were left out"
    before = project.nuclei.version()
    words = r"feature 2; feature 3: outside the image of 512 x 512 pixels; is this the right file"
    with pytest.raises(NoisySegError, match=words):
        import_clean(project, image, geojson_file(tmp_path, square(50, 5, 9), *far))
    assert project.nuclei.version() == before


def test_regions_beside_detections_are_no_nuclei(
    project: Project, image: str, tmp_path: Path
) -> None:
    region = square(0, 0, 400, objectType="annotation")
    path = geojson_file(tmp_path, region, square(5, 5, 9, objectType="detection"))
    imported = import_rough(project, image, path)
    assert int(imported) == 1
    assert (project.nuclei.painted(image) > 0).sum() == 81
    assert "1 other outlines" in imported.note


def test_a_nucleus_drawn_by_hand_beside_detections_comes_in(
    project: Project, image: str, tmp_path: Path
) -> None:
    """In QuPath people draw annotations: what they add to our detections, drawn small, is new."""
    found = [square(x, 5, 9, objectType="detection") for x in (5, 40)]
    missed = square(100, 100, 8, objectType="annotation", classification={"name": "Tumor"})
    over = square(41, 6, 8, objectType="annotation")
    region = square(200, 200, 30, objectType="annotation")
    path = geojson_file(tmp_path, *found, missed, over, region)
    imported = import_clean(project, image, path)
    assert int(imported) == 3
    assert "2 other outlines" in imported.note
    added = [n for n in project.nuclei.of(image) if n.y > 90]
    assert [(n.state, n.class_name) for n in added] == [("accepted", "Tumor")]


def test_a_nucleus_thinner_than_a_pixel_is_told(
    project: Project, image: str, tmp_path: Path
) -> None:
    path = geojson_file(tmp_path, square(5.1, 5.1, 0.2), square(20, 20, 4))
    imported = import_rough(project, image, path)
    assert int(imported) == 1
    assert "1 outlines without a pixel" in imported.note


def test_a_mask_of_one_value_is_taken_apart(project: Project, image: str, tmp_path: Path) -> None:
    mask = np.zeros((512, 512), np.uint8)
    mask[5:9, 5:9] = mask[50:60, 70:90] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    imported = import_rough(project, image, tmp_path / "mask.png")
    assert int(imported) == 2
    assert "2 separate parts" in imported.note


def test_ids_may_be_large_and_may_leave_no_background(tmp_path: Path) -> None:
    labels = np.full((4, 6), 2**31 - 1, np.uint32)
    labels[:2] = 7
    tifffile.imwrite(tmp_path / "a.tif", labels)
    masks = read_masks(tmp_path / "a.tif", (4, 6))
    assert [o.box for o in masks.outlines] == [(0, 0, 2, 6), (2, 0, 4, 6)]


def test_trusted_masks_are_accepted_and_frozen(
    project: Project, image: str, tmp_path: Path, tnbc: Tissue
) -> None:
    imported = import_clean(project, image, label_file(tmp_path, tnbc[1]))
    accepted = project.nuclei.outlines(image)
    assert len(accepted) == int(imported) == len(np.unique(tnbc[1])) - 1
    assert all(n.state == "accepted" and n.frozen for n, _ in accepted)
    for (nucleus, outline), own in zip(accepted, outlines_of(tnbc[1]), strict=True):
        assert outline == own
        y, x = int(nucleus.y) - own.box.y0, int(nucleus.x) - own.box.x0
        assert own.mask[y, x]
    assert not project.nuclei.known(image).any()
    project.nuclei.undo()
    assert project.nuclei.of(image) == []


def test_trusted_masks_may_be_declared_complete(
    project: Project, image: str, tmp_path: Path, tnbc: Tissue
) -> None:
    import_clean(project, image, label_file(tmp_path, tnbc[1]), complete=True)
    assert project.nuclei.known(image).all()


def test_a_marked_nucleus_takes_the_outline_it_lies_in(
    project: Project, image: str, tmp_path: Path
) -> None:
    far, near = project.nuclei.add_many(image, [(11, 11), (19, 21)])
    beside = project.nuclei.add(image, 100, 100)
    path = geojson_file(tmp_path, square(10, 10, 20, classification="Tumor"))
    import_clean(project, image, path)
    assert len(project.nuclei.of(image)) == 3
    owner = project.nuclei.get(near.id)
    assert (owner.state, owner.class_name) == ("accepted", "Tumor")
    assert project.nuclei.get(far.id).state == "unreviewed"
    assert project.nuclei.get(beside.id).state == "unreviewed"


def test_a_class_given_elsewhere_reaches_a_nucleus_accepted_before(
    project: Project, image: str, tmp_path: Path
) -> None:
    """Accepted here, classified in QuPath, and back; what was named here stays."""
    import_clean(project, image, geojson_file(tmp_path, square(10, 10, 20), square(60, 60, 20)))
    _, named = project.nuclei.of(image)
    project.nuclei.set_class([named.id], "stroma")
    there = [square(x, x, 20, classification="Tumor") for x in (10, 60)]
    assert int(import_clean(project, image, geojson_file(tmp_path, *there))) == 0
    assert [n.class_name for n in project.nuclei.of(image)] == ["Tumor", "stroma"]
    project.nuclei.undo()
    assert [n.class_name for n in project.nuclei.of(image)] == [None, "stroma"]


def test_settled_outlines_are_never_changed(project: Project, image: str, tmp_path: Path) -> None:
    first = np.zeros((512, 512), int)
    first[10:30, 10:30] = 1
    import_clean(project, image, label_file(tmp_path, first))
    ((nucleus, outline),) = project.nuclei.outlines(image)
    second = np.zeros((512, 512), int)
    second[10:32, 10:32], second[100:120, 100:120] = 1, 2
    imported = import_clean(project, image, label_file(tmp_path, second))
    assert int(imported) == 1
    assert "accepted or drawn before" in imported.note
    assert project.nuclei.outline(nucleus.id) == outline
    assert len(project.nuclei.of(image)) == 2
    again = import_clean(project, image, label_file(tmp_path, second))
    assert int(again) == 0


ids = st.integers(0, 4)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(arrays(np.uint16, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=ids))
def test_labels_and_geojson_of_them_say_the_same(tmp_path: Path, labels: np.ndarray) -> None:
    outlines = outlines_of(np.pad(labels, ((1, 0), (0, 0))))
    features = [geojson.feature(trace(o.mask, o.box[:2]), "", None, {}, {}) for o in outlines]
    if not features or len(features) == 1:
        return
    shape = (labels.shape[0] + 1, labels.shape[1])
    path = geojson_file(tmp_path, *features)
    assert read_masks(path, shape).outlines == outlines
    tifffile.imwrite(tmp_path / "b.tif", np.pad(labels, ((1, 0), (0, 0))))
    assert read_masks(tmp_path / "b.tif", shape).outlines == outlines


def test_the_cells_of_a_real_export_come_in(data_dir: Path) -> None:
    """Seven regions, three points and 121 cells; only the cells are nuclei."""
    path = data_dir / "qupath" / "Single_cells.geojson"
    masks = read_masks(path, (420, 990))
    assert len(masks.outlines) == 121
    assert set(masks.classes) == {"single_cells_demo"}
    assert "7 other outlines" in masks.note
    areas = [float(o.mask.sum()) for o in masks.outlines]
    named = [s.measurements for s in geojson.read(path) if s.role == "nucleus"]
    # QuPath measured in µm²: one factor for all of them, but for the rounding of edges
    factors = [a / m["Cell: Area"] for a, m in zip(areas, named, strict=True)]
    assert np.std(factors) / np.mean(factors) < 0.02
    with pytest.raises(NoisySegError, match="outside the image"):
        read_masks(path, (100, 100))


def test_of_what_was_drawn_by_hand_regions_are_left_out(tmp_path: Path) -> None:
    field = square(0, 0, 100, objectType="annotation")
    cells = [square(x, 20, 9, objectType="annotation") for x in (10, 30, 50)]
    masks = read_masks(geojson_file(tmp_path, field, *cells), (512, 512))
    assert [o.box.x0 for o in masks.outlines] == [10, 30, 50]
    assert "1 other outlines (regions" in masks.note


def test_a_nucleus_drawn_several_times_is_no_region_and_comes_in_once(
    project: Project, image: str, tmp_path: Path
) -> None:
    named = square(5, 5, 9, classification="Tumor")
    path = geojson_file(tmp_path, *[square(5, 5, 9)] * 2, named, square(5, 8, 9))
    imported = import_clean(project, image, path)
    assert [n.class_name for n in project.nuclei.of(image)] == ["Tumor", None]
    assert imported.note == "2 outlines that repeat another one were left out"
    assert len(read_points(path, (64, 64)).places) == 2


def test_merged_annotations_are_taken_apart(tmp_path: Path) -> None:
    parts = [square(x, 5, 6)["geometry"]["coordinates"] for x in (5, 40, 80)]  # type: ignore[index]
    merged = {"geometry": {"type": "MultiPolygon", "coordinates": parts}}
    assert len(read_masks(geojson_file(tmp_path, merged), (512, 512)).outlines) == 3
    merged["properties"] = {"objectType": "detection"}
    assert len(read_masks(geojson_file(tmp_path, merged), (512, 512)).outlines) == 1


def test_no_nucleus_is_as_large_as_a_region(tmp_path: Path) -> None:
    path = geojson_file(tmp_path, square(5, 5, 5000))
    with pytest.raises(NoisySegError, match="feature 1 covers 5000 x 5000 pixels"):
        read_masks(path, (9000, 9000))
    scattered = np.zeros((2100, 2100), np.uint16)
    scattered[0, 0] = scattered[-1, -1] = 3
    scattered[5, 5] = 8
    tifffile.imwrite(tmp_path / "a.tif", scattered)
    with pytest.raises(NoisySegError, match="label 3 covers 2100 x 2100"):
        read_masks(tmp_path / "a.tif", (2100, 2100))


def test_a_tangle_of_lines_is_refused(tmp_path: Path) -> None:
    ring = [[x % 7, (x % 2) * 1e7] for x in range(30_000)]
    tangle = {"geometry": {"type": "Polygon", "coordinates": [ring]}}
    with pytest.raises(NoisySegError, match="tangle"):
        read_masks(geojson_file(tmp_path, tangle), (100_000, 30))
