"""The images of a project: copied in or linked, with their scale and their place."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box, Slide, content_hash, open_image, to_rgb
from napari_noisyseg.slides.coarser import halvings, lacks_levels
from napari_noisyseg.slides.limits import STATED_MPP
from napari_noisyseg.store.coarser import CoarserLevels
from napari_noisyseg.store.database import Database
from napari_noisyseg.store.history import History
from napari_noisyseg.store.images import FOLDER, Images
from napari_noisyseg.store.labels import Labels
from napari_noisyseg.store.links import Links
from napari_noisyseg.store.records import Aspect, ImageRecord

ASSUMED_MPP = 0.25
PathLike = str | os.PathLike[str]


class ImageFolder:
    """The part of a `Project` that concerns its images."""

    def __init__(self, path: Path, database: Database) -> None:
        self.path = path
        self.notices: list[str] = []
        self._database = database
        self._images = Images(path, database)
        self._links = Links(path, database)
        self._history = History(database)
        self.labels = Labels(self._images)
        self.coarser = CoarserLevels(self._images)

    def images(self) -> list[ImageRecord]:
        """All images, in the order in which they came."""
        return [self._images.record(row) for row in self._images.rows()]

    def image(self, name: str) -> ImageRecord:
        """The image of this name; `NoisySegError` when there is none."""
        return self._images.record(self._images.row(name))

    def add_image(
        self,
        path: PathLike,
        name: str | None = None,
        mpp: float | None = None,
        channel: int | None = None,
        icc: bool = False,
    ) -> ImageRecord:
        """An image file: a plain one is copied in, a slide is linked by path and content.

        Without `mpp` (µm per pixel) the file's own is used; if it has none, 0.25 is assumed and
        the record says so. channel: which channel of fluorescence to take, 1 the first. icc: bring
        colours to sRGB by the file's own profile, here and whenever it is read; the record has the
        profile's name, or "" where the file has none. Errors:
        `NoisySegError` for an unreadable file, a name that is taken, or a file that the project has
        already.
        """
        self._database.refuse_reader()
        path = Path(path)
        with open_image(path, channel, icc) as slide:
            sha = content_hash(path)
            chosen = self._new_name(name, slide.name, sha)
            scale = mpp if mpp is not None else slide.mpp
            if slide.is_pyramid:
                return self._add_link(path, slide, chosen, scale, sha)
            rgb = slide.read(Box(0, 0, *slide.shape))
        return self._add_copy(rgb, chosen, scale, sha, slide.icc)

    def check_image(self, path: Path, channel: int | None = None, icc: bool = False) -> None:
        """Raise what `add_image` would raise for this file, and add nothing."""
        with open_image(path, channel, icc) as slide:
            self._new_name(None, slide.name, content_hash(path))

    def add_array(self, rgb: NDArray[Any], name: str, mpp: float | None = None) -> ImageRecord:
        """Pixels (H, W, 3) that come from no file, such as a napari layer: copied in."""
        self._database.refuse_reader()
        pixels = to_rgb(rgb, name)
        sha = hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()
        return self._add_copy(pixels, self._new_name(name, name, sha), mpp, sha)

    def remove_image(self, name: str) -> None:
        """Remove an image with all that belongs to it; undo brings everything back."""
        row = self._images.row(name)
        with (
            self._history.action(f"remove the image {name}", row.id, Aspect.IMAGES) as action,
            action.changing("image", [row.id]),
        ):
            self._database.run("DELETE FROM image WHERE id = ?", (row.id,))
        self._restate()

    def set_mpp(self, name: str, mpp: float) -> None:
        """State the µm per level-0 pixel of an image."""
        row, scale = self._images.row(name), checked_mpp(mpp)
        with (
            self._history.action(f"set the scale of {name}", row.id, Aspect.IMAGES) as action,
            action.changing("image", [row.id]),
        ):
            self._database.run(
                "UPDATE image SET mpp = ?, mpp_assumed = 0 WHERE id = ?", (scale, row.id)
            )
        self._restate()

    def pixels(self, name: str, search: Sequence[Path] = ()) -> Slide:
        """The image's pixels as a lazy pyramid; close it after use.

        A slide that was moved is found again by its content, beside the project and in the folders
        `search`. Its `mpp` is the project's. Errors: `NoisySegError` if it cannot be found.
        """
        row = self._images.row(name)
        if not row.linked:
            return self._images.pixels(row)
        slide = open_image(self._links.find(row, search), icc=bool(self._images.icc(row)))
        if slide.shape != (row.height, row.width):
            slide.close()
            raise NoisySegError(f"the slide {slide.path} is not {name}: its size differs")
        slide.mpp = row.mpp
        return slide

    def relink(self, name: str, path: Path) -> None:
        """Say where a linked slide is now; `NoisySegError` when it is another slide."""
        row = self._images.row(name)
        if not row.linked:
            raise NoisySegError(f"{name} lies in the project itself: it needs no link")
        if content_hash(path) != row.sha:
            raise NoisySegError(f"{path} is not the slide {name}: its content differs")
        with self._database.transaction():
            self._links.put(row.id, path)

    def _new_name(self, name: str | None, fallback: str, sha: str) -> str:
        rows = self._images.rows()
        if name is not None:
            if not name.strip():
                raise NoisySegError("an image needs a name")
            if any(r.name == name for r in rows):
                raise NoisySegError(
                    f"the project has an image {name!r} already: choose another name"
                )
            return name
        same = [r.name for r in rows if r.sha == sha]
        twins = [name for name in same if name == fallback or name.startswith(f"{fallback} ")]
        if twins:
            called = "" if twins[0] == fallback else f", as {twins[0]}"
            raise NoisySegError(f"{fallback} is in the project already{called}")
        return self._images.free_name(fallback)

    def _add_copy(
        self, rgb: NDArray[np.uint8], name: str, mpp: float | None, sha: str, icc: str = ""
    ) -> ImageRecord:
        key = self._images.free_key(name)
        scale = checked_mpp(mpp if mpp is not None else ASSUMED_MPP)
        factors = halvings(*rgb.shape[:2])
        self._images.copy_pixels(key, name, rgb, scale)
        values = (name, key, *rgb.shape[:2], scale, mpp is None, False, sha, json.dumps(factors))
        return self._insert(values, lambda id: self._images.note_icc(id, icc))

    def _add_link(
        self, path: Path, slide: Slide, name: str, mpp: float | None, sha: str
    ) -> ImageRecord:
        key = self._images.free_key(name)
        scale = checked_mpp(mpp if mpp is not None else ASSUMED_MPP)
        factors = sorted({max(1, round(d)) for d in slide.downsamples})
        if lacks_levels(slide):
            # labels have them all the same: they are seen from afar, too
            factors = list(halvings(*slide.shape))
        self._images.prepare_link(key, name)
        values = (name, key, *slide.shape, scale, mpp is None, True, sha, json.dumps(factors))

        def also(id: int) -> None:
            self._links.put(id, path)
            self._images.note_icc(id, slide.icc)

        return self._insert(values, also)

    def _insert(
        self, values: tuple[Any, ...], also: Callable[[int], None] = lambda _: None
    ) -> ImageRecord:
        name, key = values[:2]
        run = self._database.run
        try:
            with self._history.action(f"add the image {name}", None, Aspect.IMAGES) as action:
                run("UPDATE fact SET value = value + 1 WHERE name = 'image'")
                id = int(self._database.value("SELECT value FROM fact WHERE name = 'image'"))
                with action.changing("image", [id]):
                    run(
                        "INSERT INTO image (id, name, key, height, width, mpp, mpp_assumed, "
                        "linked, sha, downsamples) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                        (id, *values),
                    )
                also(id)
                self._history.touch(id, Aspect.IMAGES)
        except BaseException:
            shutil.rmtree(self.path / FOLDER / key, ignore_errors=True)
            raise
        self._restate()
        return self.image(name)

    def _restate(self) -> None:
        """Let the metadata in Zarr say what the database says of the images.

        The action is done and safe already: where this fails, it is done on the next opening.
        """
        version = self._history.version(None, Aspect.NOTHING)
        try:
            self._images.restate()
            for row in self._images.rows():
                self.labels.restate(row.name)
            with self._database.transaction():
                self._database.run(
                    "INSERT OR REPLACE INTO fact VALUES ('stated', ?)", (json.dumps(version),)
                )
        except NoisySegError as error:
            self.notices.append(str(error))


def checked_mpp(mpp: float) -> float:
    """µm per pixel as a float; NoisySegError for what no microscope makes."""
    low, high = STATED_MPP
    if not low <= mpp <= high:
        raise NoisySegError(
            f"{mpp:g} µm per pixel is no resolution of a slide: it is {low:g} to {high:g}"
        )
    return float(mpp)
