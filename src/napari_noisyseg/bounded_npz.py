"""Arrays of .npz files, read only once it is known how much memory they take."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

from numpy.lib import format as npy
from numpy.typing import NDArray

from napari_noisyseg import regular_file
from napari_noisyseg.errors import NoisySegError

LIMIT = 2**30
"""Bytes of all arrays of a file together, unless more is known of it."""
MOST = 256
"""Arrays in one file."""


def read(
    path: Path, limit: int = LIMIT, names: Collection[str] | None = None
) -> dict[str, NDArray[Any]]:
    """The arrays of a file by name: all of them, or `names`. Nothing is unpickled.

    limit: bytes of all together. Raises NoisySegError where the file is damaged, lacks one of
    `names`, holds other than numbers, or unpacks to more than `limit`.
    """
    with regular_file.opened(path) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                return _arrays(archive, limit, names)
        # archives and headers can be broken in ways without number
        except Exception as error:
            raise NoisySegError(f"{path} cannot be read ({_words(error)})") from error


def names(path: Path) -> set[str]:
    """Names of a file's arrays. Raises NoisySegError where it is damaged."""
    with regular_file.opened(path) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                return {name.removesuffix(".npy") for name in archive.namelist()}
        # archives and headers can be broken in ways without number
        except Exception as error:
            raise NoisySegError(f"{path} cannot be read ({_words(error)})") from error


def _words(error: BaseException) -> str:
    return f"it has no {error}" if isinstance(error, KeyError) else str(error) or "damaged"


def _arrays(
    archive: zipfile.ZipFile, limit: int, names: Collection[str] | None
) -> dict[str, NDArray[Any]]:
    held = {m.filename.removesuffix(".npy"): m for m in archive.infolist()}
    wanted = {name: held[name] for name in (held if names is None else names)}
    size = sum(member.file_size for member in wanted.values())
    if size > limit or len(wanted) > MOST:
        raise ValueError(f"{len(wanted)} arrays of {size:,} bytes are more than expected")
    return {name: _array(archive, member) for name, member in wanted.items()}


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    with archive.open(member) as file:
        # numpy makes room for what the header says before it sees how little follows
        _check_header(file, member.file_size)
    with archive.open(member) as file:
        array: NDArray[Any] = npy.read_array(file, allow_pickle=False)
        return array


def _check_header(file: Any, size: int) -> None:
    version = npy.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"an array of version {version}")
    reader = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, kind = reader(file)
    if kind.kind not in "biuf":
        raise ValueError(f"an array of {kind}, not of numbers")
    if min(shape, default=1) < 0 or math.prod(shape) * kind.itemsize > size:
        raise ValueError(f"an array of {shape} in {size:,} bytes")
