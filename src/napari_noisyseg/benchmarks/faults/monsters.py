"""Files that once hung the program, filled the memory or broke it: each is tried in every campaign.

Each monster is a function that makes it in an empty folder; its name says what it is.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numcodecs
import numpy as np
import tifffile

from ...store import Project
from .corpus import SIDE, Sample, tissue, write_zarr
from .runs import write_model, write_run

HUGE = 13_377
"""Rows and columns of the largest image of 8-bit colours that is opened at once."""
MANY = 100_000
GIANT = 2**31
"""Bytes; no more, as not every disk keeps holes as holes."""
BOMB = 72
"""Pieces of 64 MiB."""
PIECE = 2**26

_MONSTERS: dict[str, Callable[[Path], Sample]] = {}


def build(folder: Path) -> list[Sample]:
    """All of them, each in a folder of its own."""
    return [make(folder / name, name) for name in names()]


def names() -> list[str]:
    """What there is; what needs pipes and devices only where the system has them."""
    return [name for name in _MONSTERS if os.name == "posix" or not name.startswith("pipe")]


def make(folder: Path, name: str) -> Sample:
    """One of them, in a new folder."""
    folder.mkdir(parents=True)
    return _MONSTERS[name](folder)


def copy(path: Path, target: Path) -> Path:
    """A copy of a file, of a link or of a pipe; nothing is read of the latter two."""
    if path.is_symlink():
        target.symlink_to(path.readlink())
    elif stat.S_ISFIFO(path.lstat().st_mode):
        os.mkfifo(target)
    elif path.stat().st_size >= GIANT:
        make_giant(target)
    else:
        shutil.copyfile(path, target)
    return target


def make_giant(path: Path) -> None:
    """A file that is all hole: a copy of one would fill the disk."""
    with path.open("ab") as file:
        file.truncate(GIANT)


def _monster(function: Callable[[Path], Sample]) -> Callable[[Path], Sample]:
    _MONSTERS[function.__name__] = function
    return function


def _pipe(path: Path) -> Path:
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    return path


def _register_pipes() -> None:
    """A pipe, and a link to a device, in place of every kind of file."""
    kinds = {
        "image": ("a.png", "a.tif", "a.svs", "a.dcm"),
        "labels": ("ids.tif", "ids.png"),
        "points": ("a.csv", "a.geojson"),
        "masks": ("a.geojson",),
        "settings": ("a.json",),
        "model": ("a.safetensors",),
        "weights": ("a.safetensors",),
    }
    for reader, files in kinds.items():
        for name in files:
            _MONSTERS[f"pipe for {reader} {name}"] = partial(_in_place, reader, name, _pipe)
            _MONSTERS[f"pipe device for {reader} {name}"] = partial(
                _in_place, reader, name, _device
            )


def _in_place(reader: str, name: str, make: Callable[[Path], Path], folder: Path) -> Sample:
    return Sample(reader, make(folder / name))


def _device(path: Path) -> Path:
    path.symlink_to("/dev/zero")
    return path


_register_pipes()


@_monster
def pipe_in_an_ome_zarr(folder: Path) -> Sample:
    """A pipe for a chunk."""
    path = write_zarr(folder / "a.ome.zarr", tissue()[0], 3)
    _pipe(next(p for p in (path / "0" / "c").rglob("*") if p.is_file()))
    return Sample("image", path)


@_monster
def pipe_for_the_words_of_an_ome_zarr(folder: Path) -> Sample:
    """A pipe for its metadata."""
    path = write_zarr(folder / "a.ome.zarr", tissue()[0], 2)
    _pipe(path / ".zattrs")
    return Sample("image", path)


@_monster
def pipe_in_a_slide_of_many_files(folder: Path) -> Sample:
    """A pipe for a MIRAX slide's index."""
    (folder / "a").mkdir()
    (folder / "a.mrxs").write_bytes(b"\xff\xd8\xff\xe0")
    _pipe(folder / "a" / "Slidedat.ini")
    return Sample("image", folder / "a.mrxs")


@_monster
def pipe_beside_a_dicom_slide(folder: Path) -> Sample:
    """OpenSlide looks into every file beside one."""
    (folder / "a.dcm").write_bytes(b"\0" * 128 + b"DICM")
    _pipe(folder / "b.dcm")
    return Sample("image", folder / "a.dcm")


def _run(folder: Path, change: Callable[[Path], object]) -> Sample:
    rgb, ids = tissue()
    change(write_run(folder / "run", "tissue", rgb, ids))
    return Sample("run", folder / "run")


@_monster
def pipe_for_a_runs_events(folder: Path) -> Sample:
    """A pipe for what a run said."""
    return _run(folder, lambda run: _pipe(run / "events.jsonl"))


@_monster
def pipe_for_a_runs_results(folder: Path) -> Sample:
    """A pipe for its arrays."""
    return _run(folder, lambda run: _pipe(run / "results" / "0.npz"))


@_monster
def pipe_for_a_runs_process(folder: Path) -> Sample:
    """A pipe for who works on it."""
    return _run(folder, lambda run: _pipe(run / "worker.json"))


@_monster
def pipe_where_a_slide_was(folder: Path) -> Sample:
    """A pipe in place of a linked slide."""
    slide = folder / "in" / "slide.tif"
    slide.parent.mkdir()
    rgb = np.tile(tissue()[0], (6, 6, 1))
    with tifffile.TiffWriter(slide) as writer:
        for step in (1, 2):
            writer.write(rgb[::step, ::step], tile=(64, 64), photometric="rgb", metadata=None)
    with Project.create(slide.parent / "a.noisyseg") as project:
        project.add_image(slide)
    _pipe(slide)
    return Sample("linked", slide.parent)


