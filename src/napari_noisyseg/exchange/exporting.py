"""A project's nuclei in other people's formats: whole files or none."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_noisyseg.errors import JobError, NoisySegError
from napari_noisyseg.exchange.detections import write_detections
from napari_noisyseg.exchange.labels import (
    SOFTWARE,
    TILE,
    tile_boxes,
    write_labels,
    write_tiles,
)
from napari_noisyseg.exchange.layers import LAYERS, Layer
from napari_noisyseg.exchange.measurements import is_csv, write_csv
from napari_noisyseg.exchange.nuclei import ExportedImage
from napari_noisyseg.regular_file import advice
from napari_noisyseg.store import Project, leftovers

WHOLE_PIXELS = 64_000_000


@dataclass(frozen=True, slots=True)
class Format:
    """How a format is written: into an empty folder, the names of what was put there given back.

    `is_ours` says whether a file of that name already there was exported by this program, and so
    may be replaced. Images come with the stems that their files have; `endings` are those of a
    file that holds one image.
    """

    write: Callable[[Sequence[tuple[str, ExportedImage]], Path], list[str]]
    is_ours: Callable[[Path], bool]
    endings: tuple[str, ...]


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
    chosen, images = _format(format), _images(project, layer, image)
    written = _written(images, Path(out), chosen)
    _note(images, tell)
    return written


def export_one(
    project: Project,
    target: Path | BinaryIO,
    format: str,
    layer: Layer = "refined",
    image: str | None = None,
    tell: Callable[[str], object] | None = None,
) -> None:
    """The same of the only image that has any, or the one named, into a file or a stream.

    Raises what `export` raises, and `NoisySegError` where several images have nuclei.
    """
    chosen, images = _format(format), _images(project, layer, image)
    if len(images) > 1:
        raise NoisySegError(
            f"{len(images)} images of {project.path.name} have nuclei of “{layer}”: name one with "
            "--image, or a folder to export into",
            window=f"{len(images)} images have nuclei of “{layer}”: export into a folder",
        )
    if isinstance(target, Path):
        _write_one(images, target, chosen)
    else:
        with tempfile.TemporaryDirectory(prefix="noisyseg-") as folder:
            (name,) = chosen.write(images, Path(folder))
            with (Path(folder) / name).open("rb") as file:
                shutil.copyfileobj(file, target)
    _note(images, tell)


def _write_one(images: Sequence[tuple[str, ExportedImage]], target: Path, chosen: Format) -> None:
    folder = target.absolute().parent
    if not folder.is_dir():
        raise NoisySegError(f"there is no folder {folder}: make it, or choose another place")
    try:
        leftovers.tidy_beside(folder)
        with (
            tempfile.TemporaryDirectory(dir=folder, prefix=".export-") as aside,
            leftovers.making(Path(aside)),
        ):
            (name,) = chosen.write(images, Path(aside))
            _refuse_to_replace([target], chosen)
            (Path(aside) / name).replace(target)
    except OSError as error:
        raise JobError(
            f"cannot write {target}: {advice(error)}; nothing half-written was left"
        ) from error


def _format(name: str) -> Format:
    chosen = FORMATS.get(name)
    if chosen is None:
        raise NoisySegError(f"there is no format {name!r}: choose one of {', '.join(FORMATS)}")
    return chosen


def _note(
    images: Sequence[tuple[str, ExportedImage]], tell: Callable[[str], object] | None
) -> None:
    for _, exported in images:
        if exported.note and tell is not None:
            tell(f"{exported.record.name}: {exported.note}")


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


def _is_geojson(path: Path) -> bool:
    with path.open("rb") as file:
        return b'"generator": "napari-noisyseg ' in file.read(200)


FORMATS: Mapping[str, Format] = {
    "labels": Format(_per_image(".tif", _write_labels), _is_labels, (".tif", ".tiff")),
    "geojson": Format(_per_image(".geojson", write_detections), _is_geojson, (".geojson",)),
    "csv": Format(_per_image(".csv", write_csv), is_csv, (".csv",)),
}
"""What `export` writes, by the name that the command line and the menus use."""
