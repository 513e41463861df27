"""Coarser levels of a linked slide that has none: PROJECT/images/KEY/coarser.

An OME-Zarr image of its own, whose finest level is half as fine as the slide. Whoever makes it
needs no lock on the project: it lies under a hidden name until it is whole.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from napari_noisyseg.errors import JobError, NoisySegError
from napari_noisyseg.slides import Box, Level, Slide
from napari_noisyseg.slides.coarser import blocks, halved
from napari_noisyseg.store import leftovers, lock, pyramid
from napari_noisyseg.store.arrays import CHUNK, is_plain, open_array, open_group
from napari_noisyseg.store.images import COARSER, ImageRow, Images, image_metadata, reader

SPARE = 2**28
"""Bytes of the disk that are left to everything else."""
PACKED = 1.05
"""Share of their own size that pixels take at most, with the metadata."""
State = Literal["made", "being made", "missing"]


class Room(NamedTuple):
    """Bytes that the levels take at most, and that are free on the project's disk."""

    needed: int
    free: int

    @property
    def enough(self) -> bool:
        """Whether they fit, with something to spare."""
        return self.needed + SPARE <= self.free


class CoarserLevels:
    """The coarser levels of each image of a project, where they were made."""

    def __init__(self, images: Images) -> None:
        self._images = images

    def state(self, image: str) -> State:
        """Whether they are there, or a process is making them."""
        row = self._images.row(image)
        place = self._images.folder(row) / COARSER
        if is_plain(place / "zarr.json"):
            return "made"
        living = any(not lock.abandoned(p) and (p / lock.NAME).exists() for p in _drafts(place))
        return "being made" if living else "missing"

    def levels(self, image: str) -> list[Level]:
        """They, of half, a quarter, ... of the slide's pixels; [] where they are not made.

        Raises NoisySegError where they are damaged, or of another slide.
        """
        row = self._images.row(image)
        place = self._images.folder(row) / COARSER
        if not is_plain(place / "zarr.json"):
            return []
        geometry, found = self._images.coarser_geometry(row), []
        with pyramid.told(f"cannot read the coarser levels of {image} ({place})"):
            attributes: dict[str, Any] = open_group(place).attrs.asdict()
            if attributes.get("noisyseg", {}).get("source") != self._source(row):
                raise NoisySegError(f"{place} is of another slide than {image}: delete it")
            for number in range(len(geometry.factors)):
                array = open_array(place, number, "r")
                if array.shape != (3, *geometry.shape(number)):
                    raise ValueError(f"level {number} has shape {array.shape}")
                found.append(Level(*geometry.shape(number), reader(array), f"{image} ({place})"))
        return found

    def room(self, image: str) -> Room:
        """What they take, and what is free."""
        row = self._images.row(image)
        geometry = self._images.coarser_geometry(row)
        shapes = [geometry.shape(n) for n in range(len(geometry.factors))]
        needed = sum(3 * height * width for height, width in shapes)
        with pyramid.told(f"cannot see how full the disk of {self._images.root} is"):
            return Room(int(PACKED * needed), shutil.disk_usage(self._images.root).free)

    def make(self, image: str, slide: Slide, stopping: Callable[[], bool] = lambda: False) -> bool:
        """Make them from the slide, in little memory; whether they are there now.

        On error, and where it is stopped, nothing is left. Raises NoisySegError, JobError where the
        disk has no room.
        """
        row = self._images.row(image)
        place = self._images.own(self._images.folder(row) / COARSER)
        room = self.room(image)
        if not room.enough:
            raise JobError(too_full(image, room))
        _tidy(place)
        attributes = {
            "ome": image_metadata(row.name, self._images.coarser_geometry(row)),
            "noisyseg": {"source": self._source(row)},
        }
        with (
            pyramid.told(f"cannot make the coarser levels of {image}"),
            contextlib.suppress(_Stopped),
            pyramid.replacing(place) as draft,
            leftovers.making(draft),
        ):
            self._fill(row, draft, attributes, slide, stopping)
        return self.state(image) == "made"

    def _fill(
        self,
        row: ImageRow,
        draft: Path,
        attributes: dict[str, Any],
        slide: Slide,
        stopping: Callable[[], bool],
    ) -> None:
        geometry = self._images.coarser_geometry(row)
        pyramid.create(draft, geometry, np.dtype(np.uint8), attributes)
        read, shape = slide.levels[0].box, (row.height, row.width)
        for number in range(len(geometry.factors)):
            array = open_array(draft, number)
            height, width = geometry.shape(number)
            for box in blocks(Box(0, 0, height, width), CHUNK):
                if stopping():
                    raise _Stopped
                source = Box(*(2 * v for v in box)).clip(shape)
                array[(slice(None), *box.slices)] = np.moveaxis(halved(read(source)), -1, 0)
            read, shape = reader(array), (height, width)
        # what it is known by from now on must be there, whatever happens
        pyramid.sync_tree(draft)

    def _source(self, row: ImageRow) -> dict[str, Any]:
        return {"sha256": row.sha, "icc": self._images.icc(row)}


class _Stopped(Exception):
    """Somebody asked for it."""


def too_full(image: str, room: Room) -> str:
    """The error for a disk without room for the levels."""
    return (
        f"{image} has no coarser levels, and there is no room on the project's disk to make them: "
        f"they take up to {gigabytes(room.needed)}, and {gigabytes(room.free)} are free. Seen from "
        "afar it is slow or grey; all else works"
    )


def gigabytes(count: int) -> str:
    """Bytes for a person."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{max(1, round(count / 1e6))} MB"


def _drafts(place: Path) -> list[Path]:
    return [p for p in place.parent.glob(f".{place.name}.new-*") if not p.is_symlink()]


def _tidy(place: Path) -> None:
    """Remove what those left who were killed at it."""
    for draft in _drafts(place):
        if lock.abandoned(draft):
            shutil.rmtree(draft, ignore_errors=True)
