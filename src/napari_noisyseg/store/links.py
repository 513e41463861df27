"""Slides that stay where they are: remembered by path and content, found again when moved."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import content_hash
from napari_noisyseg.store import shares
from napari_noisyseg.store.database import Database
from napari_noisyseg.store.images import ImageRow


@dataclass(frozen=True, slots=True)
class Link:
    """Where a slide was seen last; `relative` is its path seen from the project's folder."""

    path: Path
    relative: str | None
    size: int
    mtime: float


class Links:
    """The links of one project."""

    def __init__(self, project: Path, database: Database) -> None:
        self._project = project
        self._database = database

    def put(self, image: int, path: Path) -> None:
        """Remember where a slide is; inside a transaction. No action: it only follows the disk."""
        place = path.absolute()
        shares.name(place)
        try:
            relative = os.path.relpath(place, self._project)
        except ValueError:
            # another drive
            relative = None
        stat = place.stat()
        self._database.run(
            "INSERT OR REPLACE INTO link VALUES (?, ?, ?, ?, ?)",
            (image, str(place), relative, stat.st_size, stat.st_mtime),
        )

    def find(self, row: ImageRow, search: Sequence[Path]) -> Path:
        """The slide's file, looked for where it was, beside the project and in `search`.

        Where it was found again is remembered. Errors: `NoisySegError` that says where was looked.
        """
        link = self._get(row)
        free = shares.is_free(link.path, self._project)
        if free and self._unchanged(link):
            return link.path
        for path in self._places(link, search):
            if shares.is_free(path, self._project) and _is(path, row.sha):
                self._follow(row, path)
                return path
        if not free:
            raise NoisySegError(
                f"the project says that the slide {row.name} is on the network share "
                f"{shares.share_of(link.path)}, which you have not used here before: if you trust "
                "it, link the slide again; your annotation is safe"
            )
        state = "has another content now" if link.path.exists() else "is gone"
        where = ", ".join(str(p) for p in (self._project.parent, *search))
        raise NoisySegError(
            f"the slide {row.name} ({link.path}) {state}, and is not in {where}: bring the drive "
            "back, or link it again; your annotation is safe"
        )

    def _get(self, row: ImageRow) -> Link:
        found = self._database.row(
            "SELECT path, relative, size, mtime FROM link WHERE image = ?", (row.id,)
        )
        if found is None:
            raise NoisySegError(f"the slide {row.name} has no file: link it again")
        return Link(Path(found[0]), *found[1:])

    def _unchanged(self, link: Link) -> bool:
        try:
            stat = link.path.stat()
        except OSError:
            return False
        return (stat.st_size, stat.st_mtime) == (link.size, link.mtime)

    def _places(self, link: Link, search: Sequence[Path]) -> Iterator[Path]:
        yield link.path
        if link.relative is not None:
            beside = self._project / link.relative
            if shares.is_free(beside, self._project):
                yield beside.resolve()
        near = self._project.parent
        folders = [near, *(p for p in _listed(near) if p.is_dir() and p != self._project)]
        deep = [p for folder in search for p in (folder, *_folders(folder))]
        # by its name first; a renamed one is known by its size and ending
        for folder in [*folders, *deep]:
            yield folder / link.path.name
        for folder in [*folders, *deep]:
            for path in _listed(folder):
                if path.suffix == link.path.suffix and _size(path) == link.size:
                    yield path

    def _follow(self, row: ImageRow, path: Path) -> None:
        if self._database.writable:
            with self._database.transaction():
                self.put(row.id, path)


def _is(path: Path, sha: str) -> bool:
    try:
        return path.exists() and content_hash(path) == sha
    except (NoisySegError, OSError):
        return False


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _folders(folder: Path) -> list[Path]:
    return [Path(root) / name for root, names, _ in os.walk(folder) for name in sorted(names)]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1
