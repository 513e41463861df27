"""The project's images: pixels copied into Zarr, or links to slides that stay where they are."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg import bounded_json
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box, Level, Slide
from napari_noisyseg.slides.coarser import halvings
from napari_noisyseg.slides.colour import together
from napari_noisyseg.store import pyramid
from napari_noisyseg.store.arrays import is_plain, open_array, refuse_links, write_group
from napari_noisyseg.store.database import Database
from napari_noisyseg.store.durable import make_folder
from napari_noisyseg.store.records import ImageRecord

FOLDER = "images"
COARSER = "coarser"
"""Beside the labels of a linked slide: coarser levels, which it does not have itself."""
_ICC = "icc {}"
_COLUMNS = "id, name, key, height, width, mpp, mpp_assumed, linked, sha, downsamples"
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ImageRow:
    """An image as the database has it; `key` is its folder, `factors` its levels."""

    id: int
    name: str
    key: str
    height: int
    width: int
    mpp: float
    mpp_assumed: bool
    linked: bool
    sha: str
    factors: tuple[int, ...]

    @property
    def geometry(self) -> pyramid.Geometry:
        """What its pyramids look like."""
        return pyramid.Geometry(self.height, self.width, self.mpp, self.factors)


class Images:
    """Looks images up by name, and keeps their pixels and metadata in PROJECT/images."""

    def __init__(self, folder: Path, database: Database) -> None:
        self.root = folder
        self.database = database

    def rows(self) -> list[ImageRow]:
        """All images, in the order in which they came."""
        found = self.database.rows(f"SELECT {_COLUMNS} FROM image ORDER BY id")
        return [_row(values) for values in found]

    def row(self, name: str) -> ImageRow:
        """The image of this name; `NoisySegError` when there is none."""
        found = self.database.row(f"SELECT {_COLUMNS} FROM image WHERE name = ?", (name,))
        if found is not None:
            return _row(found)
        rows, wanted = self.rows(), composed(name)
        for row in rows:
            if composed(row.name) == wanted:
                return row
        names = ", ".join(r.name for r in rows[:5]) or "none yet"
        raise NoisySegError(f"{self.root.name} has no image {name!r}; it has: {names}")

    def record(self, row: ImageRow) -> ImageRecord:
        """The image as others see it."""
        link = self.database.value("SELECT path FROM link WHERE image = ?", (row.id,))
        return ImageRecord(
            row.name,
            row.height,
            row.width,
            row.mpp,
            row.mpp_assumed,
            Path(link) if row.linked and link else None,
            row.sha,
            self.icc(row),
        )

    def icc(self, row: ImageRow) -> str:
        """Name of the profile by which the image's colours are brought to sRGB; "" for none."""
        fact = self.database.value("SELECT value FROM fact WHERE name = ?", (_ICC.format(row.id),))
        found = "" if fact is None else bounded_json.parse(fact, f"the colours of {row.name}")
        return found if isinstance(found, str) else ""

    def note_icc(self, image: int, name: str) -> None:
        """Remember the profile of an image's colours; inside a transaction."""
        if name:
            values = (_ICC.format(image), json.dumps(name))
            self.database.run("INSERT OR REPLACE INTO fact VALUES (?, ?)", values)

    def folder(self, row: ImageRow) -> Path:
        """Where its pixels (unless linked) and labels lie."""
        return self.root / FOLDER / row.key

    def own(self, place: Path) -> Path:
        """A place in the project to be written; `NoisySegError` where a link leads out of it."""
        refuse_links(self.root, place)
        return place

    def free_key(self, name: str) -> str:
        """A folder name for a new image: the image's own name where every system allows it."""
        plain = re.sub(r"[^A-Za-z0-9_.-]+", "_", name).strip("._")[:80] or "image"
        if _RESERVED.fullmatch(plain.split(".")[0]):
            plain = f"image-{plain}"
        # also those of removed images count: undo may bring them back
        taken = {p.name.lower() for p in (self.root / FOLDER).glob("*")}
        taken |= {str(r[0]).lower() for r in self.database.rows("SELECT key FROM image_log")}
        return next(k for k in _numbered(plain, "-") if k.lower() not in taken)

    def free_name(self, name: str) -> str:
        """The name, or the name with a number when it is taken."""
        taken = {r.name for r in self.rows()}
        return next(n for n in _numbered(name, " ") if n not in taken)

    def copy_pixels(self, key: str, name: str, rgb: NDArray[np.uint8], mpp: float) -> None:
        """Write RGB (H, W, 3) as images/<key>, an OME-Zarr image; all of it or nothing."""
        height, width = rgb.shape[:2]
        geometry = pyramid.Geometry(height, width, mpp, halvings(height, width))
        target = self.own(self.root / FOLDER / key)
        with pyramid.told(f"cannot copy {name} into {self.root}"):
            make_folder(target.parent)
            with pyramid.replacing(target) as draft:
                attributes = {"ome": image_metadata(name, geometry)}
                pyramid.create(draft, geometry, np.dtype(np.uint8), attributes)
                pyramid.write_image(draft, geometry, rgb)
                # the database will say that it is there: then it must be, whatever happens
                pyramid.sync_tree(draft)

    def prepare_link(self, key: str, name: str) -> None:
        """The folder for the labels of a linked slide."""
        with pyramid.told(f"cannot make a folder for {name} in {self.root}"):
            write_group(self.own(self.root / FOLDER / key), {})

    def pixels(self, row: ImageRow) -> Slide:
        """The copied pixels as a lazy pyramid."""
        folder = self.folder(row)
        levels = []
        with pyramid.told(f"cannot read the pixels of {row.name} ({folder})"):
            for number in range(len(row.factors)):
                array = open_array(folder, number, "r")
                height, width = row.geometry.shape(number)
                if array.shape != (3, height, width):
                    raise ValueError(f"level {number} has shape {array.shape}")
                levels.append(Level(height, width, reader(array), f"{row.name} ({folder})"))
        return Slide(folder, levels, row.mpp, is_pyramid=False)

    def restate(self) -> None:
        """Write names and µm per pixel as they are now into the images' metadata, and list them."""
        rows = self.rows()
        with pyramid.told(f"cannot write the metadata of {self.root}"):
            for row in rows:
                place, geometry = self._pixels_of(row)
                if geometry is not None:
                    write_group(self.own(place), {"ome": image_metadata(row.name, geometry)})
            self._list_series([f"{FOLDER}/{r.key}" for r in rows if not r.linked])

    def _pixels_of(self, row: ImageRow) -> tuple[Path, pyramid.Geometry | None]:
        """Where an image's pixels lie in the project, and their levels; None where they do not."""
        if not row.linked:
            return self.folder(row), row.geometry
        place = self.folder(row) / COARSER
        return place, self.coarser_geometry(row) if is_plain(place / "zarr.json") else None

    def coarser_geometry(self, row: ImageRow) -> pyramid.Geometry:
        """Of the levels that are made here for a linked slide which has no more than one."""
        return pyramid.Geometry(row.height, row.width, row.mpp, halvings(row.height, row.width)[1:])

    def _list_series(self, paths: list[str]) -> None:
        """Tell OME-Zarr readers which images there are (the layout for several images)."""
        if not paths:
            write_group(self.root, {"ome": None})
            return
        series = {"version": "0.5", "series": paths}
        write_group(self.own(self.root / "OME"), {"ome": series})
        write_group(self.root, {"ome": {"version": "0.5", "bioformats2raw.layout": 3}})