# --- hangs and memory ----------------------------------------------------------------------------


@_monster
def pages_in_a_circle(folder: Path) -> Sample:
    """A TIFF of 24 KB whose last page points to an earlier one."""
    path = folder / "circle.tif"
    with tifffile.TiffWriter(path) as writer:
        for _ in range(120):
            writer.write(np.zeros((4, 4), np.uint8), metadata=None, contiguous=False)
    data = bytearray(path.read_bytes())
    pages = [struct.unpack_from("<I", data, 4)[0]]
    while pages[-1]:
        end = pages[-1] + 2 + 12 * struct.unpack_from("<H", data, pages[-1])[0]
        pages.append(struct.unpack_from("<I", data, end)[0])
    struct.pack_into("<I", data, end, pages[60])
    path.write_bytes(data)
    return Sample("image", path)


@_monster
def label_pages_in_a_circle(folder: Path) -> Sample:
    """The same as a label image."""
    return Sample("labels", pages_in_a_circle(folder).path)


@_monster
def large_label_value(folder: Path) -> Sample:
    """Results of a run that number a nucleus 2 · 10⁸."""
    rgb, ids = tissue()
    path = folder / "a.noisyseg"
    with Project.create(path) as project:
        project.add_array(rgb, "tissue", 0.25)
        write_run(project.runs.new().dir, "tissue", rgb, np.where(ids == ids.max(), 2 * 10**8, ids))
    return Sample("adopting", path)


@_monster
def large_label_value_in_an_image(folder: Path) -> Sample:
    """An id of 2 · 10⁹."""
    ids = tissue()[1]
    tifffile.imwrite(folder / "ids.tif", np.where(ids == ids.max(), 2 * 10**9, ids))
    return Sample("labels", folder / "ids.tif")


def _zeros(pieces: int, start: bytes, format: int) -> bytes:
    """A deflated stream of `start` and so many pieces of zeros, made without deflating them all."""
    packer = zlib.compressobj(9, zlib.DEFLATED, format)
    first = packer.compress(start) + packer.flush(zlib.Z_FULL_FLUSH)
    piece = packer.compress(bytes(PIECE)) + packer.flush(zlib.Z_FULL_FLUSH)
    return first + piece * pieces + packer.flush()


@_monster
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

    return _run(folder, change)


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


for _version, _packing in ((2, "zstd"), (2, "gzip"), (3, "zstd"), (3, "gzip")):
    _MONSTERS[f"{_packing} bomb in Zarr {_version}"] = partial(
        _bomb_of_zarr, version=_version, packing=_packing
    )


@_monster
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


@_monster
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

    return _run(folder, change)


@_monster
def identical_outlines(folder: Path) -> Sample:
    """A hundred thousand times the same square."""
    ring = [[10.0, 10.0], [20.0, 10.0], [20.0, 20.0], [10.0, 20.0], [10.0, 10.0]]
    feature = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}}
    one = json.dumps(feature)
    (folder / "a.geojson").write_text("[" + ",".join([one] * MANY) + "]")
    return Sample("masks", folder / "a.geojson")


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


@_monster
def huge_png_of_one_bit(folder: Path) -> Sample:
    """20 KB on the disk."""
    return Sample("image", _png(folder / "a.png", 1, 0, -(-HUGE // 8)))


@_monster
def huge_png_of_colours_of_16_bits(folder: Path) -> Sample:
    """1.4 GB in memory."""
    return Sample("image", _png(folder / "a.png", 16, 6, 8 * HUGE))


@_monster
def huge_label_png_of_one_bit(folder: Path) -> Sample:
    """A mask of 20 KB."""
    return Sample("labels", _png(folder / "a.png", 1, 0, -(-HUGE // 8)))


@_monster
def huge_tiff_of_one_bit(folder: Path) -> Sample:
    """One strip."""
    raw = zlib.compress(bytes(HUGE * -(-HUGE // 8)), 9)
    tifffile.imwrite(
        folder / "a.tif", iter([raw]), shape=(HUGE, HUGE), dtype=bool, compression="zlib",
        rowsperstrip=HUGE, photometric="minisblack",
    )  # fmt: skip
    return Sample("image", folder / "a.tif")


@_monster
def json_as_no_program_writes_it(folder: Path) -> Sample:
    """Depth, digits, halves of characters and other types, in all that a run says."""

    def change(run: Path) -> None:
        (run / "events.jsonl").write_text(
            "\n".join(
                (
                    "[" * 100_000,
                    '{"event": "Finished", "stopped": [], "seconds": 1e999, "figures": []}',
                    '{"event": "Stepped", "epoch": ' + "9" * 400 + "}",
                    '{"event": "Failed", "message": "\\ud800"}',
                    '{"event": "Finished", "stopped": "x", "seconds": "y", "figures": {"a": null}}',
                    '{"event": []}',
                    "",
                )
            )
        )
        (run / "worker.json").write_text('{"pid": ' + "9" * 400 + ', "started": [], "host": 3}')

    return _run(folder, change)


@_monster
def model_that_learned_no_numbers(folder: Path) -> Sample:
    """NaN among the weights."""
    path = write_model(folder / "a.safetensors")
    data = bytearray(path.read_bytes())
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    first = next(v["data_offsets"][0] for v in header.values() if v.get("dtype") == "F32")
    data[start + first : start + first + 4] = struct.pack("<f", float("nan"))
    path.write_bytes(data)
    return Sample("model", path)


@_monster
def giant_that_is_all_hole(folder: Path) -> Sample:
    """2 GB without a block on the disk."""
    with (folder / "a.geojson").open("wb") as file:
        file.truncate(GIANT)
    return Sample("masks", folder / "a.geojson")
