"""Every format there and back, in a project, and with bad files."""

from __future__ import annotations

import json
import unicodedata
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from exchange_parts import candidates_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_noisyseg.benchmarks.exchange_cases import check, images
from napari_noisyseg.benchmarks.exchange_cases import project as project_of_cases
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.exchange import annotation
from napari_noisyseg.exchange.exporting import export
from napari_noisyseg.exchange.formats import FORMATS, endings, of_file, stem_of, xml_text
from napari_noisyseg.exchange.formats.coco import _unpacked
from napari_noisyseg.exchange.importing import import_clean, import_points, import_rough
from napari_noisyseg.slides import Box
from napari_noisyseg.store import Project

Tissue = tuple[np.ndarray, np.ndarray]
READ = [name for name, f in FORMATS.items() if f.reads_masks]
SHAPES = [name for name, f in FORMATS.items() if f.shapes is not None]


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with project_of_cases(tmp_path_factory.mktemp("cases")) as made:
        yield made


@pytest.mark.parametrize("name", FORMATS)
def test_what_goes_out_comes_back(
    held: Project, tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    @settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(images(held))
    def case(image) -> None:
        folder = tmp_path_factory.mktemp("out") / name
        folder.mkdir()
        check(FORMATS[name], image, folder)

    case()


# a whole project


@pytest.fixture
def reviewed(project: Project, image: str, tnbc: Tissue) -> Project:
    """Refined nuclei of real tissue, some decided on, some of a class with a colour of its own."""
    found = project.nuclei.adopt(image, "run-1", candidates_of(tnbc[1]))
    project.nuclei.add_class("Tumör 🔬", "#12ab34")
    project.nuclei.decide([found[0].id], "accepted")
    project.nuclei.decide([found[1].id], "unsure")
    project.nuclei.set_class([found[0].id], "Tumör 🔬")
    return project


@pytest.mark.parametrize("name", [n for n in READ if n != "labels"])
def test_an_exported_project_comes_into_another(
    reviewed: Project, image: str, tmp_path: Path, tnbc: Tissue, name: str
) -> None:
    (path,) = export(reviewed, tmp_path, name)
    with Project.create(tmp_path / "zweites – 2.noisyseg") as other:
        other.add_array(tnbc[0], image, mpp=0.5)
        before = other.nuclei.version()
        found = import_clean(other, image, path, format=name)
        assert found.count == len(reviewed.nuclei.candidates(image))
        whole = Box(0, 0, *tnbc[1].shape)
        mine = np.zeros(tnbc[1].shape, int)
        for nucleus, outline in other.nuclei.outlines(image):
            outline.paste(mine, whole, nucleus.serial)
        assert np.array_equal(mine > 0, tnbc[1] > 0)
        classes = {c.name: c.color for c in other.nuclei.classes()}
        assert classes["Tumör 🔬"] == "#12ab34"
        assert sum(n.class_name == "Tumör 🔬" for n in other.nuclei.of(image)) == 1
        # one action
        assert other.nuclei.undo() is not None
        assert not other.nuclei.of(image)
        assert not {c.name for c in other.nuclei.classes()} & {"Tumör 🔬"}
        assert other.nuclei.version() > before


@pytest.mark.parametrize("name", SHAPES)
def test_outlines_give_points_too(
    reviewed: Project, image: str, tmp_path: Path, tnbc: Tissue, name: str
) -> None:
    (path,) = export(reviewed, tmp_path, name)
    with Project.create(tmp_path / "p2.noisyseg") as other:
        other.add_array(tnbc[0], image, mpp=0.5)
        assert import_points(other, image, path, format=name).count > 50


def test_an_exported_table_gives_its_points(
    reviewed: Project, image: str, tmp_path: Path, tnbc: Tissue
) -> None:
    first = reviewed.nuclei.of(image)[0]
    reviewed.nuclei.set_comment(image, first.id, 'one, "two"\nthree')
    (path,) = export(reviewed, tmp_path, "csv")
    with Project.create(tmp_path / "p2.noisyseg") as other:
        # at another µm per pixel, as the places are in pixels
        other.add_array(tnbc[0], image, mpp=0.5)
        assert import_points(other, image, path).count == len(reviewed.nuclei.candidates(image))
        named = [n for n in other.nuclei.of(image) if n.class_name == "Tumör 🔬"]
    assert [(n.y, n.x) for n in named] == [(first.y, first.x)]


def test_coco_is_one_file_of_all_images(
    reviewed: Project, image: str, tmp_path: Path, tnbc: Tissue
) -> None:
    reviewed.add_array(tnbc[0], "second", mpp=0.25)
    reviewed.nuclei.adopt("second", "run-2", candidates_of(np.where(tnbc[1] < 9, tnbc[1], 0)))
    (path,) = export(reviewed, tmp_path, "coco")
    assert path.name == "annotations.json"
    sizes = [len(annotation.read_masks(path, (512, 512), n).outlines) for n in (image, "second")]
    assert sizes == [len(reviewed.nuclei.candidates(n)) for n in (image, "second")]
    assert FORMATS["coco"].images(path) == [image, "second"]
    with pytest.raises(NoisySegError, match=r"2 images.*none of which is named 'other'"):
        annotation.read_masks(path, (512, 512), "other")


# what others write


def test_the_format_is_told_by_the_content_where_the_ending_does_not(
    reviewed: Project, tmp_path: Path
) -> None:
    for name in ("geojson", "coco", "hovernet", "histomics", "imagescope", "asap", "ome-zarr"):
        (path,) = export(reviewed, tmp_path / name, name)
        assert of_file(path).name == name
    path.rename(tmp_path / "other.zarr")
    assert of_file(tmp_path / "other.zarr").name == "ome-zarr"
    assert stem_of(Path("a.b.ome.zarr")) == "a.b"
    assert stem_of(Path("a.b.geojson")) == "a.b"


def test_a_stranger_s_imagescope(tmp_path: Path) -> None:
    """Holes by where they lie, a class in an attribute, regions without area left out."""

    def region(points: list[tuple[float, float]], hole: int = 0) -> str:
        vertices = "".join(f'<Vertex X="{x}" Y="{y}"/>' for x, y in points)
        return f'<Region NegativeROA="{hole}"><Vertices>{vertices}</Vertices></Region>'

    def square(x: float, y: float, side: float) -> list[tuple[float, float]]:
        return [(x, y), (x + side, y), (x + side, y + side), (x, y + side)]

    regions = [region(square(30, 5, 4)), region(square(2, 2, 2), 1), region(square(1, 1, 6)),
               region([(3, 3)]), region([(0, 0), (9, 9)])]  # fmt: skip
    (tmp_path / "a.xml").write_text(
        '<Annotations MicronsPerPixel="0.25"><Annotation Name="Layer 1" LineColor="65280">'
        f'<Attributes><Attribute Name="Stroma" Value=""/></Attributes>'
        f"<Regions>{''.join(regions)}</Regions></Annotation></Annotations>"
    )
    found = annotation.read_masks(tmp_path / "a.xml", (20, 40))
    assert [o.area for o in found.outlines] == [16, 36 - 4]
    assert found.classes == ["Stroma", "Stroma"]
    assert found.colors == {"Stroma": (0, 255, 0)}
    assert "2 outlines without a pixel" in found.note


def test_a_stranger_s_coco(tmp_path: Path) -> None:
    """A polygon, run lengths in both forms, a box, a crowd that is left out."""
    document = {
        "images": [{"id": 7, "file_name": "folder/a.jpg", "width": 30, "height": 20}],
        "categories": [{"id": 3, "name": "lymphocyte"}, {"id": 4, "name": "other"}],
        "annotations": [
            {"image_id": 7, "category_id": 3, "segmentation": [[1, 1, 5, 1, 5, 4, 1, 4]]},
            {"image_id": 7, "category_id": 4,
             "segmentation": {"size": [20, 30], "counts": [23, 3, 17, 3, 554]}},
            {"image_id": 7, "category_id": 9, "bbox": [10, 10, 4, 5]},
            {"image_id": 7, "category_id": 4, "iscrowd": 1,
             "segmentation": {"size": [20, 30], "counts": [0, 600]}},
            {"image_id": 8, "category_id": 4, "bbox": [900, 900, 4, 5]},
        ],
    }  # fmt: skip
    (tmp_path / "a.json").write_text(json.dumps(document))
    found = annotation.read_masks(tmp_path / "a.json", (20, 30), "b")
    assert [(tuple(o.box), o.area) for o in found.outlines] == [
        ((1, 1, 4, 5), 12), ((3, 1, 6, 3), 6), ((10, 10, 15, 14), 20),
    ]  # fmt: skip
    assert found.classes == ["lymphocyte", "other", None]
    assert "1 outlines marked iscrowd" in found.note


def test_letters_of_coco_s_images_are_composed(tmp_path: Path) -> None:
    names = [unicodedata.normalize("NFD", "Köln"), "b"]
    images = [{"id": k, "file_name": f"{name}.png"} for k, name in enumerate(names)]
    drawn = [{"image_id": k, "bbox": [x, 1, 3, 3]} for k, x in ((0, 1), (0, 9), (1, 1))]
    (tmp_path / "a.json").write_text(json.dumps({"images": images, "annotations": drawn}))
    found = annotation.read_masks(tmp_path / "a.json", (20, 30), "Köln")
    assert len(found.outlines) == 2


def test_a_coco_of_very_many_images_is_known(tmp_path: Path) -> None:
    """The list of annotations begins far from either end of the file."""
    images = [{"id": k, "file_name": f"{k}.jpg", "coco_url": "u" * 200} for k in range(900)]
    drawn = [{"image_id": k, "bbox": [1, 1, 3, 3], "about": "a" * 200} for k in range(900)]
    document = {"images": images, "annotations": drawn, "categories": []}
    (tmp_path / "a.json").write_text(json.dumps(document))
    assert of_file(tmp_path / "a.json").name == "coco"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('{"attributes": {"image_id": "5"}, "elements": []}', "histomics"),
        ('{"file_name": "a.png", "nuc": {}}', "hovernet"),
    ],
)
def test_an_image_that_is_named_makes_no_coco(tmp_path: Path, text: str, name: str) -> None:
    (tmp_path / "a.json").write_text(text)
    assert of_file(tmp_path / "a.json").name == name


