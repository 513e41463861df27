"""A slide of any size from a few fields of real tissue: every tile lies on the disk once."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .tissue import fields

TILE, SIDE = 256, 1024
"""px of a tile, and of a field with some of itself mirrored at its end"""
MPP = 0.25
STEPS = (1, 4, 16, 64)
"""level-0 pixels per pixel of each level"""
STEMS = (
    "TCGA-HE-7130-01Z-00-DX1",
    "TCGA-KB-A93J-01A-01-TS1",
    "TCGA-49-4488-01Z-00-DX1",
    "TCGA-18-5592-01Z-00-DX1",
)
"""fields of MoNuSeg that take turns"""
SHORT, LONG, RATIONAL, LONG8 = 3, 4, 5, 16
"""types of a TIFF's values"""
_FORMS = {SHORT: "H", LONG: "I", LONG8: "Q"}


def write(data: Path, path: Path, height: int, width: int) -> None:
    """A pyramidal tiled BigTIFF of JPEG tiles, 0.25 µm per pixel, in a few megabytes."""
    field = {f.stem: f for f in fields(data, "monuseg")}
    shown = [_mirrored(field[stem].rgb()) for stem in STEMS]
    with path.open("wb") as file:
        file.write(struct.pack("<2sHHHQ", b"II", 43, 8, 0, 0))
        link = 8
        for step in STEPS:
            rows, columns = -(-height // step), -(-width // step)
            if step > 1 and max(rows, columns) < TILE:
                break
            places = [_put(file, tile) for tile in _tiles(shown, step)]
            link = _write_level(file, link, rows, columns, step, places)


def _mirrored(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = rgb.shape[:2]
    return np.pad(rgb, ((0, SIDE - height), (0, SIDE - width), (0, 0)), mode="symmetric")


def _tiles(shown: Sequence[NDArray[np.uint8]], step: int) -> list[NDArray[np.uint8]]:
    """The tiles of a level that differ, row by row of the square after which they come again."""
    count = len(shown)
    square = np.concatenate(
        [np.concatenate([shown[(r + c) % count] for c in range(count)], 1) for r in range(count)]
    )
    if step > 1:
        side = len(square) // step
        small = Image.fromarray(square).resize((side, side), Image.Resampling.BOX)
        times = -(-TILE // side)
        square = np.tile(np.asarray(small), (times, times, 1))
    across = len(square) // TILE
    return [
        square[r * TILE : (r + 1) * TILE, c * TILE : (c + 1) * TILE]
        for r in range(across)
        for c in range(across)
    ]


def _put(file: BinaryIO, tile: NDArray[np.uint8]) -> tuple[int, int]:
    """Where a tile's bytes lie, and how many."""
    packed = io.BytesIO()
    Image.fromarray(tile).save(packed, "JPEG", quality=85, subsampling=0)
    offset = file.seek(0, io.SEEK_END)
    return offset, file.write(packed.getvalue())


def _write_level(
    file: BinaryIO, link: int, height: int, width: int, step: int, places: list[tuple[int, int]]
) -> int:
    """A level whose tiles take turns; `link`: where its own offset belongs. Gives the next one."""
    period = round(len(places) ** 0.5)
    rows, columns = np.mgrid[: -(-height // TILE), : -(-width // TILE)]
    chosen = (rows % period * period + columns % period).ravel()
    offsets, counts = (np.array([p[n] for p in places])[chosen] for n in (0, 1))
    density = (round(10_000 / (MPP * step) * 1000), 1000)
    entries = [
        (254, LONG, [int(step > 1)]), (256, LONG, [width]), (257, LONG, [height]),
        (258, SHORT, [8, 8, 8]), (259, SHORT, [7]), (262, SHORT, [6]), (277, SHORT, [3]),
        (282, RATIONAL, density), (283, RATIONAL, density), (284, SHORT, [1]),
        (296, SHORT, [3]), (322, LONG, [TILE]), (323, LONG, [TILE]),
        (324, LONG8, offsets), (325, LONG, counts), (530, SHORT, [1, 1]),
    ]  # fmt: skip
    records = [_record(file, *entry) for entry in entries]
    at = file.seek(0, io.SEEK_END)
    file.write(struct.pack("<Q", len(records)) + b"".join(records))
    following = file.tell()
    file.write(struct.pack("<Q", 0))
    file.seek(link)
    file.write(struct.pack("<Q", at))
    return following


def _record(
    file: BinaryIO, tag: int, kind: int, values: Sequence[int] | NDArray[np.int64]
) -> bytes:
    """An entry of a level's directory; values that do not fit into it are put before."""
    if kind == RATIONAL:
        raw, count = struct.pack("<2I", *values), 1
    else:
        raw = np.asarray(values).astype(f"<{_FORMS[kind]}").tobytes()
        count = len(values)
    if len(raw) > 8:
        at = file.seek(0, io.SEEK_END)
        file.write(raw)
        raw = struct.pack("<Q", at)
    return struct.pack("<HHQ", tag, kind, count) + raw.ljust(8, b"\0")
