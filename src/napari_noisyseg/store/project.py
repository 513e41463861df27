"""THE project on disk: create, open, lock, migrate; its images."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import numpy as np
import zarr
from numpy.typing import NDArray

from napari_noisyseg import bounded_json
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box, Slide, content_hash, open_image, to_rgb
from napari_noisyseg.slides.coarser import halvings, lacks_levels
from napari_noisyseg.store import backup, leftovers, opening, pyramid, schema
from napari_noisyseg.store.coarser import CoarserLevels
from napari_noisyseg.store.context import Context
from napari_noisyseg.store.database import NAME, Database
from napari_noisyseg.store.history import History
from napari_noisyseg.store.images import FOLDER, Images
from napari_noisyseg.store.labels import Labels
from napari_noisyseg.store.learned import LearnedNetworks
from napari_noisyseg.store.links import Links
from napari_noisyseg.store.lock import Lock
from napari_noisyseg.store.nuclei import Nuclei
from napari_noisyseg.store.painting import Painting
from napari_noisyseg.store.records import Aspect, ImageRecord
from napari_noisyseg.store.runs import Runs

T = TypeVar("T")
SUFFIX = ".noisyseg"
ASSUMED_MPP = 0.25
PathLike = str | os.PathLike[str]


class Project:
    """A folder NAME.noisyseg: use `create` or `open`, and close it (it is a context manager too).

    `nuclei` is what people marked and decided, `labels` the label images, `runs` the trainings,
    `learned` what outlines learned here.
    `notices` are words for a person about what was found on opening (a dead lock taken over, ...).
    """

    def __init__(self, path: Path, database: Database, lock: Lock | None) -> None:
        self.path = path
        self.writable = database.writable
        self.notices: list[str] = []
        self._database = database
        self._lock = lock
        self._closed = False
        self._images = Images(path, database)
        self._links = Links(path, database)
        history = History(database)
        self._history = history
        self.labels = Labels(self._images)
        self.coarser = CoarserLevels(self._images)
        self._painting = Painting(self._images, self.labels, history)
        context = Context(database, history, self._images)
        self.nuclei = Nuclei(context, self._painting, self._restate)
        self.runs = Runs(path, self._is_adopted)
        self.learned = LearnedNetworks(context, path)

    @classmethod
    def create(cls, path: PathLike, mpp_assumed: bool = False) -> Project:
        """A new, empty project at `path`, open for writing.

        `mpp_assumed` marks a project whose images may be taken to have 0.25 µm per pixel without
        asking. Errors: `NoisySegError` when something is there already, or cannot be written.
        """
        path = Path(path).absolute()
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise NoisySegError(f"{path} exists already: choose another name, or open it")
        with pyramid.told(f"cannot create {path}"):
            path.parent.mkdir(parents=True, exist_ok=True)
            leftovers.tidy_beside(path.parent)
            with pyramid.replacing(path) as draft, leftovers.making(draft):
                zarr.create_group(draft, zarr_format=3, attributes={"noisyseg": {"project": 1}})
                opening.build(draft / NAME, {"mpp_assumed": mpp_assumed})
                pyramid.sync_tree(draft)
        return cls.open(path)

    @classmethod
    def open(cls, path: PathLike, write: bool = True, break_lock: bool = False) -> Project:
        """A project, for writing (one at a time) or for reading (beside a writer).

        Errors: `NoisySegError` when it is no project, is damaged, is of a later version of this
        program, or is held by another writer (named with host, process and time; `break_lock`
        takes it away from one that cannot be asked, on a machine that is gone).
        """
        path = Path(path).absolute()
        if backup.restoring(path) is not None:
            cls._restored(path, backup.finish)
        opening.check_file(path)
        if not write:
            return cls._opened(path, Database(path, write=False), None)
        lock = Lock(path)
        word = lock.take(force=break_lock)
        try:
            project = cls._opened(path, Database(path, True, lambda: lock.held), lock)
        except BaseException:
            lock.release()
            raise
        project.notices[:0] = [word] if word else []
        return project

    @classmethod
    def _opened(cls, path: Path, database: Database, lock: Lock | None) -> Self:
        """The project of an open database that is sound; a writer's is made ready."""
        try:
            version = opening.version(database, path)
            project = cls(path, database, lock)
            if lock is None:
                opening.refuse_older(path, version)
            else:
                project._make_ready(version)
                if lock.restarted:
                    for record in project.images():
                        project.labels.doubt(record.name)
        except BaseException:
            database.close()
            raise
        return project

    @staticmethod
    def restore(path: Path, generation: int = 1) -> Path:
        """Put a backup of what people did in place of a damaged file; that one is kept aside.

        `generation` 1 is the newest, 2 the one before. Gives back where the damaged file went.
        """
        return Project._restored(path, lambda folder: backup.restore(folder, generation))

    @staticmethod
    def _restored(path: Path, work: Callable[[Path], T]) -> T:
        lock = Lock(path)
        lock.take()
        try:
            with pyramid.told(f"cannot restore {path}"):
                return work(path)
        finally:
            lock.release()

    def close(self) -> None:
        """Bring caches up to date and let go; may be called twice."""
        if self._closed:
            return
        if self.writable:
            for row in self._images.rows():
                # the strokes are safe in the database, whatever becomes of their cache
                with contextlib.suppress(NoisySegError):
                    self._painting.flush(row.name)
        self._let_go()

    def _let_go(self) -> None:
        self._closed = True
        self._database.close()
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def mpp_assumed(self) -> bool:
        """Whether any image's µm per pixel, or the project's, are merely assumed."""
        marked = self._database.value("SELECT value FROM fact WHERE name = 'mpp_assumed'")
        return bool(bounded_json.parse(marked or "false", "mpp_assumed")) or any(
            r.mpp_assumed for r in self._images.rows()
        )

    @property
    def saved(self) -> float | None:
        """When the last action reached the disk (Unix seconds); None before the first."""
        found = self._database.value("SELECT max(time) FROM journal")
        return None if found is None else float(found)

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

        Without `mpp` (µm per pixel) the file's own counts; where it has none, 0.25 is assumed and
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

    def check_image(self, path: Path, channel: int | None = None) -> None:
        """Raise what `add_image` would raise for this file, and add nothing."""
        with open_image(path, channel) as slide:
            self._new_name(None, slide.name, content_hash(path))

    def add_array(self, rgb: NDArray[Any], name: str, mpp: float | None = None) -> ImageRecord:
        """Pixels (H, W, 3) that come from no file, such as a napari layer: copied in."""
        self._database.refuse_reader()
        pixels = to_rgb(rgb, name)
        sha = hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()
        return self._add_copy(pixels, self._new_name(name, name, sha), mpp, sha)

    def remove_image(self, name: str) -> None:
        """Take an image out of sight with all that belongs to it; undo brings everything back."""
        row = self._images.row(name)
        with (
            self._history.action(f"remove the image {name}", row.id, Aspect.IMAGES) as action,
            action.changing("image", [row.id]),
        ):
            self._database.run("DELETE FROM image WHERE id = ?", (row.id,))
        self._restate()

    def set_mpp(self, name: str, mpp: float) -> None:
        """State the µm per level-0 pixel of an image."""
        row, scale = self._images.row(name), _checked_mpp(mpp)
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
        `search`. Its `mpp` is the project's. Errors: `NoisySegError` when it is not to be found.
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

    def flush(self) -> None:
        """Bring the painted label images in Zarr up to date, for programs that read them there."""
        for row in self._images.rows():
            self._painting.flush(row.name)

    def rebuild(self) -> None:
        """Make all caches of what people painted anew from the strokes."""
        for row in self._images.rows():
            self._painting.rebuild(row.name)

    def mark_adopted(self, run: str) -> None:
        """Note that a run's results were taken over."""
        with self._database.transaction():
            self._database.run(
                "INSERT OR REPLACE INTO adopted_run VALUES (?, ?)", (run, time.time())
            )

    def _is_adopted(self, run: str) -> bool:
        return self._database.row("SELECT 1 FROM adopted_run WHERE run = ?", (run,)) is not None

    def _make_ready(self, version: int) -> None:
        connection = self._database.connection
        if version < schema.SCHEMA:
            backup.check(connection, self._database.path)
            kept = backup.before_migration(connection, self.path, version)
            with self._database.told():
                schema.migrate(connection, version)
            self.notices.append(f"the project was brought up to date; as it was it is in {kept}")
        with self._database.told():
            self._database.script(schema.INDICES)
        with pyramid.told(f"no backup could be written to {self.path / backup.FOLDER}"):
            backup.rotate(connection, self.path)
        self.runs.tidy()
        with pyramid.told(f"cannot tidy {self.path}"):
            folders = [self._images.folder(row) for row in self._images.rows()]
            inner = [folder / kind for folder in folders for kind in ("labels", "maps")]
            for folder in (self.path / FOLDER, *inner):
                pyramid.recover(self.path, folder)
            leftovers.tidy(self.path)
        if self._fact("stated", 0) < self.nuclei.version(aspects=Aspect.IMAGES):
            self._restate()

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
        scale = _checked_mpp(mpp if mpp is not None else ASSUMED_MPP)
        factors = halvings(*rgb.shape[:2])
        self._images.copy_pixels(key, name, rgb, scale)
        values = (name, key, *rgb.shape[:2], scale, mpp is None, False, sha, json.dumps(factors))
        return self._insert(values, lambda id: self._images.note_icc(id, icc))

    def _add_link(
        self, path: Path, slide: Slide, name: str, mpp: float | None, sha: str
    ) -> ImageRecord:
        key = self._images.free_key(name)
        scale = _checked_mpp(mpp if mpp is not None else ASSUMED_MPP)
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
        version = self.nuclei.version()
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

    def _fact(self, name: str, default: Any) -> Any:
        found = self._database.value("SELECT value FROM fact WHERE name = ?", (name,))
        value = default if found is None else bounded_json.parse(found, f"{self.path}, {name}")
        return value if type(value) is type(default) else default


def _checked_mpp(mpp: float) -> float:
    if not math.isfinite(mpp) or not 0.01 <= mpp <= 100:
        raise NoisySegError(f"{mpp:g} µm per pixel is no resolution of a slide: it is 0.1 to 10")
    return float(mpp)
