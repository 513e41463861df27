"""A folder of Zarr that came from others: only regular files of plausible size are opened."""

from __future__ import annotations

from typing import Any

from zarr.storage import LocalStore

from napari_noisyseg import regular_file
from napari_noisyseg.errors import NoisySegError

METADATA = ("zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata")
METADATA_BYTES = 64 * 2**20
CHUNK_BYTES = 2**30
"""Of a file of pixels; those that hold many chunks are read in parts."""


class RegularStore(LocalStore):
    """Reads as `LocalStore` does; NoisySegError where a file is a pipe, a device or a giant."""

    async def get(self, key: str, prototype: Any = None, byte_range: Any = None) -> Any:
        """The bytes of a file, or None."""
        self._refuse(key, byte_range is None)
        return await super().get(key, prototype, byte_range)

    def get_sync(self, key: str, **options: Any) -> Any:
        """The bytes of a file, or None, for versions of zarr that ask without waiting."""
        self._refuse(key, options.get("byte_range") is None)
        return super().get_sync(key, **options)

    async def get_partial_values(self, prototype: Any, key_ranges: Any) -> Any:
        """Parts of files."""
        asked = list(key_ranges)
        for key, byte_range in asked:
            self._refuse(key, byte_range is None)
        return await super().get_partial_values(prototype, asked)

    def _refuse(self, key: str, whole: bool) -> None:
        path = self.root / key
        if not path.exists() or path.is_dir():
            return
        size = regular_file.check(path).st_size
        largest = METADATA_BYTES if path.name in METADATA else CHUNK_BYTES
        if whole and size > largest:
            raise NoisySegError(f"{path} has {size:,} bytes, more than expected: copy it again")
