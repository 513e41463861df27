"""Tiles of one slide put together: each done once, in any order, and killed at any moment.

What a tile found is a file of its own; that it is there says that the tile is done. A pixel that
two tiles want is the nucleus's of the tile that comes first in the plan, and a nucleus of which
another tile has more than half is that tile's alone. This depends on the two tiles and not on which
was done first, so that the label image is the same in whatever order the tiles came.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg import bounded_json
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box
from napari_noisyseg.slides.coarser import halvings
from napari_noisyseg.store import pyramid
from napari_noisyseg.store.arrays import open_array
from napari_noisyseg.store.durable import make_folder, write_atomically
from napari_noisyseg.store.packing import pack_mask
from napari_noisyseg.whole.plan import Plan, Tile
from napari_noisyseg.whole.tile import TileNuclei

PLAN, TILES, LAID = "plan.json", "tiles", "laid.txt"
_MARK = re.compile(r"=\d{1,9}=")
DOUBLE = 0.5
"""Share of a nucleus that another tile has, from which on it is the same nucleus."""
HELD = 16
"""Tiles that are kept in memory beside those that are worked on."""


class Settled(NamedTuple):
    """A tile's nuclei once its neighbours had their say. ids (n,): their values as labels."""

    ids: NDArray[np.int64]
    nuclei: TileNuclei


class Tiles:
    """One slide's tiles in `folder`, each what it found, once.

    wanted: tiles that are to be done at all, None for all with tissue. One process at a time
    writes. Raises NoisySegError where the folder holds another slide's, or another model's, tiles,
    and where the disk is full; what was done stays.
    """

    def __init__(self, folder: Path, plan: Plan, wanted: Collection[int] | None = None) -> None:
        self.folder, self.plan, self._wanted = folder, plan, wanted
        with pyramid.told(f"cannot write {folder}"):
            make_folder(folder / TILES)
            if (folder / PLAN).is_file():
                check_same(Plan.read(folder / PLAN), plan, folder)
            else:
                write_atomically(folder / PLAN, plan.text())
        self.done: set[int] = set()
        self.look()
        self._raw = lru_cache(HELD)(self._read)

    def look(self) -> None:
        """See which tiles are done by now."""
        self.done = {int(p.stem) for p in (self.folder / TILES).glob("*.npz") if p.stem.isdigit()}

    def missing(self, tiles: Iterable[Tile]) -> list[Tile]:
        """Those of the tiles that are not done."""
        return [tile for tile in tiles if tile.index not in self.done]

    def add(self, nuclei: TileNuclei) -> list[Tile]:
        """Keep what a tile found; gives back the tiles that are settled since."""
        index = nuclei.index
        if index not in self.done:
            with pyramid.told(f"cannot write {self.folder}"):
                nuclei.write(self._file(index))
            self.done.add(index)
        return [self.plan.tile(n) for n in self._due(index) if self.is_settled(n)]

    def lay(self) -> list[Tile]:
        """Nothing: the tiles alone are kept."""
        return []

    def is_settled(self, index: int) -> bool:
        """Whether a tile is done and all that have their say before it."""
        wanted = self._wanted
        return index in self.done and all(
            n in self.done or (wanted is not None and n not in wanted)
            for n in self.plan.before(index)
        )

    def settled(self, index: int) -> Settled:
        """A tile's nuclei, without pixels and nuclei that tiles before it have."""
        found = self._raw(index)
        rows: list[int] = []
        masks: list[bytes] = []
        before = [self._raw(n) for n in self.plan.before(index) if n in self.done]
        for k in range(len(found)):
            mask = self._left(found, k, before)
            if mask is not None:
                rows.append(k)
                masks.append(mask)
        kept = found.chosen(rows)
        kept.masks[:] = [new or old for old, new in zip(kept.masks, masks, strict=True)]
        first = index * self.plan.room + 1
        return Settled(np.array(rows, np.int64) + first, kept)

    def nuclei(self) -> Iterator[Settled]:
        """All that were found, tile by tile in the order of the plan."""
        for index in sorted(self.done):
            yield self.settled(index)

    def _left(self, found: TileNuclei, k: int, before: list[TileNuclei]) -> bytes | None:
        """What tiles before leave of a nucleus: b"" for all of it, None for none."""
        box, mask = found.box(k), None
        for other in before:
            for n in _meeting(other.boxes, box):
                if mask is None:
                    mask = found.mask(k)
                    whole = int(mask.sum())
                theirs = other.box(n)
                both = box.intersect(theirs)
                mask[both.within(box)] &= ~other.mask(n)[both.within(theirs)]
        if mask is None:
            return b""
        left = int(mask.sum())
        if left == whole:
            return b""
        return None if left < (1 - DOUBLE) * whole or not left else pack_mask(mask)

    def _due(self, index: int) -> list[int]:
        """The tile and those that come after it and touch it."""
        row, column = divmod(index, self.plan.grid[1])
        near = [(row, column), (row, column + 1)]
        near += [(row + 1, column + step) for step in (-1, 0, 1)]
        rows, columns = self.plan.grid
        return [
            r * columns + c
            for r, c in near
            if r < rows and 0 <= c < columns and r * columns + c in self.done
        ]

    def _read(self, index: int) -> TileNuclei:
        found = TileNuclei.read(self._file(index))
        core = self.plan.tile(index).core
        low, high = found.boxes[:, :2], found.boxes[:, 2:]
        inside = (low >= 0).all() and (high <= (self.plan.height, self.plan.width)).all()
        if found.index != index or not inside or len(found) > self.plan.room:
            raise NoisySegError(f"{self._file(index)} is not of the tile {tuple(core)}: delete it")
        return found

    def _file(self, index: int) -> Path:
        return self.folder / TILES / f"{index}.npz"


