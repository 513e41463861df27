"""A file's first bytes, which say what it is."""

from __future__ import annotations

from pathlib import Path

from napari_noisyseg.errors import NoisySegError

TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def file_start(path: Path) -> bytes:
    """The file's first bytes; refuses what is not there, not a file, or empty."""
    if not path.exists():
        raise NoisySegError(f"there is no file {path}: check its name and folder")
    if not path.is_file():
        raise NoisySegError(f"{path} is not a regular file: give an image")
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise NoisySegError(f"cannot read {path}: {error.strerror or error}") from error
    if not start:
        raise NoisySegError(f"{path} is empty (0 bytes): copy it anew")
    return start
