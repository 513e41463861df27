"""A project's nuclei in other programs' formats: complete files or none."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from napari_noisyseg.errors import JobError, NoisySegError
from napari_noisyseg.exchange.formats import Format, named
from napari_noisyseg.exchange.layers import LAYERS, Layer
from napari_noisyseg.exchange.nuclei import ExportedImage
from napari_noisyseg.regular_file import advice
from napari_noisyseg.store import Project, leftovers


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
    if len(images) > 1 and not chosen.one_file:
        raise NoisySegError(
            f"{len(images)} images of {project.path.name} have nuclei in “{layer}”: name one with "
            "--image, or a folder to export into",
            window=f"{len(images)} images have nuclei in “{layer}”: export into a folder",
        )
    if isinstance(target, Path):
        _write_one(images, target, chosen)
    elif chosen.is_folder:
        raise NoisySegError(f"{chosen.title} is a folder and cannot go to stdout: name one")
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
            _put(Path(aside) / name, target)
    except OSError as error:
        raise JobError(
            f"cannot write {target}: {advice(error)}; nothing half-written was left"
        ) from error


def _format(name: str) -> Format:
    chosen = named(name)
    chosen.require()
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
                _put(Path(folder) / name, target)
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
    """The file stem and the nuclei of each image that has any in the layer."""
    source = LAYERS.get(layer)
    if source is None:
        raise NoisySegError(f"there is no layer {layer!r}: choose one of {', '.join(LAYERS)}")
    records = project.images() if name is None else [project.image(name)]
    found = [image for record in records if (image := source.take(project, record)) is not None]
    if not found:
        where = name or project.path.name
        raise NoisySegError(f"{where} has nothing in “{layer}” to export: {source.missing}")
    return list(zip(_stems([i.record.name for i in found]), found, strict=True))


def _stems(names: Sequence[str]) -> list[str]:
    """File names for images: an image's name may have letters that a file's name may not."""
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


def _put(made: Path, target: Path) -> None:
    """Move the new files to their place, over earlier exports."""
    if target.is_dir():
        target.replace(made.with_name(f"{made.name}.old"))
    made.replace(target)


def _refuse_to_replace(targets: Sequence[Path], format: Format) -> None:
    for target in targets:
        right = target.is_dir() if format.is_folder else target.is_file()
        if target.exists() and not (right and format.is_ours(target)):
            raise NoisySegError(
                f"{target} exists and is not of an earlier export: choose another folder, so that "
                "it is not lost"
            )
