"""A project's nuclei in other people's formats: whole files or none."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_noisyseg import __version__
from napari_noisyseg.errors import JobError, NoisySegError
from napari_noisyseg.exchange import geojson
from napari_noisyseg.exchange.labels import (
    SOFTWARE,
    TILE,
    tile_boxes,
    write_labels,
    write_tiles,
)
from napari_noisyseg.exchange.layers import LAYERS, Layer
from napari_noisyseg.exchange.measurements import is_csv, write_csv
from napari_noisyseg.exchange.nuclei import ExportedImage, ExportedNucleus
from napari_noisyseg.exchange.outlines import trace
from napari_noisyseg.regular_file import advice
from napari_noisyseg.store import Project, leftovers

WHOLE_PIXELS = 64_000_000
GENERATOR = f'"generator": "napari-noisyseg {__version__}"'
NO_COLOR = "#999999"


@dataclass(frozen=True, slots=True)
class Format:
    """How a format is written: into an empty folder, the names of what was put there given back.

    `is_ours` says whether a file of that name already there was exported by this program, and so
    may be replaced. Images come with the stems that their files have.
    """

    write: Callable[[Sequence[tuple[str, ExportedImage]], Path], list[str]]
    is_ours: Callable[[Path], bool]


def export(
    project: Project,
    out: Path,
    format: str,
    layer: Layer = "refined",
    image: str | None = None,
    tell: Callable[[str], object] | None = None,
) -> list[Path]:
    """Write a layer's nuclei of all images (or one) into the folder `out`; the files written.

    `LAYERS` has what each layer holds; images that have nothing of it get no file. `tell` hears
    what is to be said of an image. Raises `NoisySegError` for an unknown format or layer, where
    there is nothing to export, and where `out` has files of the same names that are not of an
    earlier export; `JobError` when the disk is full or fails. Either way nothing is left
    half-written.
    """
    chosen = FORMATS.get(format)
    if chosen is None:
        raise NoisySegError(f"there is no format {format!r}: choose one of {', '.join(FORMATS)}")
    images = _images(project, layer, image)
    written = _written(images, Path(out), chosen)
    for _, exported in images:
        if exported.note and tell is not None:
            tell(f"{exported.record.name}: {exported.note}")
    return written


def _written(images: Sequence[tuple[str, ExportedImage]], out: Path, chosen: Format) -> list[Path]:
    """Write all of them into a folder, or nothing; the files."""
    made = _make_folder(out)
    try:
        leftovers.tidy_beside(out)
        with (
            tempfile.TemporaryDirectory(dir=out, prefix=".export-") as folder,
            leftovers.making(Path(folder)),
        ):
            names = chosen.write(images, Path(folder))
            targets = [out / name for name in names]
            _refuse_to_replace(targets, chosen)
            for name, target in zip(names, targets, strict=True):
                (Path(folder) / name).replace(target)
        made = False
    except OSError as error:
        raise JobError(
            f"cannot export to {out}: {advice(error)}; nothing half-written was left"
        ) from error
    finally:
        if made:
            shutil.rmtree(out, ignore_errors=True)
    return targets


def _images(project: Project, layer: Layer, name: str | None) -> list[tuple[str, ExportedImage]]:
    """Stems and what is exported of each image that has any of the layer."""
    source = LAYERS.get(layer)
    if source is None:
        raise NoisySegError(f"there is no layer {layer!r}: choose one of {', '.join(LAYERS)}")
    records = project.images() if name is None else [project.image(name)]
    found = [image for record in records if (image := source.take(project, record)) is not None]
    if not found:
        where = name or project.path.name
        raise NoisySegError(f"{where} has nothing of “{layer}” to export: {source.missing}")
    return list(zip(_stems([i.record.name for i in found]), found, strict=True))


def _stems(names: Sequence[str]) -> list[str]:
    """File names for images, whose own names may hold what a file's name may not."""
    stems: list[str] = []
    for name in names:
        plain = re.sub(r'[\\/:*?"<>|\x00-\x1f]', "_", name).strip(" .") or "image"
        stem, number = plain, 2
        while stem.lower() in {s.lower() for s in stems}:
            stem, number = f"{plain}-{number}", number + 1
        stems.append(stem)
    return stems