class Stitched(Tiles):
    """Tiles, and their label pyramid at `labels` (an OME-Zarr folder).

    Labels of another plan are begun again. Raises NoisySegError, too, for a folder that this
    program did not make.
    """

    def __init__(
        self,
        folder: Path,
        labels: Path,
        plan: Plan,
        name: str,
        wanted: Collection[int] | None = None,
    ) -> None:
        super().__init__(folder, plan, wanted)
        self.labels = labels
        self.geometry = pyramid.Geometry(
            plan.height, plan.width, plan.mpp, halvings(plan.height, plan.width)
        )
        self._laid = marked(folder / LAID) & self.done
        self._open_labels(name)

    def add(self, nuclei: TileNuclei) -> list[Tile]:
        """Keep what a tile found; gives back the tiles that are in the label image since."""
        return self._lay_those(tile.index for tile in super().add(nuclei))

    def lay(self) -> list[Tile]:
        """Bring the label image up to date with the tiles that are done."""
        return self._lay_those(n for n in sorted(self.done) if self.is_settled(n))

    def lay_all(self) -> None:
        """Bring what is done into the label image even beside tiles that are never to be done."""
        self._lay_those(sorted(self.done))

    def _lay_those(self, indices: Iterable[int]) -> list[Tile]:
        due = [n for n in indices if n not in self._laid]
        for index in due:
            self._lay(index)
        return [self.plan.tile(n) for n in due]

    def _lay(self, index: int) -> None:
        ids, nuclei = self.settled(index)
        with pyramid.told(f"cannot write {self.labels}"):
            if len(nuclei):
                box = Box.around([nuclei.box(k) for k in range(len(nuclei))])
                plane: Any = np.asarray(open_array(self.labels, 0, "r")[box.slices])
                for k, id in enumerate(ids.tolist()):
                    own = nuclei.box(k)
                    plane[own.within(box)][nuclei.mask(k)] = id
                pyramid.write_labels(self.labels, self.geometry, box, plane)
                pyramid.sync_box(self.labels, self.geometry, box)
            mark(self.folder / LAID, index)
        self._laid.add(index)

    def _open_labels(self, name: str) -> None:
        """Make the empty pyramid, or find the one of before."""
        if source_of(self.labels) == self._source():
            with pyramid.told(f"cannot read {self.labels}"):
                array = open_array(self.labels, 0, "r")
                if array.shape == (self.plan.height, self.plan.width) and array.dtype == np.int32:
                    return
        self._laid = set()
        with pyramid.told(f"cannot write {self.labels}"):
            (self.folder / LAID).unlink(missing_ok=True)
            with pyramid.replacing(self.labels) as draft:
                pyramid.create(draft, self.geometry, np.dtype(np.int32), self._attributes(name))
                pyramid.sync_tree(draft)

    def _attributes(self, name: str) -> dict[str, Any]:
        ome = pyramid.multiscales(name, self.geometry, channels=False)
        # the pixels lie elsewhere: there is no image to point to
        ome["image-label"] = {"version": "0.5"}
        return {"ome": ome, "noisyseg": {"source": self._source()}}

    def _source(self) -> dict[str, str]:
        """What the labels are made of, as they say themselves."""
        plan = hashlib.sha256(self.plan.text().encode()).hexdigest()
        return {"sha256": self.plan.sha, "model": self.plan.model, "plan": plan}