def _row(values: tuple[Any, ...]) -> ImageRow:
    id, name, key, height, width, mpp, assumed, linked, sha, factors = values
    # a project may come from a stranger: its folders lie inside it
    if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*", key):
        raise NoisySegError(f"the project is damaged: image {name!r} has the folder {key!r}")
    levels = _levels(name, factors)
    if not levels or levels[0] != 1 or min(height, width, *levels) < 1:
        raise NoisySegError(f"the project is damaged: image {name!r} has no sensible size")
    return ImageRow(id, name, key, height, width, mpp, bool(assumed), bool(linked), sha, levels)


def _levels(name: str, factors: Any) -> tuple[int, ...]:
    try:
        return tuple(int(step) for step in bounded_json.parse(factors, f"image {name!r}"))
    except bounded_json.WRONG as error:
        raise NoisySegError(f"the project is damaged: image {name!r} has no sizes") from error


def reader(array: Any) -> Any:
    """What reads a box of an array (3, H, W) as RGB (h, w, 3)."""

    def read(box: Box) -> NDArray[np.uint8]:
        return together(np.moveaxis(np.asarray(array[(slice(None), *box.slices)]), 0, -1))

    return read


def image_metadata(name: str, geometry: pyramid.Geometry) -> dict[str, Any]:
    """The `ome` attribute of an image in colours."""
    ome = pyramid.multiscales(name, geometry, channels=True)
    window = {"min": 0, "max": 255, "start": 0, "end": 255}
    ome["omero"] = {
        "channels": [
            {"label": label, "color": color, "active": True, "window": window}
            for label, color in (("R", "FF0000"), ("G", "00FF00"), ("B", "0000FF"))
        ]
    }
    return ome


def composed(name: str) -> str:
    """A name as names are compared: macOS writes the two parts of ö apart, others do not."""
    return unicodedata.normalize("NFC", name)


def _numbered(name: str, gap: str) -> Iterator[str]:
    yield name
    number = 2
    while True:
        yield f"{name}{gap}{number}"
        number += 1