@given(st.lists(st.integers(0, 2**20), min_size=1, max_size=30))
def test_short_run_lengths_are_those_of_pycocotools(counts: list[int]) -> None:
    mask = pytest.importorskip("pycocotools.mask")
    size = [1, sum(counts)]
    if size[1] == 0:
        return
    packed = mask.frPyObjects({"size": size, "counts": counts}, *size)["counts"].decode()
    assert _unpacked(packed) == counts


def test_ome_zarr_0_4_is_read(tmp_path: Path) -> None:
    labels = np.zeros((1, 1, 30, 40), np.uint16)
    labels[0, 0, 3:9, 4:7] = 5
    group = zarr.create_group(tmp_path / "a.zarr", zarr_format=2)
    group.create_group("labels", attributes={"labels": ["cells"]})
    axes = [{"name": n, "type": "space" if n in "yx" else "channel"} for n in "tcyx"]
    axes[0]["type"] = "time"
    place = group.create_group("labels/cells")
    place.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": [{"path": "0"}]}]
    place.attrs["image-label"] = {
        "version": "0.4",
        "properties": [{"label-value": 5, "class": "Tumör"}],
        "colors": [{"label-value": 5, "rgba": [1, 2, 3, 255]}],
    }
    place.create_array("0", data=labels)
    for folder in ("a.zarr", "a.zarr/labels/cells"):
        found = FORMATS["ome-zarr"].labels(tmp_path / folder)
        assert np.array_equal(found.labels, labels[0, 0])
        assert (found.classes, found.colors) == ({5: "Tumör"}, {"Tumör": (1, 2, 3)})
    with pytest.raises(NoisySegError, match="without labels"):
        FORMATS["ome-zarr"].labels(_image_alone(tmp_path))


