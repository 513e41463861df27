"""Small files that unpack to more than the memory, or say that they do."""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numcodecs
import tifffile

from ...store import Project
from .corpus import SIDE, Sample, changed_run, tissue, write_zarr

HUGE = 13_377
"""Rows and columns of the largest image of 8-bit colours that is opened at once."""
GIANT = 2**31
"""Bytes; no more, as not every disk keeps holes as holes."""
BOMB = 72
"""Pieces of 64 MiB."""
PIECE = 2**26


def make_giant(path: Path) -> None:
    """A file that is all hole: a copy of one would fill the disk."""
    with path.open("ab") as file:
        file.truncate(GIANT)


def _zeros(pieces: int, start: bytes, format: int) -> bytes:
    """A deflated stream of `start` and so many pieces of zeros, made without deflating them all."""
    packer = zlib.compressobj(9, zlib.DEFLATED, format)
    first = packer.compress(start) + packer.flush(zlib.Z_FULL_FLUSH)
    piece = packer.compress(bytes(PIECE)) + packer.flush(zlib.Z_FULL_FLUSH)
    return first + piece * pieces + packer.flush()


def arrays_that_fill_the_memory(folder: Path) -> Sample:
    """Results of 4 MB that unpack to 4.5 GB."""
    side = BOMB * PIECE // (4 * SIDE)
    header = f"{{'descr': '<i4', 'fortran_order': False, 'shape': ({SIDE}, {side}), }}".encode()
    start = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header) + 1) + header + b"\n"
    packed, size = _zeros(BOMB, start, -15), len(start) + BOMB * PIECE
    name = b"labels.npy"
    common = struct.pack("<HHHIIII", 8, 0, 0, 0, len(packed), 0xFFFFFFFF, len(name))
    more = struct.pack("<HHQ", 1, 8, size)
    local = b"PK\3\4" + struct.pack("<HH", 45, 0) + common[:-4] + struct.pack("<HH", len(name), 20)
    local = local + name + struct.pack("<HHQQ", 1, 16, size, len(packed))
    central = (
        b"PK\1\2" + struct.pack("<HHH", 45, 45, 0) + common[:-4]
        + struct.pack("<HHHHHII", len(name), len(more), 0, 0, 0, 0, 0) + name + more
    )  # fmt: skip
    body = local + packed
    end = b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), len(body), 0)

    def change(run: Path) -> None:
        (run / "results" / "0.npz").write_bytes(body + central + end)
        index = run / "results" / "index.json"
        document = json.loads(index.read_text())
        document["regions"][0]["box"] = [0, 0, SIDE, side]
        index.write_text(json.dumps(document))

    return changed_run(folder, change)


def _packed_zeros(packing: str) -> bytes:
    """4.5 GB, as Zarr would find them in a chunk."""
    if packing == "gzip":
        return _zeros(BOMB, b"", 31)
    # each frame says how much it holds; only together they are too much
    return bytes(numcodecs.Zstd(level=3).encode(bytes(PIECE))) * BOMB


def _bomb_of_zarr(folder: Path, version: int, packing: str) -> Sample:
    """The first chunk of an OME-Zarr image unpacks to more than the memory."""
    path = write_zarr(folder / "a.ome.zarr", tissue()[0], version)
    first = "0/0.0.0" if version == 2 else "0/c/0/0/0"
    (path / first).write_bytes(_packed_zeros(packing))
    about = path / "0" / (".zarray" if version == 2 else "zarr.json")
    document = json.loads(about.read_text())
    if version == 2:
        document["compressor"] = {"id": packing, "level": 3}
    else:
        options = {"level": 3} | ({"checksum": False} if packing == "zstd" else {})
        document["codecs"] = [{"name": "bytes"}, {"name": packing, "configuration": options}]
    about.write_text(json.dumps(document))
    return Sample("image", path)


