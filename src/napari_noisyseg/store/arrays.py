"""A project's own arrays, opened only in the form in which this program writes them.

A project may come from a stranger, and Zarr can name codecs that run code, chunks that unpack to
any size, and files that are links to elsewhere.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import zarr
from zarr.storage import LocalStore

from napari_noisyseg import bounded_json
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides.bounded_zarr import bounded
from napari_noisyseg.store.durable import make_folder, write_atomically

CHUNK = 512
"""Side of a chunk in pixels."""
CODECS = ("bytes", "zstd")
"""What our chunks are packed with, in this order."""
DTYPES = tuple(np.dtype(n) for n in ["u1", "i1", "u2", "i2", "i4", "f2", "f4"])
CHUNK_BYTES = 3 * CHUNK * CHUNK * 4
"""Of the largest chunk, unpacked."""
FILE_BYTES = 2 * CHUNK_BYTES

Mode = Literal["r", "r+", "a"]


def open_array(place: Path, level: int, mode: Mode = "r+") -> Any:
    """Level `level` of the pyramid at `place`; `NoisySegError` where it is none of ours.

    A chunk that unpacks to more than it has pixels raises ValueError when it is read.
    """
    store = OwnStore(place, read_only=mode == "r")
    array = zarr.open_array(store, path=str(level), mode=mode, zarr_format=3)
    about: Any = array.metadata.to_dict()
    names = tuple(str(codec.get("name")) for codec in about["codecs"])
    sides = array.chunks[-2:]
    ours = (
        names == CODECS
        and not about.get("storage_transformers")
        and array.dtype in DTYPES
        and (array.ndim == 2 or (array.ndim == 3 and array.shape[0] == array.chunks[0] == 3))
        and max(sides) <= CHUNK
    )
    if not ours:
        raise NoisySegError(
            f"{place / str(level)} is not an array of this program (packed with "
            f"{', '.join(names)}) and is not opened: make it again (derive, train or predict)"
        )
    return bounded(array)


def open_group(place: Path, mode: Mode = "r") -> zarr.Group:
    """The group at `place`, Zarr v3 alone."""
    store = OwnStore(place, read_only=mode == "r")
    return zarr.open_group(store, mode=mode, zarr_format=3, use_consolidated=False)


def write_group(place: Path, attributes: Mapping[str, Any]) -> None:
    """Let a group have these attributes beside its others (None: not any more), on the disk.

    It is made where there is none, or a damaged one; where all is said already nothing is written.
    """
    file = place / "zarr.json"
    refuse_links(place, file)
    document: dict[str, Any] = {"zarr_format": 3, "node_type": "group"}
    before = {}
    if is_plain(file):
        with contextlib.suppress(NoisySegError):
            found = bounded_json.read_record(file)
            if found.get("node_type") == "group" and isinstance(found.get("attributes"), dict):
                before, document = dict(found["attributes"]), found
    after = {k: v for k, v in {**before, **attributes}.items() if v is not None}
    if after != before or not before:
        make_folder(place)
        write_atomically(file, json.dumps({**document, "attributes": after}, indent=1))


def refuse_links(top: Path, place: Path) -> None:
    """Raise `NoisySegError` where a name on the way from `top` (not itself) to `place` is a link.

    What is written, renamed or deleted through one would lie outside the project.
    """
    at = top
    for part in place.relative_to(top).parts:
        at = at / part
        if at.is_symlink() or _is_junction(at):
            raise NoisySegError(
                f"{at} is a link to elsewhere: nothing is written through links inside a project; "
                "put the folder itself there"
            )


def _is_junction(path: Path) -> bool:
    # Python 3.12 on; only Windows has them
    check = getattr(path, "is_junction", None)
    return bool(check and check())


class OwnStore(LocalStore):
    """Files of one pyramid: plain ones, none larger than ours, none behind a link on writing."""

    async def get(self, key: str, prototype: Any = None, byte_range: Any = None) -> Any:
        """As `LocalStore.get`, of a plain file of bounded size."""
        self._check(key)
        return await super().get(key, prototype, byte_range)

    def get_sync(self, key: str, **options: Any) -> Any:
        """As `get`, for versions of zarr that do not wait."""
        self._check(key)
        return super().get_sync(key, **options)

    async def get_partial_values(self, prototype: Any, key_ranges: Any) -> Any:
        """As `LocalStore.get_partial_values`, of plain files of bounded size."""
        asked = list(key_ranges)
        for key, _ in asked:
            self._check(key)
        return await super().get_partial_values(prototype, asked)

    async def set(self, key: str, value: Any) -> None:
        """As `LocalStore.set`, through no link."""
        refuse_links(self.root, self.root / key)
        await super().set(key, value)

    def set_sync(self, key: str, value: Any) -> None:
        """As `set`, for versions of zarr that do not wait."""
        refuse_links(self.root, self.root / key)
        super().set_sync(key, value)

    async def set_if_not_exists(self, key: str, value: Any) -> None:
        """As `LocalStore.set_if_not_exists`, through no link."""
        refuse_links(self.root, self.root / key)
        await super().set_if_not_exists(key, value)

    async def delete(self, key: str) -> None:
        """As `LocalStore.delete`, through no link."""
        refuse_links(self.root, self.root / key)
        await super().delete(key)

    def delete_sync(self, key: str) -> None:
        """As `delete`, for versions of zarr that do not wait."""
        refuse_links(self.root, self.root / key)
        super().delete_sync(key)

    async def delete_dir(self, prefix: str) -> None:
        """As `LocalStore.delete_dir`, through no link."""
        refuse_links(self.root, self.root / prefix)
        await super().delete_dir(prefix)

    def _check(self, key: str) -> None:
        path = self.root / key
        try:
            found = path.stat()
        except OSError:
            return
        if stat.S_ISDIR(found.st_mode):
            return
        if not stat.S_ISREG(found.st_mode) or found.st_size > FILE_BYTES:
            raise ValueError(f"{path.name} is not a plain file of a project")


def is_plain(path: Path) -> bool:
    """Whether a path is a file itself: no link, folder, device or pipe."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False