def _image_alone(folder: Path) -> Path:
    zarr.create_group(folder / "bare.zarr", zarr_format=2)
    return folder / "bare.zarr"


# bad files

ENTITIES = (
    '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
    "<Annotations><Annotation Name='&b;'/></Annotations>"
)
FILE = '<!DOCTYPE a SYSTEM "file:///etc/passwd"><Annotations/>'
DEEP = "<Annotations>" + "<Region>" * 40 + "</Region>" * 40 + "</Annotations>"
ONE = (
    '<Annotations><Annotation><Regions><Region><Vertices><Vertex X="{}" Y="{}"/>'
    '<Vertex X="2" Y="1"/><Vertex X="2" Y="9"/></Vertices></Region></Regions>'
    "</Annotation></Annotations>"
)
COCO = '{{"images": [{{"id": 1, "file_name": "a"}}], "annotations": [{}], "categories": []}}'
RLE = '{{"image_id": 1, "segmentation": {{"size": [10, 10], "counts": {}}}}}'

BAD = {
    "entities": ("a.xml", ENTITIES, "document type"),
    "external": ("a.xml", FILE, "document type"),
    "deep": ("a.xml", DEEP, "nested more than"),
    "cut off": ("a.xml", "<Annotations><Annot", "line 1: not XML"),
    "no numbers": ("a.xml", ONE.format("eins", 3), "region 1 has a vertex without numbers"),
    "nan": ("a.xml", ONE.format("nan", 3), "not in an image"),
    "infinite": ("a.xml", ONE.format("1e999", 3), "not in an image"),
    "empty": ("a.xml", "", "empty"),
    "nothing": ("a.xml", "<Annotations/>", "holds no nuclei"),
    "other xml": ("a.xml", "<html/>", "neither ASAP XML nor Aperio"),
    "asap cut": ("a.xml", "<ASAP_Annotations><Annotations>", "not XML from here on"),
    "asap words": (
        "a.xml",
        '<ASAP_Annotations><Annotation Type="Polygon"><Coordinate X="a" Y="1"/></Annotation>'
        "</ASAP_Annotations>",
        "annotation 1 has a vertex",
    ),
    "coco odd": ("a.json", COCO.format('{"image_id": 1, "segmentation": [[1, 2, 3]]}'), "pairs"),
    "coco nan": (
        "a.json",
        COCO.format('{"image_id": 1, "segmentation": [[NaN, 2, 3, 3, 4, 4]]}'),
        "not in an image",
    ),
    "coco huge": ("a.json", COCO.format(RLE.format("[0, 100000]")), "do not fill"),
    "coco negative": ("a.json", COCO.format(RLE.format("[-5, 105]")), "not counts"),
    "coco letters": ("a.json", COCO.format(RLE.format('"~~~~"')), "annotation 1 is not an outline"),
    "coco words": ("a.json", '{"annotations": "all", "images": []}', "no list of annotations"),
    "coco bare": ("a.json", COCO.format("{}"), "not COCO as programs write it"),
    "hovernet": ("a.json", '{"nuc": {"1": {"contour": [[1]]}}}', "nucleus 1"),
    "hovernet list": ("a.json", '{"nuc": [1]}', "not from HoVer-Net"),
    "histomics": ("a.json", '{"elements": {"a": 1}}', "not from HistomicsUI"),
    "histomics points": (
        "a.json",
        '{"elements": [{"type": "polyline", "closed": true, "points": "abc"}]}',
        "element 1",
    ),
    "no zip": ("a.zip", "PK\x03\x04 and no more", "damaged zip"),
    "no roi": ("a.roi", "Iout\0\x7f\0\0" + 8 * "\0" + "\3" + 47 * "\0", "not an ROI of ImageJ"),
    "pickle": ("a_seg.npy", "\x93NUMPY", "pickle, which can run code"),
    "dicom": ("a.dcm", "DICM", "annotations are only written"),
    "dicom-seg": ("a.seg.dcm", "DICM", "segmentations are only written"),
    "unknown": ("a.qptiff", "x", "files that can be read end in"),
}


