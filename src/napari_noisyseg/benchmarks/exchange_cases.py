"""Nuclei of every kind, and whether a format brings them back as far as it can hold them."""

from __future__ import annotations

import csv
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy import ndimage

from ..exchange.cells import text_of
from ..exchange.drawn import masks_of
from ..exchange.formats import FORMATS, Format
from ..exchange.formats.contours import contour_of
from ..exchange.nuclei import ExportedImage, ExportedNucleus
from ..exchange.shapes import Shape
from ..slides import Box
from ..store import ImageRecord, Outline, Project
from ..store.records import STATES

HEIGHT, WIDTH = 56, 72
CLASSES = {
    "Tumör": "#e69f00",
    '<b & "c">': "#56b4e9",
    "=1+1, 'x'": "#009e73",
    "浸润 🔬": "#f0e442",
    "None": "#0072b2",
    "Layer 2": "#d55e00",
    "nucleus": "#cc79a7",
    "a\\n: \\ 100 %": "#123456",
}
"""Names that break careless writers: other alphabets, marks of XML, CSV, JSON and Java, and words
that mean something in one of the formats."""
NAME = "Fall 7 – Größe"


@contextmanager
def project(folder: Path) -> Iterator[Project]:
    """A project with one small image and all the classes."""
    rgb = np.full((HEIGHT, WIDTH, 3), 200, np.uint8)
    rgb[::3, ::2] = 90, 40, 120
    with Project.create(folder / "cases.noisyseg") as made:
        made.add_array(rgb, NAME, mpp=0.25)
        for name, color in CLASSES.items():
            made.nuclei.add_class(name, color)
        yield made


@st.composite
def _outline(draw: st.DrawFn) -> Outline:
    """Pixels at random (holes, parts, corners that touch), or a block that touches others."""
    height, width = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    if draw(st.booleans()):
        y, x = draw(st.integers(0, HEIGHT - height)), draw(st.integers(0, WIDTH - width))
        mask = draw(arrays(bool, (height, width), elements=st.booleans()))
    else:
        y, x = 10 * draw(st.integers(0, 4)), 10 * draw(st.integers(0, 6))
        mask = np.ones((10, 10), bool)
    mask.flat[draw(st.integers(0, mask.size - 1))] = True
    found = Outline.of(mask, Box(y, x, y + mask.shape[0], x + mask.shape[1]))
    assert found is not None
    return found


def images(held: Project) -> st.SearchStrategy[ExportedImage]:
    """Images of the project with one to seven nuclei, at one µm per pixel or another."""
    record = held.images()[0]
    nucleus = st.tuples(
        _outline(),
        st.sampled_from(STATES),
        st.none() | st.sampled_from(sorted(CLASSES)),
        st.none() | st.floats(0, 1),
        st.none() | st.just("20261122-run"),
    )
    return st.builds(
        lambda found, mpp: image_of(held, replace(record, mpp=mpp), found),
        st.lists(nucleus, min_size=1, max_size=7),
        st.floats(0.1, 2.0),
    )


def image_of(held: Project, record: ImageRecord, found: Sequence[tuple[Any, ...]]) -> ExportedImage:
    """An image with nuclei of outline, state, class, score and run."""
    nuclei = []
    for k, (outline, state, name, score, run) in enumerate(found, start=1):
        y, x = outline.middle()
        id = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{k} {outline!r}"))
        nuclei.append(ExportedNucleus(id, 3 * k, y, x, outline, state, name, score, run))
    return ExportedImage(held, record, nuclei)


def check(format: Format, image: ExportedImage, folder: Path) -> None:
    """Write the image, read it again and compare. AssertionError where something was lost."""
    (name,) = format.write([("stem", image)], folder)
    path = folder / name
    assert format.is_ours(path), "not known as our own"
    _CHECKS.get(format.name, _check_shapes)(image, path)


def _check_shapes(image: ExportedImage, path: Path) -> None:
    """Outlines, ids, classes with colours, decisions and scores."""
    shapes = _shapes(image, path)
    pixels = masks_of(list(shapes.values()), path, image.shape).outlines
    for nucleus, outline in zip(_in_order(image, shapes), pixels, strict=True):
        assert outline == nucleus.outline, f"the outline of {nucleus.serial}"


def _check_contours(image: ExportedImage, path: Path) -> None:
    """One part of each nucleus, its holes filled."""
    shapes = _shapes(image, path)
    pixels = masks_of(list(shapes.values()), path, image.shape).outlines
    for nucleus, outline in zip(_in_order(image, shapes), pixels, strict=True):
        parts, number = ndimage.label(nucleus.outline.mask, np.ones((3, 3)))
        filled = [ndimage.binary_fill_holes(parts == k) for k in range(1, number + 1)]
        mine = outline.cut(nucleus.outline.box)
        assert any(np.array_equal(mine, part) for part in filled), "not one whole part"
        # a second look is the same: nothing creeps
        assert np.array_equal(contour_of(outline), contour_of(nucleus.outline))


