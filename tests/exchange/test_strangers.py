"""What programs of others write: what is read of it, and what is said of the rest."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.exchange.annotation import read_masks, read_points

SQUARE = [[1, 1, 5, 1, 5, 4, 1, 4]]


def coco(tmp_path: Path, *drawn: dict[str, Any], **size: Any) -> Path:
    images = [{"id": 7, "file_name": "a.png", **size}]
    document = {"images": images, "annotations": [{"image_id": 7, **d} for d in drawn]}
    (tmp_path / "a.json").write_text(json.dumps(document))
    return tmp_path / "a.json"


def runs(height: int, width: int) -> dict[str, Any]:
    return {"size": [height, width], "counts": [23, 3, height * width - 26]}


# of another size


@pytest.mark.parametrize("read", [read_masks, read_points])
def test_a_coco_of_an_image_of_another_size_is_refused(tmp_path: Path, read: Any) -> None:
    words = "annotation 1 is of an image of 15 x 10 pixels but its image is 30 x 20: .*full size"
    for path in (
        coco(tmp_path, {"segmentation": runs(10, 15)}),
        coco(tmp_path, {"segmentation": SQUARE}, width=15, height=10),
        coco(tmp_path, {"segmentation": runs(10, 15), "iscrowd": 1}, width=30, height=20),
    ):
        with pytest.raises(NoisySegError, match=words):
            read(path, (20, 30))


@pytest.mark.parametrize(
    "size",
    [
        {},
        {"width": 30.0, "height": 20.0},
        {"width": 0, "height": 0},
        {"width": None, "height": "?"},
        {"width": 40},
    ],
)
def test_a_coco_that_says_no_size_or_the_right_one_is_read(
    tmp_path: Path, size: dict[str, Any]
) -> None:
    path = coco(tmp_path, {"segmentation": SQUARE}, {"segmentation": runs(20, 30)}, **size)
    assert len(read_masks(path, (20, 30)).outlines) == 2


# what is passed over


def test_crowds_of_coco_are_told(tmp_path: Path) -> None:
    crowd = {"segmentation": runs(20, 30), "iscrowd": 1}
    mixed = coco(tmp_path, {"segmentation": SQUARE}, crowd, crowd)
    words = "2 outlines marked iscrowd .*set iscrowd to 0 where each is one nucleus.* were left out"
    assert re.search(words, read_masks(mixed, (20, 30)).note)
    alone = coco(tmp_path, crowd, crowd)
    with pytest.raises(NoisySegError, match=f"holds no nuclei .*{words}.*nothing was imported"):
        read_masks(alone, (20, 30))
    with pytest.raises(NoisySegError, match=f"holds no points .*{words}"):
        read_points(alone, (20, 30))


def test_regions_of_imagescope_that_are_no_outlines_are_told(tmp_path: Path) -> None:
    path = imagescope(
        tmp_path,
        region((10, 10), (20, 10), (20, 20)),
        region(),
        region((1, 1), (9, 9), kind=3),
        region((1, 1), (9, 9), kind=4),
        region((30, 30), (31, 30), (31, 31), hole=1),
    )
    masks = read_masks(path, (40, 40))
    assert len(masks.outlines) == 1
    for words in ("1 regions without", "2 arrows and rulers", "1 holes that lie in no outline"):
        assert words in masks.note


def imagescope(tmp_path: Path, *regions: str) -> Path:
    text = f"<Annotations><Annotation><Regions>{''.join(regions)}</Regions></Annotation>"
    (tmp_path / "a.xml").write_text(text + "</Annotations>")
    return tmp_path / "a.xml"


def region(*corners: tuple[float, float], kind: int = 0, hole: int = 0) -> str:
    vertices = "".join(f'<Vertex X="{x}" Y="{y}"/>' for x, y in corners)
    return f'<Region Type="{kind}" NegativeROA="{hole}"><Vertices>{vertices}</Vertices></Region>'


def test_measurements_of_asap_are_told(tmp_path: Path) -> None:
    corners = "".join(f'<Coordinate X="{x}" Y="{y}"/>' for x, y in [(1, 1), (9, 1), (9, 9)])
    drawn = "".join(
        f'<Annotation Type="{kind}"><Coordinates>{inside}</Coordinates></Annotation>'
        for kind, inside in [("Polygon", corners), ("Measurement", corners), ("Polygon", "")]
    )
    (tmp_path / "a.xml").write_text(f"<ASAP_Annotations>{drawn}</ASAP_Annotations>")
    masks = read_masks(tmp_path / "a.xml", (20, 20))
    assert len(masks.outlines) == 1
    assert "1 measurements (lines) were left out; 1 annotations without a corner" in masks.note


def test_lines_of_imagej_are_told(tmp_path: Path) -> None:
    roifile = pytest.importorskip("roifile")
    roi = roifile.ImagejRoi.frompoints([[1, 1], [9, 1], [9, 9]])
    roi.roitype = roifile.ROI_TYPE.POLYLINE
    roi.tofile(tmp_path / "a.roi")
    with pytest.raises(NoisySegError, match=r"holds no nuclei \(1 ROIs that are neither areas"):
        read_masks(tmp_path / "a.roi", (20, 20))


# shapes that are kept by their middle or corners alone


def test_rectangles_and_ellipses_of_imagescope_are_outlines(tmp_path: Path) -> None:
    corners = [(10, 10), (30, 10), (30, 20), (10, 20)]
    path = imagescope(
        tmp_path,
        region((10, 10), (30, 20), kind=1),
        region(*[(x, y + 20) for x, y in corners], kind=1),
        region((60, 20), (40, 10), kind=2),
        region(*[(x + 60, y) for x, y in corners], kind=2),
        region((70, 40), (90, 40), (80, 60), kind=2),
    )
    found = read_masks(path, (100, 100)).outlines
    round_ = pytest.approx(np.pi * 50, rel=0.03)
    assert [o.area for o in found] == [200, 200, round_, round_, pytest.approx(200, rel=0.05)]
    boxes = [(10, 10, 20, 30), (30, 10, 40, 30), (10, 40, 20, 60)]
    assert [tuple(o.box) for o in found[:3]] == boxes


def test_elements_of_histomics_are_outlines_and_points(tmp_path: Path) -> None:
    red = {"group": "Tumor", "lineColor": "rgb(255, 0, 0)"}
    path = histomics(
        tmp_path,
        {"type": "rectangle", "center": [20, 15, 0], "width": 20, "height": 10, "rotation": 0},
        {
            "type": "rectangle",
            "center": [50, 50, 0],
            "width": 20,
            "height": 8,
            "rotation": np.pi / 2,
        },
        {"type": "ellipse", "center": [70, 70, 0], "width": 20, "height": 10, **red},
        {"type": "circle", "center": [20, 70, 0], "radius": 5},
        {"type": "point", "center": [7.5, 3.5, 0], **red},
        {"type": "point", "center": [2, 2, 0]},
        {"type": "arrow", "points": [[1, 1, 0], [2, 2, 0]]},
        {"type": "polyline", "closed": False, "points": [[1, 1, 0], [2, 2, 0]]},
    )
    masks = read_masks(path, (100, 100))
    assert [tuple(o.box) for o in masks.outlines] == [
        (10, 10, 20, 30), (40, 46, 60, 54), (65, 60, 75, 80), (65, 15, 75, 25),
    ]  # fmt: skip
    rounded = [pytest.approx(np.pi * r, rel=0.03) for r in (50, 25)]
    assert [o.area for o in masks.outlines] == [200, 160, *rounded]
    assert masks.classes == [None, None, "Tumor", None]
    assert "2 points in the file were left out" in masks.note
    assert "2 elements that are neither outlines nor points (open" in masks.note
    points = read_points(path, (100, 100))
    assert points.places.tolist() == [[3, 7], [1.5, 1.5]]
    assert points.classes == ["Tumor", None]
    assert points.colors == {"Tumor": (255, 0, 0)}
    assert "4 outlines in the file were left out; 2 elements" in points.note


def histomics(tmp_path: Path, *elements: dict[str, Any]) -> Path:
    (tmp_path / "a.json").write_text(json.dumps({"elements": elements}))
    return tmp_path / "a.json"


def test_a_turned_ellipse_leans_as_histomics_turns_it(tmp_path: Path) -> None:
    """From the x axis towards the y axis, which points down."""
    long = {"type": "ellipse", "center": [50, 50, 0], "width": 40, "height": 10, "rotation": 0.7}
    (outline,) = read_masks(histomics(tmp_path, long), (100, 100)).outlines
    y, x = np.nonzero(outline.mask)
    assert np.corrcoef(y, x)[0, 1] > 0.5


@pytest.mark.parametrize(
    "element",
    [
        {"type": "point", "center": [1]},
        {"type": "point", "center": ["1", "2"]},
        {"type": "circle", "center": [5, 5, 0]},
        {"type": "circle", "center": [5, 5, 0], "radius": float("nan")},
        {"type": "ellipse", "center": [5, 5, 0], "width": 1e300, "height": 3},
        {"type": "rectangle", "center": [5, 5, 0], "width": 3, "height": 3, "rotation": [1]},
    ],
)
def test_broken_elements_of_histomics_are_named(tmp_path: Path, element: dict[str, Any]) -> None:
    with pytest.raises(NoisySegError, match=r"element 1 is not (an outline|a point) of Histomics"):
        read_masks(histomics(tmp_path, element), (20, 20))


def test_regions_of_imagescope_outside_the_image_are_told(tmp_path: Path) -> None:
    inside, outside = [(10, 10), (20, 10), (20, 20)], [(50, 10), (60, 10), (60, 20)]
    masks = read_masks(imagescope(tmp_path, region(*inside), region(*outside)), (40, 40))
    assert len(masks.outlines) == 1
    assert masks.note == "1 outlines outside the image were left out"
    with pytest.raises(NoisySegError, match="region 1: outside the image"):
        read_masks(imagescope(tmp_path, region(*outside)), (40, 40))