@pytest.mark.parametrize("which", BAD)
@pytest.mark.parametrize("act", [import_rough, import_clean])
def test_bad_files_are_refused_in_words(
    project: Project, image: str, tmp_path: Path, which: str, act
) -> None:
    name, content, words = BAD[which]
    (tmp_path / name).write_text(content, "utf-8")
    before = project.nuclei.version()
    with pytest.raises(NoisySegError, match=words) as caught:
        act(project, image, tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert project.nuclei.version() == before
    assert not project.nuclei.of(image)


def test_too_many_vertices_are_counted_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_noisyseg.exchange.formats.imagescope.MAX_VERTICES", 1000)
    assert xml_text.MAX_VERTICES < 10**7
    (tmp_path / "a.xml").write_text("<Annotations>" + '<Vertex X="1" Y="1"/>' * 1001)
    with pytest.raises(NoisySegError, match="1,001 vertices"):
        annotation.read_masks(tmp_path / "a.xml", (50, 50))


def test_a_zip_that_grows_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.roi", b"\0" * 10**6)
    monkeypatch.setattr("napari_noisyseg.exchange.formats.roi.MAX_BYTES", 10**5)
    with pytest.raises(NoisySegError, match="more than are read at once"):
        annotation.read_masks(tmp_path / "a.zip", (50, 50))


@pytest.mark.parametrize("kind", ["points", "masks"])
def test_exchanged_axes_are_told_by_the_bounds(tmp_path: Path, kind: str) -> None:
    def nucleus(x: int, y: int) -> str:
        points = [[x, y], [x + 4, y], [x + 4, y + 4], [x, y]]
        return json.dumps({"type": "Polygon", "coordinates": [points]})

    places = [(5, 80), (5, 90), (9, 9)]
    features = ", ".join(_feature(nucleus(x, y)) for x, y in places)
    (tmp_path / "a.geojson").write_text(f"[{features}]")
    (tmp_path / "a.csv").write_text("x,y\n" + "".join(f"{x},{y}\n" for x, y in places))
    read = annotation.read_points if kind == "points" else annotation.read_masks
    path = tmp_path / ("a.csv" if kind == "points" else "a.geojson")
    assert len(read(path, (100, 20)).classes) == 3
    with pytest.raises(NoisySegError, match="with x and y exchanged"):
        read(path, (20, 100))
    with pytest.raises(NoisySegError) as caught:
        read(path, (20, 20))
    assert "with x and y exchanged" not in str(caught.value)


def _feature(geometry: str) -> str:
    return f'{{"type": "Feature", "geometry": {geometry}, "properties": {{}}}}'


def test_a_bow_tie_is_filled_where_it_encloses(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(
        '<ASAP_Annotations><Annotations><Annotation Type="Polygon"><Coordinates>'
        '<Coordinate X="0" Y="0"/><Coordinate X="10" Y="10"/><Coordinate X="10" Y="0"/>'
        '<Coordinate X="0" Y="10"/></Coordinates></Annotation></Annotations></ASAP_Annotations>'
    )
    (outline,) = annotation.read_masks(tmp_path / "a.xml", (20, 20)).outlines
    assert outline.area == pytest.approx(50, abs=6)


def test_endings_are_those_of_what_can_be_read() -> None:
    assert {".csv", ".geojson", ".xml", ".zip"} <= set(endings("points"))
    assert {".tif", ".png", ".geojson", ".json", ".xml", ".ome.zarr"} <= set(endings("masks"))
    assert ".csv" not in endings("masks")
    assert not {".dcm", "_seg.npy"} & set(endings("masks"))


def test_cellpose_files_hold_what_cellpose_opens(reviewed: Project, tmp_path: Path) -> None:
    (path,) = export(reviewed, tmp_path, "cellpose")
    content = np.load(path, allow_pickle=True).item()
    (tif,) = export(reviewed, tmp_path / "labels", "labels")
    labels = tifffile.imread(tif)
    values = np.unique(labels)
    assert np.array_equal(content["masks"], np.searchsorted(values, labels))
    count = len(values) - 1
    assert content["colors"].shape == (count, 3)
    assert content["ismanual"].sum() == 1
    inside = content["outlines"] > 0
    assert np.array_equal(content["outlines"][inside], content["masks"][inside])
    assert set(np.unique(content["outlines"])) == set(range(count + 1))


def test_a_segmentation_holds_the_label_image_by_class_and_in_mm(
    reviewed: Project, image: str, tmp_path: Path
) -> None:
    segread = pytest.importorskip("highdicom.seg").segread
    (path,) = export(reviewed, tmp_path, "dicom-seg")
    assert path.name == f"{image}.seg.dcm"
    read = segread(path)
    labels = tifffile.imread(export(reviewed, tmp_path / "labels", "labels")[0])
    (tumour,) = (n.serial for n in reviewed.nuclei.of(image) if n.class_name == "Tumör 🔬")
    names = [segment.SegmentLabel for segment in read.SegmentSequence]
    assert sorted(names) == ["Tumör 🔬", "nuclei"]
    expected = np.where(labels == tumour, names.index("Tumör 🔬") + 1, names.index("nuclei") + 1)
    found = read.get_total_pixel_matrix(combine_segments=True)
    assert np.array_equal(found, np.where(labels > 0, expected, 0))
    mm = reviewed.image(image).mpp / 1000
    # rows go down the slide (y) and columns to the right (x), from the middle of the first pixel
    affine = read.get_volume_geometry().affine
    assert np.allclose(affine[:3, 1:3], [[0, mm], [mm, 0], [0, 0]])
    assert np.allclose(affine[:3, 3], 0)
    # in a viewer it belongs to the image that the annotations are of
    (ann,) = export(reviewed, tmp_path, "dicom")
    pydicom = pytest.importorskip("pydicom")
    refers = pydicom.dcmread(ann).ReferencedImageSequence[0].ReferencedSOPInstanceUID
    assert read.SourceImageSequence[0].ReferencedSOPInstanceUID == refers
    assert not any(read.get(name) for name in ("PatientID", "PatientName", "PatientBirthDate"))
    # it may be replaced, as it is ours
    assert export(reviewed, tmp_path, "dicom-seg") == [path]


def test_a_missing_library_is_named_with_the_way_to_it(
    reviewed: Project, image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path,) = export(reviewed, tmp_path, "roi")
    monkeypatch.setattr("napari_noisyseg.exchange.formats.format.find_spec", lambda _: None)
    for name, extra in (("roi", "formats"), ("dicom", "dicom"), ("dicom-seg", "dicom")):
        with pytest.raises(NoisySegError, match=rf"pip install 'napari-noisyseg\[{extra}\]'"):
            export(reviewed, tmp_path / name, name)
        assert not (tmp_path / name).exists()
    with pytest.raises(NoisySegError, match="roifile, which is not installed"):
        import_rough(reviewed, image, path)


def test_a_contour_that_runs_over_the_whole_slide_is_refused(tmp_path: Path) -> None:
    far = [[0, 0], [9 * 10**6, 0], [0, 1]]
    (tmp_path / "a.json").write_text(json.dumps({"nuc": {"7": {"contour": far}}}))
    with pytest.raises(NoisySegError, match=r"a\.json, nucleus 7: a contour is a tangle"):
        annotation.read_masks(tmp_path / "a.json", (50, 50))