def _shapes(image: ExportedImage, path: Path) -> dict[str, Shape]:
    """What was read by id, all but the outlines compared."""
    read = FORMATS[_name_of(path)].shapes
    assert read is not None
    found = {str(shape.id): shape for shape in read(path, image.record.name)}
    assert set(found) == {n.id for n in image.nuclei}, "nuclei"
    for nucleus in image.nuclei:
        shape = found[nucleus.id]
        assert shape.class_name == nucleus.class_name, f"class {nucleus.class_name!r}"
        assert shape.state == nucleus.state, "decision"
        assert shape.measurements.get("Score") == nucleus.score, "score"
        if nucleus.class_name is not None:
            assert shape.color == tuple(bytes.fromhex(CLASSES[nucleus.class_name][1:])), "colour"
    return found


def _name_of(path: Path) -> str:
    """The format, by the folder that the case is in."""
    return path.parent.name


def _in_order(image: ExportedImage, shapes: dict[str, Shape]) -> list[ExportedNucleus]:
    by_id = {n.id: n for n in image.nuclei}
    return [by_id[id] for id in shapes]


def _check_labels(image: ExportedImage, path: Path) -> None:
    """The pixels, and the classes where there is room for them."""
    read = FORMATS[_name_of(path)].labels
    assert read is not None
    found = read(path)
    assert np.array_equal(found.labels, image.labels()), "pixels"
    if path.is_dir():
        classes = {n.serial: n.class_name for n in image.nuclei if n.class_name is not None}
        assert found.classes == classes, "classes"
        used = set(classes.values())
        colors = {name: tuple(bytes.fromhex(c[1:])) for name, c in CLASSES.items() if name in used}
        assert found.colors == colors, "colours"


def _check_table(image: ExportedImage, path: Path) -> None:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == [n.id for n in image.nuclei]
    for row, nucleus in zip(rows, image.nuclei, strict=True):
        assert text_of(row["class"]) == (nucleus.class_name or "")
        assert row["state"] == nucleus.state
        area = nucleus.outline.area * image.record.mpp**2
        assert abs(float(row["area_um2"]) - area) <= 1e-5 * area
        assert bool(row["score"]) == (nucleus.score is not None)


def _check_dicom(image: ExportedImage, path: Path) -> None:
    """The outer rings, by class; read as a stranger does."""
    from highdicom.ann import annread

    groups = annread(path).get_annotation_groups()
    labels = {group.label for group in groups}
    # DICOM parts values at backslashes
    names = {(n.class_name or "nuclei").replace("\\", "/") for n in image.nuclei}
    assert labels == names, "classes"
    found = np.hstack([group.get_measurements()[1][:, 0] for group in groups])
    wanted = np.array([n.outline.area * image.record.mpp**2 for n in image.nuclei])
    # a nucleus in parts has its area at each; single precision in the file
    same = np.isclose(found[:, None], wanted, rtol=1e-6, atol=0)
    assert same.any(axis=0).all(), "areas"
    assert same.any(axis=1).all(), "areas"
    covered = np.zeros(image.shape, bool)
    for group in groups:
        for corners in group.get_graphic_data("2D"):
            covered |= _filled(np.asarray(corners, float), image.shape)
    expected = np.zeros(image.shape, bool)
    for nucleus in image.nuclei:
        parts, number = ndimage.label(nucleus.outline.mask)
        for k in range(1, number + 1):
            window = expected[nucleus.outline.box.slices]
            window |= _fill_part(parts == k)
    assert np.array_equal(covered, expected), "outlines"


def _check_segmentation(image: ExportedImage, path: Path) -> None:
    """The mask of each class, and its scale; read as a stranger does."""
    from highdicom.seg import segread

    read = segread(path)
    found = read.get_total_pixel_matrix(combine_segments=True)
    labels, names = image.labels(), ["", *(s.SegmentLabel for s in read.SegmentSequence)]
    assert np.array_equal(found > 0, labels > 0), "pixels"
    for nucleus in image.nuclei:
        # DICOM separates values at backslashes
        name = (nucleus.class_name or "nuclei").replace("\\", "/")
        held = np.unique(found[labels == nucleus.serial]).tolist()
        assert {names[k] for k in held} <= {name}, "classes"
    (measures,) = read.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence
    assert np.allclose(measures.PixelSpacing, image.record.mpp / 1000), "µm per pixel"


def _filled(ring: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.bool_]:
    from ..exchange.outlines import fill

    return fill([(np.vstack([ring, ring[:1]]),)], Box(0, 0, *shape))


def _fill_part(part: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A part without holes; what meets its outline in a corner only is a hole of it."""
    from ..exchange.outlines import fill, trace

    return fill([(polygon[0],) for polygon in trace(part)], Box(0, 0, *part.shape))


def _check_written(image: ExportedImage, path: Path) -> None:
    """Of a format that nobody should read without trusting it."""
    assert path.stat().st_size > 0


_CHECKS: dict[str, Callable[[ExportedImage, Path], None]] = {
    "hovernet": _check_contours,
    "labels": _check_labels,
    "ome-zarr": _check_labels,
    "csv": _check_table,
    "dicom": _check_dicom,
    "dicom-seg": _check_segmentation,
    "cellpose": _check_written,
}
