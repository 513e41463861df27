"""A name for a file's content, by which a moved slide is found again."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import BinaryIO

from napari_noisyseg import regular_file
from napari_noisyseg.errors import NoisySegError

METADATA = frozenset({"zarr.json", ".zattrs", ".zarray", ".zgroup"})
LABELS = "labels"
"""the group of an OME-Zarr that holds labels, which come and go beside the same pixels"""
DROPPINGS = frozenset({"Thumbs.db", "desktop.ini"})
"""of file managers; what macOS leaves begins with a dot"""
WHOLE = 64 * 2**20
PIECE = 2**20


def content_hash(path: Path) -> str:
    """SHA-256 (hex) of a file; over 64 MiB of its size and its first, middle and last MiB.

    Of a folder (OME-Zarr): of the names and sizes of its files and of its metadata, but for labels
    and what file managers leave there. A MIRAX file is a mere picture beside its data, so the data
    folder's index is hashed with it.
    Raises `NoisySegError` when it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        if path.is_dir():
            _hash_folder(path, digest)
        else:
            _hash_file(path, digest)
            index = path.with_suffix("") / "Slidedat.ini"
            if path.suffix.lower() == ".mrxs" and regular_file.is_file(index):
                _hash_file(index, digest)
    except OSError as error:
        raise NoisySegError(f"cannot read {path}: {error.strerror or error}") from error
    return digest.hexdigest()


def _hash_file(path: Path, digest: hashlib._Hash) -> None:
    size = regular_file.check(path).st_size
    with regular_file.opened(path) as file:
        if size <= WHOLE:
            left = size
            # a file may grow while it is read
            while left > 0 and (block := file.read(min(PIECE, left))):
                digest.update(block)
                left -= len(block)
        else:
            digest.update(str(size).encode())
            _hash_pieces(file, size, digest)


def _hash_pieces(file: BinaryIO, size: int, digest: hashlib._Hash) -> None:
    for start in (0, (size - PIECE) // 2, size - PIECE):
        file.seek(start)
        digest.update(file.read(PIECE))


def _hash_folder(path: Path, digest: hashlib._Hash) -> None:
    for file in sorted(p for p in path.rglob("*") if p.is_file()):
        inside = file.relative_to(path)
        if LABELS in inside.parts or _is_dropping(file.name):
            continue
        name = inside.as_posix()
        digest.update(f"{name}\0{file.stat().st_size}\0".encode())
        if file.name in METADATA:
            _hash_file(file, digest)


def _is_dropping(name: str) -> bool:
    return name in DROPPINGS or (name.startswith(".") and name not in METADATA)
