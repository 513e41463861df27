"""Label images and maps beside each image: OME-Zarr 0.5, each saying where it came from."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg import bounded_json
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box
from napari_noisyseg.store import pyramid
from napari_noisyseg.store.arrays import open_array, open_group, write_group
from napari_noisyseg.store.images import ImageRow, Images

VERSION = "annotation_version"
"""Where labels that were derived say of which annotation."""
_KIND = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}")


class Labels:
    """PROJECT/images/<key>/labels/<kind> for integers, .../maps/<kind> for floats.

    OME-Zarr allows only integers as labels; probability and the like are images of their own.
    Every array covers the whole image and has as many levels as it. Writing replaces a kind as a
    whole or in a box; on error what was there stays.
    """

    def __init__(self, images: Images) -> None:
        self._images = images

    def write(
        self, image: str, kind: str, array: NDArray[Any], source: Mapping[str, Any] | None = None
    ) -> None:
        """Replace `kind` by an array (H, W): bool, integer (to 32 bits) or float.

        `source` (JSON) says where it came from. Errors: `NoisySegError` for another shape, a full
        disk, a project that is open for reading.
        """
        row = self._writable(image)
        if array.shape != (row.height, row.width):
            raise NoisySegError(
                f"{kind} of {image} is {array.shape[:2]} (height, width) pixels, "
                f"but the image is {(row.height, row.width)}"
            )
        labels = _storable(array, kind)
        place = self._place(row, kind, labels.dtype)
        with pyramid.told(f"cannot write {kind} of {image}"), pyramid.replacing(place) as draft:
            self._create(row, kind, draft, labels.dtype, source or {})
            box = Box(0, 0, row.height, row.width)
            pyramid.write_labels(draft, row.geometry, box, labels)
            # what takes the place of something good must be there, whatever happens
            pyramid.sync_tree(draft)
        other = self._other(place)
        if other.exists():
            pyramid.remove(self._images.own(other))
        self._list(row)

    def write_box(
        self,
        image: str,
        kind: str,
        box: Box,
        array: NDArray[Any],
        source: Mapping[str, Any] | None = None,
    ) -> None:
        """Replace the pixels of a box, in every level; the kind is created (all 0) if need be.

        `source` replaces what was known of where it came from; None leaves that.
        """
        row = self._writable(image)
        if array.shape != (box.height, box.width) or box.clip((row.height, row.width)) != box:
            raise NoisySegError(
                f"{kind} of {image}: pixels {array.shape[:2]} do not fit the box {tuple(box)} in "
                f"an image of {(row.height, row.width)} pixels"
            )
        labels = _storable(array, kind)
        place = self._place(row, kind, labels.dtype)
        with pyramid.told(f"cannot write {kind} of {image}"):
            if not (place / "zarr.json").is_file():
                with pyramid.replacing(place) as draft:
                    self._create(row, kind, draft, labels.dtype, {})
                    pyramid.sync_tree(draft)
                self._list(row)
            pyramid.write_labels(place, row.geometry, box, self._like_stored(place, kind, labels))
            # last: whoever is killed in between leaves pixels that are newer than they say
            if source is not None:
                self._set_source(place, source)

    def read(
        self, image: str, kind: str, box: Box | None = None, level: int = 0
    ) -> NDArray[Any] | None:
        """The array (h, w) of a kind, or None when there is none.

        `box` is in pixels of `level`, cut to the image. Errors: `NoisySegError` for damaged files.
        """
        place = self._find(image, kind)
        if place is None:
            return None
        with pyramid.told(f"cannot read {kind} of {image} ({place})"):
            array = self._level(image, place, level)
            part = box.clip(array.shape).slices if box is not None else (slice(None), slice(None))
            return np.asarray(array[part])

    def levels(self, image: str, kind: str) -> list[Any]:
        """The lazily read levels (zarr arrays), finest first; empty when there is no such kind."""
        place = self._find(image, kind)
        if place is None:
            return []
        count = len(self._images.row(image).factors)
        with pyramid.told(f"cannot read {kind} of {image} ({place})"):
            return [self._level(image, place, level) for level in range(count)]

    def kinds(self, image: str) -> list[str]:
        """What there is, sorted by name."""
        folder = self._images.folder(self._images.row(image))
        found = [*(folder / "labels").glob("*/zarr.json"), *(folder / "maps").glob("*/zarr.json")]
        return sorted({p.parent.name for p in found if not p.parent.name.startswith(".")})

    def source(self, image: str, kind: str) -> dict[str, Any]:
        """Where a kind came from, as it was given; empty when unknown."""
        place = self._find(image, kind)
        if place is None:
            return {}
        with pyramid.told(f"cannot read {kind} of {image} ({place})"):
            attributes = open_group(place).attrs.asdict()
            found: Any = attributes.get("noisyseg", {})
            return dict(found.get("source", {}))

    def remove(self, image: str, kind: str) -> None:
        """Delete a kind; nothing happens when there is none."""
        row, place = self._writable(image), self._find(image, kind)
        if place is not None:
            with pyramid.told(f"cannot remove {kind} of {image}"):
                pyramid.remove(self._images.own(place))
            self._list(row)

    def fit(self, image: str) -> dict[str, Any] | None:
        """The fit that derived labels of this image rest on, or None before the first."""
        text = self._images.database.value(
            "SELECT value FROM fit WHERE image = ?", (self._images.row(image).id,)
        )
        what = f"the fit of {image}"
        return None if text is None else bounded_json.record(bounded_json.parse(text, what), what)

    def set_fit(self, image: str, fit: Mapping[str, Any]) -> None:
        """Keep a fit (JSON) with the image."""
        row = self._writable(image)
        with self._images.database.transaction():
            self._images.database.run(
                "INSERT OR REPLACE INTO fit VALUES (?, ?)", (row.id, json.dumps(dict(fit)))
            )

    def sync(self, image: str, kind: str, box: Box) -> None:
        """Wait until the pixels of a box have reached the disk."""
        place = self._find(image, kind)
        if place is not None:
            with pyramid.told(f"cannot write {kind} of {image}"):
                pyramid.sync_box(place, self._images.row(image).geometry, box)

    def doubt(self, image: str) -> None:
        """Mark derived labels as out of date: a power cut may have damaged them."""
        for kind in self.kinds(image):
            with contextlib.suppress(NoisySegError):
                source = self.source(image, kind)
                place = self._find(image, kind)
                if place is not None and VERSION in source:
                    self._set_source(self._images.own(place), {**source, VERSION: -1})

    def restate(self, image: str) -> None:
        """Write the image's present µm per pixel and name into the metadata of every kind."""
        row = self._images.row(image)
        for kind in self.kinds(image):
            place = self._find(image, kind)
            if place is not None:
                with pyramid.told(f"cannot write {kind} of {image}"):
                    ome = self._ome(row, kind, place.parent.name == "labels")
                    write_group(self._images.own(place), {"ome": ome})

    def _writable(self, image: str) -> ImageRow:
        self._images.database.refuse_reader()
        return self._images.row(image)

    def _place(self, row: ImageRow, kind: str, dtype: np.dtype[Any]) -> Path:
        if not _KIND.fullmatch(kind):
            raise NoisySegError(f"{kind!r} is not a name for a label: use letters, digits, - and _")
        parent = "maps" if np.issubdtype(dtype, np.floating) else "labels"
        return self._images.own(self._images.folder(row) / parent / kind)

    def _level(self, image: str, place: Path, level: int) -> Any:
        array = open_array(place, level, "r")
        if array.shape != self._images.row(image).geometry.shape(level):
            raise ValueError(f"level {level} has shape {array.shape}")
        return array

    def _other(self, place: Path) -> Path:
        """Where a kind would lie if it were of the other sort (integers or floats)."""
        other = {"labels": "maps", "maps": "labels"}[place.parent.name]
        return place.parent.with_name(other) / place.name

    def _find(self, image: str, kind: str) -> Path | None:
        folder = self._images.folder(self._images.row(image))
        places = [folder / parent / kind for parent in ("labels", "maps")]
        if not _KIND.fullmatch(kind):
            return None
        return next((p for p in places if (p / "zarr.json").is_file()), None)

    def _create(
        self,
        row: ImageRow,
        kind: str,
        folder: Path,
        dtype: np.dtype[Any],
        source: Mapping[str, Any],
    ) -> None:
        integers = not np.issubdtype(dtype, np.floating)
        attributes = {
            "ome": self._ome(row, kind, integers),
            "noisyseg": {"source": dict(source)},
        }
        pyramid.create(folder, row.geometry, dtype, attributes)

    def _ome(self, row: ImageRow, kind: str, integers: bool) -> dict[str, Any]:
        ome = pyramid.multiscales(kind, row.geometry, channels=False)
        if integers:
            # the pixels of a linked slide lie elsewhere: then there is no image to point to
            where = {} if row.linked else {"source": {"image": "../../"}}
            ome["image-label"] = {"version": "0.5", **where}
        return ome

    def _like_stored(self, place: Path, kind: str, labels: NDArray[Any]) -> NDArray[Any]:
        stored = open_array(place, 0, "r").dtype
        if labels.dtype == stored:
            return labels
        same = labels.astype(stored)
        if not np.issubdtype(stored, np.floating) and not np.array_equal(same, labels):
            raise NoisySegError(f"{kind} holds {stored} and cannot take values as large as these")
        return same

    def _set_source(self, place: Path, source: Mapping[str, Any]) -> None:
        write_group(self._images.own(place), {"noisyseg": {"source": dict(source)}})

    def _list(self, row: ImageRow) -> None:
        folder = self._images.folder(row) / "labels"
        with pyramid.told(f"cannot list the labels of {row.name}"):
            names = sorted(
                p.parent.name
                for p in folder.glob("*/zarr.json")
                if not p.parent.name.startswith(".")
            )
            if names:
                ome = {"version": "0.5", "labels": names}
                write_group(self._images.own(folder), {"ome": ome})


def _storable(array: NDArray[Any], kind: str) -> NDArray[Any]:
    """The array in a type that readers know, unchanged in value."""
    if array.dtype == np.bool_:
        return array.astype(np.uint8)
    if np.issubdtype(array.dtype, np.floating):
        return array.astype(np.float32) if array.dtype.itemsize > 4 else array
    if not np.issubdtype(array.dtype, np.integer):
        raise NoisySegError(f"{kind}: pixels of type {array.dtype} cannot be kept")
    if array.dtype.itemsize <= 2 or array.dtype == np.int32:
        return array
    if array.size and (array.max() > np.iinfo(np.int32).max or array.min() < -(2**31)):
        raise NoisySegError(f"{kind}: label values beyond 32 bits cannot be kept")
    return array.astype(np.int32)
