"""Label images: TIFF with one number per nucleus."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_noisyseg.errors import JobError
from napari_noisyseg.exchange.marks import Command, command_of, mark
from napari_noisyseg.regular_file import advice
from napari_noisyseg.slides import Box, read_labels

__all__ = ["TILE", "label_type", "read_labels", "write_labels", "write_tiles", "writer_of"]

TILE = 1024
MANY_BYTES = 3 * 2**30


def write_labels(
    path: Path, labels: NDArray[Any], mpp: float | None = None, by: Command = "export"
) -> None:
    """Write labels (H, W) as a TIFF of 16 bits, or 32 where needed; whole or not at all.

    `mpp` (µm per pixel) becomes the file's resolution. Raises `JobError` when it cannot be written.
    """
    kind = label_type(int(labels.max(initial=0)))
    with written_whole(path) as partial:
        tifffile.imwrite(partial, labels.astype(kind), **_options(mpp, by))


def write_tiles(
    path: Path,
    shape: tuple[int, int],
    tiles: Iterator[NDArray[Any]],
    largest: int,
    mpp: float,
    by: Command = "export",
) -> None:
    """Write labels that do not fit into memory: the `tile_boxes`, each padded to a `TILE`."""
    kind = label_type(largest)
    tifffile.imwrite(
        path,
        (tile.astype(kind) for tile in tiles),
        shape=shape,
        dtype=kind,
        tile=(TILE, TILE),
        bigtiff=shape[0] * shape[1] * kind.itemsize > MANY_BYTES,
        **_options(mpp, by),
    )


def writer_of(path: Path) -> Command | None:
    """The command that wrote a label TIFF; None for a file of somebody else."""
    try:
        with tifffile.TiffFile(path, _multifile=False) as file:
            return command_of(str(file.pages.first.software).encode())
    # it cannot be read, so it is not ours
    except Exception:
        return None


def label_type(largest: int) -> np.dtype[Any]:
    """The smaller of uint16 and uint32 that holds this number."""
    return np.dtype(np.uint16 if largest <= np.iinfo(np.uint16).max else np.uint32)


def tile_boxes(shape: tuple[int, int]) -> list[Box]:
    """The tiles of an image, row by row, cut to it."""
    height, width = shape
    return [
        Box(y, x, min(y + TILE, height), min(x + TILE, width))
        for y in range(0, height, TILE)
        for x in range(0, width, TILE)
    ]


def _options(mpp: float | None, by: Command) -> dict[str, Any]:
    options: dict[str, Any] = {
        "compression": "zlib",
        "software": mark(by),
        "photometric": "minisblack",
        "metadata": None,
    }
    if mpp:
        options |= {"resolution": (10_000 / mpp, 10_000 / mpp), "resolutionunit": "CENTIMETER"}
    return options


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A partial file beside `path` that takes its place at the end, or leaves nothing behind."""
    partial: Path | None = None
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=".partial")
        os.close(handle)
        partial = Path(name)
        yield partial
        # only its owner may read a temporary file; an export gets the rights that new files have
        partial.chmod(0o666 & ~_umask())
        partial.replace(path)
    except OSError as error:
        raise JobError(f"cannot write {path}: {advice(error)}") from error
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
