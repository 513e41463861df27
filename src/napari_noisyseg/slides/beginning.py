"""A file's first bytes, which say what it is."""

from __future__ import annotations

from pathlib import Path

from napari_noisyseg import regular_file
from napari_noisyseg.errors import NoisySegError

TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def file_start(path: Path) -> bytes:
    """The file's first bytes; refuses what is not there, not a file, or empty."""
    with regular_file.opened(path) as file:
        try:
            start = file.read(8)
        except OSError as error:
            raise regular_file.unreadable(path, error) from error
    if not start:
        raise NoisySegError(f"{path} is empty (0 bytes): copy it again")
    return start