def chunk_of_a_project_that_fills_the_memory(folder: Path) -> Sample:
    """Many frames that hold little each, in the labels of a run."""
    rgb, ids = tissue()
    path = folder / "a.noisyseg"
    with Project.create(path) as project:
        project.add_array(rgb, "tissue", 0.25)
        project.labels.write("tissue", "refined", ids)
    chunk = path / "images" / "tissue" / "labels" / "refined" / "0" / "c" / "0" / "0"
    frame = bytes(numcodecs.Zstd(level=3).encode(bytes(2**20)))
    chunk.write_bytes(frame * (BOMB * PIECE // 2**20))
    return Sample("adopting", path)


def arrays_that_only_claim_to_be_large(folder: Path) -> Sample:
    """A header that tells of 2⁴⁰ numbers."""

    def change(run: Path) -> None:
        header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1099511627776,), }\n"
        start = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
        with zipfile.ZipFile(run / "snapshot" / "0.npz", "a") as archive:
            kept = [n for n in archive.namelist() if n != "rgb.npy"]
            contents = {n: archive.read(n) for n in kept}
        with zipfile.ZipFile(run / "snapshot" / "0.npz", "w") as archive:
            for name, content in {**contents, "rgb.npy": start}.items():
                archive.writestr(name, content)

    return changed_run(folder, change)


def _png(path: Path, bits: int, kind: int, row: int) -> Path:
    """A blank PNG of HUGE x HUGE pixels, `row` bytes each line."""
    raw = HUGE * (row + 1)
    pieces, rest = divmod(raw, PIECE)
    packed = _zeros(pieces, bytes(rest), 15)

    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", HUGE, HUGE, bits, kind, 0, 0, 0))
    # the check sum of n zeros
    packed = packed[:-4] + struct.pack(">I", raw % 65521 << 16 | 1)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", packed) + chunk(b"IEND", b""))
    return path


def huge_png_of_one_bit(folder: Path) -> Sample:
    """20 KB on the disk."""
    return Sample("image", _png(folder / "a.png", 1, 0, -(-HUGE // 8)))


def huge_png_of_colours_of_16_bits(folder: Path) -> Sample:
    """1.4 GB in memory."""
    return Sample("image", _png(folder / "a.png", 16, 6, 8 * HUGE))


def huge_label_png_of_one_bit(folder: Path) -> Sample:
    """A mask of 20 KB."""
    return Sample("labels", _png(folder / "a.png", 1, 0, -(-HUGE // 8)))


def huge_tiff_of_one_bit(folder: Path) -> Sample:
    """One strip."""
    raw = zlib.compress(bytes(HUGE * -(-HUGE // 8)), 9)
    tifffile.imwrite(
        folder / "a.tif", iter([raw]), shape=(HUGE, HUGE), dtype=bool, compression="zlib",
        rowsperstrip=HUGE, photometric="minisblack",
    )  # fmt: skip
    return Sample("image", folder / "a.tif")


def giant_that_is_all_hole(folder: Path) -> Sample:
    """2 GB without a block on the disk."""
    with (folder / "a.geojson").open("wb") as file:
        file.truncate(GIANT)
    return Sample("masks", folder / "a.geojson")


BOMBS: Mapping[str, Callable[[Path], Sample]] = {
    **{
        bomb.__name__: bomb
        for bomb in (
            arrays_that_fill_the_memory,
            chunk_of_a_project_that_fills_the_memory,
            arrays_that_only_claim_to_be_large,
            huge_png_of_one_bit,
            huge_png_of_colours_of_16_bits,
            huge_label_png_of_one_bit,
            huge_tiff_of_one_bit,
            giant_that_is_all_hole,
        )
    },
    **{
        f"{packing} bomb in Zarr {version}": partial(
            _bomb_of_zarr, version=version, packing=packing
        )
        for version, packing in ((2, "zstd"), (2, "gzip"), (3, "zstd"), (3, "gzip"))
    },
}
"""Each makes its file in an empty folder."""
