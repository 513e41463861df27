"""Masks painted by people: strokes in the database are the truth, Zarr holds a cache of them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box
from napari_noisyseg.store.history import History
from napari_noisyseg.store.images import ImageRow, Images
from napari_noisyseg.store.labels import Labels
from napari_noisyseg.store.packing import pack_labels, unpack_labels
from napari_noisyseg.store.records import Aspect

PENDING = 64
"""After so many strokes the cache is brought up to date."""
TILE = 2048
"""Larger strokes (imports) are cut into tiles of this side."""

_STEPS = """
SELECT s.y0, s.x0, s.y1, s.x1, CASE WHEN j.direction > 0 THEN s.after ELSE s.before END
FROM journal j JOIN stroke s ON s.action = j.action
WHERE j.version > ? AND s.image = ? AND s.plane = ?
    AND s.y0 < ? AND s.y1 > ? AND s.x0 < ? AND s.x1 > ?
ORDER BY j.version, CASE WHEN j.direction > 0 THEN s.id ELSE -s.id END
"""

Labels32 = NDArray[np.int32]


class Painting:
    """Paints, and reads what is painted, of any plane of any image.

    What a pixel is follows from the strokes alone: the cache is that of a certain version, and the
    steps (strokes done, undone, redone) since then are played on top of what it says. A crash
    between the two therefore loses nothing.
    """

    def __init__(self, images: Images, labels: Labels, history: History) -> None:
        self._images = images
        self._labels = labels
        self._history = history
        self._database = images.database
        self._trusted: set[tuple[int, str]] = set()
        self._highest: dict[tuple[int, str], int] = {}

    def paint(self, image: str, box: Box, before: Labels32, after: Labels32, plane: str) -> None:
        """One stroke, one action: the int32 pixels of `box` as they were and as they are now."""
        row = self._images.row(image)
        _check(row, box, before, after)
        box, before, after = _trim(box, before, after)
        if box.empty:
            return
        with self._history.action(f"paint {plane}", row.id, Aspect.ROUGH) as action:
            for tile in _tiles(box):
                part = tile.within(box)
                if not np.array_equal(before[part], after[part]):
                    self._keep(action.id, row, plane, tile, (before[part], after[part]))
        if (row.id, plane) in self._highest:
            self._note_highest(row, plane, after)
        # not inside an action: were it rolled back, the cache would hold strokes that never were
        if not self._history.acting and self._pending(row, plane) >= PENDING:
            # the stroke is safe; where its cache finds no room now, it does so later
            with contextlib.suppress(NoisySegError):
                self.flush(image)

    def painted(self, image: str, plane: str, box: Box | None = None) -> Labels32:
        """The int32 pixels (h, w) of a box cut to the image, 0 where nothing was painted."""
        row = self._images.row(image)
        whole = Box(0, 0, row.height, row.width)
        return self._replayed(row, plane, (box or whole).clip((row.height, row.width)))

    def highest(self, image: str, plane: str) -> int:
        """The largest number that any stroke of an image ever painted, 0 where there is none.

        Read from all strokes once, and kept from then on.
        """
        row = self._images.row(image)
        if (row.id, plane) not in self._highest:
            found = self._database.rows(
                "SELECT y0, x0, y1, x1, after FROM stroke WHERE image = ? AND plane = ?",
                (row.id, plane),
            )
            self._highest[row.id, plane] = 0
            for *corners, blob in found:
                self._note_highest(row, plane, unpack_labels(blob, Box(*corners)))
        return self._highest[row.id, plane]

    def _note_highest(self, row: ImageRow, plane: str, painted: Labels32) -> None:
        before = self._highest[row.id, plane]
        self._highest[row.id, plane] = max(before, int(painted.max(initial=0)))

    def planes(self, image: str) -> list[str]:
        """Names of the planes that hold strokes."""
        found = self._database.rows(
            "SELECT DISTINCT plane FROM stroke WHERE image = ?", (self._images.row(image).id,)
        )
        return sorted(str(r[0]) for r in found)

    def flush(self, image: str) -> None:
        """Bring the cache in Zarr up to date with the strokes."""
        for plane in self.planes(image):
            self._flush_plane(self._images.row(image), plane)

    def rebuild(self, image: str) -> None:
        """Make the cache again from the strokes alone."""
        row = self._images.row(image)
        for plane in self.planes(image):
            self._forget(row, plane)
            self._flush_plane(row, plane)

    def _keep(
        self, action: int, row: ImageRow, plane: str, box: Box, pixels: tuple[Labels32, Labels32]
    ) -> None:
        blobs = [pack_labels(p) for p in pixels]
        self._database.run(
            "INSERT INTO stroke (action, image, plane, y0, x0, y1, x1, before, after) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (action, row.id, plane, *box, *blobs),
        )

    def _upto(self, row: ImageRow, plane: str) -> int:
        """The version that the cache has reached, 0 when it is no use."""
        found = self._database.value(
            "SELECT upto FROM plane WHERE image = ? AND plane = ?", (row.id, plane)
        )
        return int(found) if found and self._same_past(row, plane) else 0

    def _same_past(self, row: ImageRow, plane: str) -> bool:
        """Whether the cache grew from these very strokes: an older project.sqlite may have been
        put back beside it.
        """
        if (row.id, plane) not in self._trusted:
            try:
                source = self._labels.source(row.name, plane)
            except NoisySegError:
                return False
            upto = source.get("upto")
            # a stranger's word on it may be of any type
            stamp = self._stamp(upto) if type(upto) is int and 0 <= upto < 2**63 else None
            if stamp is None or stamp != source.get("time"):
                return False
            self._trusted.add((row.id, plane))
        return True

    def _stamp(self, version: int) -> float | None:
        found = self._database.value("SELECT time FROM journal WHERE version = ?", (version,))
        return None if found is None else float(found)

    def _pending(self, row: ImageRow, plane: str) -> int:
        return int(
            self._database.value(
                "SELECT count(*) FROM journal j JOIN stroke s ON s.action = j.action "
                "WHERE j.version > ? AND s.image = ? AND s.plane = ?",
                (self._upto(row, plane), row.id, plane),
            )
        )

    def _replayed(self, row: ImageRow, plane: str, box: Box) -> Labels32:
        # in this order: chunks newer than `upto` do no harm, as later steps are played anyway
        upto = self._upto(row, plane)
        pixels: Labels32 | None = None
        if upto:
            try:
                pixels = self._labels.read(row.name, plane, box)
            except NoisySegError:
                # the cache is damaged; the strokes are not
                pixels = None
        if pixels is None or pixels.shape != box.shape:
            upto, pixels = 0, np.zeros(box.shape, np.int32)
        pixels = pixels.astype(np.int32)
        for part, stroke in self._steps(row, plane, upto, box):
            _put(pixels, box, part, stroke)
        return pixels

    def _steps(
        self, row: ImageRow, plane: str, since: int, box: Box
    ) -> Iterator[tuple[Box, Labels32]]:
        found = self._database.rows(_STEPS, (since, row.id, plane, box.y1, box.y0, box.x1, box.x0))
        for *corners, blob in found:
            part = Box(*corners)
            # a project may come from a stranger: no box beyond its image
            if part.clip((row.height, row.width)) != part or part.empty:
                raise NoisySegError(f"the project is damaged: a stroke lies outside {row.name}")
            yield part, unpack_labels(blob, part)

    def _flush_plane(self, row: ImageRow, plane: str) -> None:
        upto = self._upto(row, plane)
        found = self._database.rows(
            "SELECT DISTINCT s.y0, s.x0, s.y1, s.x1 FROM journal j "
            "JOIN stroke s ON s.action = j.action "
            "WHERE j.version > ? AND s.image = ? AND s.plane = ?",
            (upto, row.id, plane),
        )
        if not found:
            return
        boxes = [Box(*corners) for corners in found]
        try:
            self._write_cache(row, plane, boxes, fresh=not upto)
        except NoisySegError:
            if not upto:
                raise
            # a damaged chunk cannot be changed in part: make the whole cache again
            self._forget(row, plane)
            self._flush_plane(row, plane)

    def _write_cache(self, row: ImageRow, plane: str, boxes: list[Box], fresh: bool) -> None:
        if fresh:
            self._forget(row, plane)
        version = self._history.version(None, Aspect.NOTHING)
        source = {"from": "people", "upto": version, "time": self._stamp(version)}
        for part in _merged(boxes):
            pixels = self._replayed(row, plane, part)
            self._labels.write_box(row.name, plane, part, pixels, source)
            self._labels.sync(row.name, plane, part)
        with self._database.transaction():
            self._database.run(
                "INSERT OR REPLACE INTO plane VALUES (?, ?, ?)", (row.id, plane, version)
            )

    def _forget(self, row: ImageRow, plane: str) -> None:
        with self._database.transaction():
            self._database.run("DELETE FROM plane WHERE image = ? AND plane = ?", (row.id, plane))
        self._trusted.discard((row.id, plane))
        self._labels.remove(row.name, plane)


def _check(row: ImageRow, box: Box, before: Labels32, after: Labels32) -> None:
    fits = before.shape == after.shape == box.shape
    if box.clip((row.height, row.width)) != box or not fits:
        raise NoisySegError(
            f"a stroke of {after.shape} pixels does not fit the box {tuple(box)} in {row.name} "
            f"({row.height} x {row.width} pixels): paint inside the image"
        )


def _trim(box: Box, before: Labels32, after: Labels32) -> tuple[Box, Labels32, Labels32]:
    """The part in which the two differ."""
    smaller = Box.of_mask(before != after, box.origin)
    part = smaller.within(box)
    return smaller, before[part], after[part]


def _tiles(box: Box) -> list[Box]:
    return [
        Box(y, x, min(y + TILE, box.y1), min(x + TILE, box.x1))
        for y in range(box.y0, box.y1, TILE)
        for x in range(box.x0, box.x1, TILE)
    ]


def _put(pixels: Labels32, box: Box, part: Box, values: Labels32) -> None:
    """Write the pixels of `part` into those of `box`, as far as they meet."""
    both = box.intersect(part)
    pixels[both.within(box)] = values[both.within(part)]


def _merged(boxes: list[Box]) -> list[Box]:
    """One box around all where that is not much more to write, else each of them."""
    around = Box.around(boxes)
    if around.height * around.width <= TILE * TILE:
        return [around]
    return sorted(set(boxes))