def source_of(labels: Path) -> dict[str, Any]:
    """What the label image of a slide was made of, {} where there is none.

    Raises NoisySegError where something else lies there, which must not be replaced.
    """
    if not labels.exists() or (labels.is_dir() and not any(labels.iterdir())):
        return {}
    try:
        attributes = bounded_json.read_record(labels / "zarr.json")["attributes"]
        made_of = attributes["noisyseg"]["source"]
        return {"model": made_of["model"], **made_of}
    except (NoisySegError, *bounded_json.WRONG) as error:
        raise NoisySegError(
            f"{labels} is there already, and was not made by an earlier prediction: name another "
            "folder, or move it away"
        ) from error


def discard(folder: Path, labels: Path) -> None:
    """Delete what was found on a slide, to begin again. Raises as `source_of` does."""
    source_of(labels)
    with pyramid.told(f"cannot delete {folder}"):
        # each vanishes at once: half of the tiles would pass for the next plan's
        for place in (folder, labels):
            if place.exists():
                pyramid.remove(place)


def mark(path: Path, index: int) -> None:
    """Note a tile in a file of such notes."""
    with path.open("a", encoding="ascii") as file:
        file.write(f"={index}=\n")


def marked(path: Path) -> set[int]:
    """The tiles that a file notes; a line that was cut short counts for nothing."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        lines = path.read_text("ascii").split("\n")
        return {int(line[1:-1]) for line in lines if _MARK.fullmatch(line)}
    return set()


def check_same(old: Plan, new: Plan, folder: Path) -> None:
    """NoisySegError where tiles of one plan cannot go on as those of the other."""
    if (old.sha, old.height, old.width) != (new.sha, new.height, new.width):
        raise NoisySegError(
            f"{folder} holds the tiles of another slide, which was replaced or has the same name: "
            "name another folder, or delete this one"
        )
    if old.model != new.model:
        raise NoisySegError(
            f"{folder} holds the results of another model, or of this one before it learned more: "
            "name another folder, or delete this one"
        )
    if old.icc != new.icc:
        raise NoisySegError(
            f"{folder} was begun {'with' if old.icc else 'without'} the slide's colour profile "
            "(--icc): give the same, name another folder, or delete this one"
        )
    if old.channel != new.channel:
        raise NoisySegError(
            f"{folder} was begun with another channel of fluorescence: give the same, name another "
            "folder, or delete this one"
        )
    if (old.side, old.mpp) != (new.side, new.mpp):
        raise NoisySegError(
            f"{folder} was begun with other tiles or another size of pixels "
            f"({old.mpp:g} µm): give the same, name another folder, or delete this one"
        )


def _meeting(boxes: NDArray[np.int32], box: Box) -> list[int]:
    """Which of the boxes (n, 4) meet one."""
    if not len(boxes):
        return []
    low = (boxes[:, :2] < (box.y1, box.x1)).all(axis=1)
    high = (boxes[:, 2:] > (box.y0, box.x0)).all(axis=1)
    return np.flatnonzero(low & high).tolist()