def _make_folder(out: Path) -> bool:
    """Make the folder; whether it is new."""
    new = not out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise NoisySegError(f"{out} is a file: name a folder to export into") from error
    except OSError as error:
        raise NoisySegError(f"cannot make the folder {out}: {advice(error)}") from error
    return new


def _refuse_to_replace(targets: Sequence[Path], format: Format) -> None:
    for target in targets:
        if target.exists() and not (target.is_file() and format.is_ours(target)):
            raise NoisySegError(
                f"{target} exists and is not of an earlier export: choose another folder, so that "
                "it is not lost"
            )


def _per_image(
    suffix: str, write: Callable[[ExportedImage, Path], None]
) -> Callable[[Sequence[tuple[str, ExportedImage]], Path], list[str]]:
    def write_all(images: Sequence[tuple[str, ExportedImage]], folder: Path) -> list[str]:
        for stem, image in images:
            write(image, folder / f"{stem}{suffix}")
        return [f"{stem}{suffix}" for stem, _ in images]

    return write_all


def _write_labels(image: ExportedImage, path: Path) -> None:
    height, width = image.shape
    if height * width <= WHOLE_PIXELS:
        write_labels(path, image.labels(), image.record.mpp)
    else:
        write_tiles(path, image.shape, _tiles(image), image.largest, image.record.mpp)


def _tiles(image: ExportedImage) -> Iterator[NDArray[np.int32]]:
    for box, nuclei in zip(tile_boxes(image.shape), image.by_tile(), strict=True):
        tile = np.zeros((TILE, TILE), np.int32)
        for nucleus in nuclei:
            nucleus.outline.paste(tile, box, nucleus.serial)
        yield tile


def _is_labels(path: Path) -> bool:
    try:
        with tifffile.TiffFile(path, _multifile=False) as file:
            return str(file.pages.first.software).startswith(SOFTWARE.split()[0])
    # whatever it is, it is not ours
    except Exception:
        return False


def _write_geojson(image: ExportedImage, path: Path) -> None:
    """QuPath's detections, one a line; `generator` is a member that GeoJSON readers pass over."""
    colors = {c.name: c.color for c in image.project.nuclei.classes()}
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(f'{{"type": "FeatureCollection", {GENERATOR}, "features": [')
        for number, nucleus in enumerate(image.nuclei):
            feature = _feature(nucleus, image, colors)
            file.write(",\n" if number else "\n")
            file.write(json.dumps(feature, ensure_ascii=False, allow_nan=False))
        file.write("\n]}\n")


def _feature(
    nucleus: ExportedNucleus, image: ExportedImage, colors: Mapping[str, str]
) -> dict[str, object]:
    outline = nucleus.outline
    measurements = {"Area µm^2": outline.area * image.record.mpp**2}
    if nucleus.score is not None:
        measurements["Score"] = float(nucleus.score)
    metadata = {
        "image": image.record.name,
        "label": str(nucleus.serial),
        "state": nucleus.state,
    }
    if nucleus.run is not None:
        metadata["run"] = nucleus.run
    name = nucleus.class_name
    classification = (name, _rgb(colors.get(name, NO_COLOR))) if name is not None else None
    polygons = trace(outline.mask, outline.box.origin)
    return geojson.feature(polygons, nucleus.id, classification, measurements, metadata)


def _rgb(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def _is_geojson(path: Path) -> bool:
    with path.open("rb") as file:
        return b'"generator": "napari-noisyseg ' in file.read(200)


FORMATS: Mapping[str, Format] = {
    "labels": Format(_per_image(".tif", _write_labels), _is_labels),
    "geojson": Format(_per_image(".geojson", _write_geojson), _is_geojson),
    "csv": Format(_per_image(".csv", write_csv), is_csv),
}
"""What `export` writes, by the name that the command line and the menus use."""
