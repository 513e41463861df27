"""`exchange`: every format there and back, other people's files, and other people's readers."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from ..errors import JobError, NoisySegError
from ..exchange import geojson
from ..exchange.annotation import read_masks
from ..exchange.formats import Format, written
from ..exchange.nuclei import ExportedImage
from ..slides import Box, open_image
from ..store import Outline
from .report import Report, Row

CASES = 300
"""of each format"""


def run(data: Path, full: bool) -> Report:
    """300 cases a format there and back, the sets `qupath` and `slides/monusac`, and readers."""
    if find_spec("hypothesis") is None:
        raise JobError("exchange needs hypothesis, which makes the cases: pip install hypothesis")
    rows = [_there_and_back(format) for format in written().values()]
    formats, cases = len(rows), sum(int(str(row["cases"])) for row in rows)
    rows += _strangers(data)
    rows += _readers()
    failures = sum(int(str(row["failures"])) for row in rows)
    figures = {"formats": float(formats), "cases": float(cases), "failures": float(failures)}
    return Report("exchange", figures, rows)


def _there_and_back(format: Format) -> Row:
    from hypothesis import HealthCheck, Phase, given, seed, settings

    from .exchange_cases import check, images, project

    done = 0
    with tempfile.TemporaryDirectory() as scratch, project(Path(scratch)) as held:
        folder = Path(scratch) / format.name
        folder.mkdir()

        @seed(7)
        @settings(
            max_examples=CASES,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
            print_blob=False,
        )
        @given(images(held))
        def cases(image: ExportedImage) -> None:
            nonlocal done
            done += 1
            for path in folder.iterdir():
                _remove(path)
            check(format, image, folder)

        lost = _lost(cases)
    return {"what": format.title, "cases": done, "failures": int(bool(lost)), "lost": lost}


def _remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def _lost(act: Callable[[], object]) -> str:
    """What went wrong, "" for nothing."""
    try:
        act()
    # whatever it is, it is counted and named
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:200]
    return ""


def _strangers(data: Path) -> list[Row]:
    """Files that other programs wrote."""
    qupath = sorted((data / "qupath").glob("*.geojson"))
    monusac = sorted((data / "slides" / "monusac").glob("*.xml"))
    if not qupath or not monusac:
        raise NoisySegError(f"{data} has no qupath or no slides/monusac: see --data")
    read = dict.fromkeys(qupath, _qupath) | dict.fromkeys(monusac, _monusac)
    return [_row(path.name, 1, partial(act, path)) for path, act in read.items()]


def _row(what: str, cases: int, act: Callable[[], object]) -> Row:
    lost = _lost(act)
    return {"what": what, "cases": cases, "failures": int(bool(lost)), "lost": lost}


def _qupath(path: Path) -> None:
    assert geojson.read(path), "nothing in it"


def _monusac(path: Path) -> None:
    with open_image(path.with_suffix(".svs")) as slide:
        found = read_masks(path, slide.shape)
    regions = path.read_bytes().count(b"<Region ")
    assert len(found.outlines) == regions, f"{len(found.outlines)} of {regions} regions"


# --- other people's readers ------------------------------------------------------------------


def _readers() -> list[Row]:
    """Whether the readers that are installed take what we write."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as scratch:
        example = _example(Path(scratch))
        for library, (name, act) in READERS.items():
            if find_spec(library) is None:
                rows.append(_row(f"{library}: not installed", 0, lambda: None))
            else:
                rows.append(_row(f"{library} reads {name}", 1, partial(example, name, act)))
    return rows


Read = Callable[[Path, ExportedImage], None]


def _example(scratch: Path) -> Callable[[str, Read], None]:
    """A function that writes one image of all sorts of nuclei in a format and lets it be read."""
    from .exchange_cases import CLASSES, image_of, project

    def write(name: str, read: Read) -> None:
        with tempfile.TemporaryDirectory(dir=scratch) as own, project(Path(own)) as held:
            holed = np.ones((9, 9), bool)
            holed[3:5, 4] = False
            masks = [np.ones((8, 5), bool), holed, np.eye(4, dtype=bool), np.ones((3, 3), bool)]
            found = [
                (Outline(Box(12 * k, 10 * k, 12 * k + m.shape[0], 10 * k + m.shape[1]), m),
                 "accepted", cell, 0.5, "r")
                for k, (m, cell) in enumerate(zip(masks, [None, *CLASSES], strict=False))
            ]  # fmt: skip
            image = image_of(held, held.images()[0], found)
            (file,) = written()[name].write([("stem", image)], Path(own))
            read(Path(own) / file, image)

    return write


def _geopandas(path: Path, image: ExportedImage) -> None:
    import geopandas

    frame = geopandas.GeoDataFrame.from_features(json.loads(path.read_text("utf-8"))["features"])
    assert frame.geometry.is_valid.all(), "geometries are not valid"
    assert frame.area.tolist() == [n.outline.area for n in image.nuclei], "areas"


def _pycocotools(path: Path, image: ExportedImage) -> None:
    from pycocotools.coco import COCO

    with contextlib.redirect_stdout(io.StringIO()):
        read = COCO(str(path))
    for entry, nucleus in zip(read.loadAnns(read.getAnnIds()), image.nuclei, strict=True):
        expected = nucleus.outline.cut(Box(0, 0, *image.shape))
        assert np.array_equal(read.annToMask(entry) > 0, expected), f"mask {nucleus.serial}"


def _roifile(path: Path, image: ExportedImage) -> None:
    from roifile import roiread

    found = roiread(path)
    assert len(found) == len(image.nuclei), "number of ROIs"
    for roi, nucleus in zip(found, image.nuclei, strict=True):
        box = nucleus.outline.box
        corners = np.vstack(roi.coordinates(multi=True))
        assert [*corners.min(axis=0), *corners.max(axis=0)] == [box.x0, box.y0, box.x1, box.y1]


def _yaozarrs(path: Path, image: ExportedImage) -> None:
    import yaozarrs

    yaozarrs.validate_zarr_store(str(path))


def _ome_zarr_models(path: Path, image: ExportedImage) -> None:
    import zarr
    from ome_zarr_models import open_ome_zarr

    open_ome_zarr(zarr.open_group(str(path), mode="r"))


def _highdicom(path: Path, image: ExportedImage) -> None:
    from highdicom.ann import annread

    groups = annread(path).get_annotation_groups()
    assert sum(group.NumberOfAnnotations for group in groups) >= len(image.nuclei)


def _shapely(path: Path, image: ExportedImage) -> None:
    from shapely.geometry import shape

    for feature in json.loads(path.read_text("utf-8"))["features"]:
        assert shape(feature["geometry"]).is_valid, feature["id"]


READERS: dict[str, tuple[str, Read]] = {
    "shapely": ("geojson", _shapely),
    "geopandas": ("geojson", _geopandas),
    "pycocotools": ("coco", _pycocotools),
    "roifile": ("roi", _roifile),
    "yaozarrs": ("ome-zarr", _yaozarrs),
    "ome_zarr_models": ("ome-zarr", _ome_zarr_models),
    "highdicom": ("dicom", _highdicom),
}
"""Libraries of others by name: the format that each reads, and how."""
