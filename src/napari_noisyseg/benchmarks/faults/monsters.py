"""Files that once hung the program, filled the memory or broke it: each is tried in every campaign.

Each monster is a function that makes it in an empty folder; its name says what it is.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import tifffile

from ...store import Project
from .bombs import BOMBS, GIANT, make_giant
from .corpus import Sample, changed_run, tissue, write_zarr
from .runs import write_model, write_run

MANY = 100_000

_MONSTERS: dict[str, Callable[[Path], Sample]] = {**BOMBS}


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


@_monster
def pipe_for_a_runs_events(folder: Path) -> Sample:
    """A pipe for what a run said."""
    return changed_run(folder, lambda run: _pipe(run / "events.jsonl"))


@_monster
def pipe_for_a_runs_results(folder: Path) -> Sample:
    """A pipe for its arrays."""
    return changed_run(folder, lambda run: _pipe(run / "results" / "0.npz"))


@_monster
def pipe_for_a_runs_process(folder: Path) -> Sample:
    """A pipe for who works on it."""
    return changed_run(folder, lambda run: _pipe(run / "worker.json"))


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


@_monster
def identical_outlines(folder: Path) -> Sample:
    """A hundred thousand times the same square."""
    ring = [[10.0, 10.0], [20.0, 10.0], [20.0, 20.0], [10.0, 20.0], [10.0, 10.0]]
    feature = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}}
    one = json.dumps(feature)
    (folder / "a.geojson").write_text("[" + ",".join([one] * MANY) + "]")
    return Sample("masks", folder / "a.geojson")


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

    return changed_run(folder, change)


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
