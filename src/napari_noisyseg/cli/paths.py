"""What the words of a command name: a project, images, and the files that go with images."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from ..errors import NoisySegError
from ..exchange.csv_points import listed
from ..exchange.formats import composed, stem_of
from ..slides import IMAGE_SUFFIXES, name_of, of_each_slide
from ..store import SUFFIX, Project
from ..store.database import NAME as DATABASE
from .output import say

ProjectPath = Annotated[Path, typer.Argument(metavar="PROJECT", help="The NAME.noisyseg folder.")]


def ended(path: Path) -> Path:
    """A project's name with the ending `.noisyseg`, which may be left out."""
    # "." and ".." have no name to be ended
    named = path.name not in ("", "..")
    return path.with_name(path.name + SUFFIX) if named and path.suffix != SUFFIX else path


def open_project(path: Path, write: bool = False) -> Project:
    """The project at `path`, with or without the ending `.noisyseg`."""
    return Project.open(meant(path), write=write)


def meant(path: Path) -> Path:
    """The project that a path names; a folder of images may have its name without the ending."""
    named = ended(path)
    return named if named.is_dir() and not (path / DATABASE).exists() else path


def check_outside(out: Path, images: bool = True) -> None:
    """NoisySegError for a place in a project, or (`images`) in the folder of an OME-Zarr image."""
    place = out.resolve()
    for folder in (place, *place.parents):
        is_image = images and folder.name.lower().endswith(".zarr") and folder.is_dir()
        if is_image or (folder / DATABASE).exists():
            what = "an image" if is_image else "a project"
            where = "is" if folder == place else "lies in"
            raise NoisySegError(
                f"{out} {where} the folder of {what}, in which nothing else may be written: choose "
                f"a place outside it, such as {folder.parent / 'nuclei'}"
            )


def check_writable(folder: Path) -> None:
    """NoisySegError where nobody may write in a folder, or where it would have to be made."""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if not os.access(there, os.W_OK):
        raise NoisySegError(f"{there}: cannot be written in; name another folder")


def image_files(paths: Iterable[Path]) -> list[Path]:
    """Image files in the order given; folders give theirs by name. Raises where there is none."""
    files: list[Path] = []
    for path in paths:
        found = _inside(path, tuple(IMAGE_SUFFIXES))
        if not found:
            raise NoisySegError(f"{path}: no image in this folder")
        files += found
    names = [name_of(f) for f in files]
    twice = {n for n in names if names.count(n) > 1}
    if twice:
        raise NoisySegError(f"two images are named {sorted(twice)[0]!r}: rename one of them")
    return files


def _inside(path: Path, suffixes: tuple[str, ...]) -> list[Path]:
    if not path.exists():
        raise NoisySegError(f"{path}: there is no such file or folder")
    if path.is_dir() and not path.name.endswith(".zarr"):
        return of_each_slide(sorted(p for p in path.iterdir() if _ends(p, suffixes)))
    return [path]


def _ends(path: Path, suffixes: tuple[str, ...]) -> bool:
    # hidden ones are of the system: macOS puts ._case.svs beside case.svs on other disks
    return path.name.lower().endswith(suffixes) and not path.name.startswith(".")


def paired(
    images: list[Path], paths: list[Path] | None, suffixes: tuple[str, ...]
) -> dict[Path, Path]:
    """The file that goes with each image, by name; of one image and one file, whatever they are.

    Raises NoisySegError where one that was named, or all of a folder, goes with none.
    """
    shown = {image.absolute() for image in images}
    # in a folder that holds both, an image is no mask of itself
    files = [
        f
        for path in paths or ()
        for f in _inside(path, suffixes)
        if f == path or f.absolute() not in shown
    ]
    if len(images) == len(files) == 1:
        if composed(name_of(images[0])) != composed(stem_of(files[0])):
            say(f"{files[0].name} is used for {images[0].name}, though their names differ")
        return {images[0]: files[0]}
    by_stem: dict[str, Path] = {}
    for file in files:
        other = by_stem.setdefault(composed(stem_of(file)), file)
        if other != file:
            raise NoisySegError(
                f"{other} and {file} are both for the image {stem_of(file)!r}: name one of them, "
                "or move the other away"
            )
    names = {image: composed(name_of(image)) for image in images}
    pairs = {image: by_stem.pop(name) for image, name in names.items() if name in by_stem}
    if by_stem and not all(p.is_dir() for p in paths or ()):
        lonely = next(iter(by_stem.values()))
        raise NoisySegError(f"{lonely}: no image is named {stem_of(lonely)!r} (matched by name)")
    if paths and not pairs:
        raise NoisySegError(f"{paths[0]}: no file in it has the name of one of the images")
    if by_stem:
        left = listed([file.name for file in by_stem.values()])
        say(f"left out, as no image has their name (without the ending): {left}")
    return pairs
