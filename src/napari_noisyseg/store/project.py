"""THE project on disk: create, open, lock, migrate; its images."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import zarr

from napari_noisyseg import bounded_json
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.store import backup, leftovers, opening, pyramid, schema
from napari_noisyseg.store.context import Context
from napari_noisyseg.store.database import NAME, Database
from napari_noisyseg.store.image_folder import ASSUMED_MPP, ImageFolder, PathLike
from napari_noisyseg.store.images import FOLDER
from napari_noisyseg.store.learned import LearnedNetworks
from napari_noisyseg.store.lock import Lock
from napari_noisyseg.store.nuclei import Nuclei
from napari_noisyseg.store.painting import Painting
from napari_noisyseg.store.records import Aspect
from napari_noisyseg.store.runs import Runs

__all__ = ["ASSUMED_MPP", "SUFFIX", "Project"]

T = TypeVar("T")
SUFFIX = ".noisyseg"


class Project(ImageFolder):
    """A folder NAME.noisyseg: use `create` or `open`, and close it (it is a context manager too).

    `nuclei` is what people marked and decided, `labels` the label images, `runs` the trainings,
    `learned` what outlines learned here.
    `notices` are words for a person about what was found on opening (a dead lock taken over, ...).
    """

    def __init__(self, path: Path, database: Database, lock: Lock | None) -> None:
        super().__init__(path, database)
        self.writable = database.writable
        self._lock = lock
        self._closed = False
        self._painting = Painting(self._images, self.labels, self._history)
        context = Context(database, self._history, self._images)
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

    @property
    def held(self) -> bool:
        """Whether this still is the project's one writer: nobody has taken or removed its lock."""
        return self._lock is not None and self._lock.held

    @classmethod
    def open(cls, path: PathLike, write: bool = True, break_lock: bool = False) -> Project:
        """A project, for writing (one at a time) or for reading (beside a writer).

        Errors: `NoisySegError` when it is no project, is damaged, is of a later version of this
        program, or is held by another writer (named with host, process and time). `break_lock`
        takes over the lock of a writer that cannot be asked, on a machine that is gone.
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
        """Replace a damaged file by a backup of what people did; the damaged one is kept aside.

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
        try:
            # the strokes are safe in the database, whatever becomes of their cache
            with contextlib.suppress(NoisySegError):
                for row in self._images.rows() if self.writable else ():
                    with contextlib.suppress(NoisySegError):
                        self._painting.flush(row.name)
        finally:
            self._let_go()

    def _let_go(self) -> None:
        self._closed = True
        try:
            self._database.close()
        finally:
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

    def flush(self) -> None:
        """Bring the painted label images in Zarr up to date, for programs that read them there."""
        for row in self._images.rows():
            self._painting.flush(row.name)

    def rebuild(self) -> None:
        """Make all caches of what people painted again from the strokes."""
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

    def _fact(self, name: str, default: Any) -> Any:
        found = self._database.value("SELECT value FROM fact WHERE name = ?", (name,))
        value = default if found is None else bounded_json.parse(found, f"{self.path}, {name}")
        return value if type(value) is type(default) else default
