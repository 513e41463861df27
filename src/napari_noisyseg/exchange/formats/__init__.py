"""Every file format that is written or read: one module each, and this table of them.

The command line, the window's dialogs and what is dropped on it all read this table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from napari_noisyseg import regular_file
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.exchange.formats import (
    asap,
    cellpose,
    coco,
    csv_table,
    dicom,
    dicom_seg,
    geojson,
    histomics,
    hovernet,
    imagescope,
    labels,
    ome_zarr,
    roi,
)
from napari_noisyseg.exchange.formats.format import Format
from napari_noisyseg.slides import name_of
from napari_noisyseg.store.images import composed

__all__ = [
    "FORMATS", "Format", "by_ending", "composed", "endings", "named", "of_file", "read", "stem_of",
    "written",
]  # fmt: skip

FORMATS: Mapping[str, Format] = {
    f.name: f
    for f in (
        geojson.FORMAT,
        labels.FORMAT,
        csv_table.FORMAT,
        coco.FORMAT,
        # before the other XML, as its files have elements named like those
        asap.FORMAT,
        imagescope.FORMAT,
        hovernet.FORMAT,
        histomics.FORMAT,
        roi.FORMAT,
        ome_zarr.FORMAT,
        cellpose.FORMAT,
        dicom.FORMAT,
        dicom_seg.FORMAT,
    )
}
"""By the name that the command line uses, in the order of menus."""
Kind = Literal["points", "masks"]
LOOKED_AT = 2**16
"""Bytes at each end of a file by which formats with the same ending are told apart."""


def written() -> dict[str, Format]:
    """The formats that can be written here."""
    return {name: f for name, f in FORMATS.items() if f.installed}


def read(kind: Kind) -> list[Format]:
    """The formats that points, or masks, are read from."""
    every = FORMATS.values()
    return [f for f in every if (f.reads_points if kind == "points" else f.reads_masks)]


def endings(kind: Kind) -> tuple[str, ...]:
    """The endings of files that points, or masks, are read from."""
    return tuple(dict.fromkeys(ending for f in read(kind) for ending in f.all_endings))


def named(name: str) -> Format:
    """The format of this name. Raises `NoisySegError`."""
    if name not in FORMATS:
        raise NoisySegError(f"there is no format {name!r}: choose one of {', '.join(FORMATS)}")
    return FORMATS[name]


def by_ending(file: str, endings_of: Callable[[Format], tuple[str, ...]]) -> list[Format]:
    """The formats whose ending a file's name has; the longest counts (`.seg.dcm`, not `.dcm`)."""
    ended = file.lower()
    length = {
        f.name: max((len(e) for e in endings_of(f) if ended.endswith(e)), default=0)
        for f in FORMATS.values()
    }
    # `.seg.dcm` also ends in `.dcm`: the longer ending is the one that was meant
    longest = max(length.values())
    return [FORMATS[name] for name, found in length.items() if found == longest > 0]


def of_file(path: Path, name: str | None = None) -> Format:
    """The format of a file to read: the one of this name, else what the file seems to be.

    Raises `NoisySegError` where the file's ending is of no format, or of another than `name`.
    """
    fitting = by_ending(path.name, lambda f: f.all_endings)
    if name is not None:
        chosen = named(name)
        if chosen not in fitting:
            raise NoisySegError(
                f"{path}: --format {name} means files that end in "
                f"{', '.join(chosen.all_endings)}; leave --format out to go by the ending",
                window=f"{path}: files of {chosen.title} end in {', '.join(chosen.all_endings)}",
            )
        return chosen
    if not fitting:
        every = dict.fromkeys((*endings("points"), *endings("masks")))
        raise NoisySegError(f"{path}: files that can be read end in {', '.join(every)}")
    return fitting[0] if len(fitting) == 1 else _by_marks(path, fitting)


def _by_marks(path: Path, fitting: list[Format]) -> Format:
    size = regular_file.check(path).st_size
    with regular_file.opened(path) as file:
        seen = file.read(LOOKED_AT)
        file.seek(max(0, size - LOOKED_AT))
        seen += file.read(LOOKED_AT)
    if not seen.strip():
        raise NoisySegError(f"{path} is empty")
    by_marks = [
        *(f for f in fitting if any(mark in seen for mark in f.marks)),
        *(f for f in fitting if any(mark in seen for mark in f.weak_marks)),
    ]
    found = next(iter(by_marks), None)
    if found is None:
        titles = " nor ".join(f.title for f in fitting)
        raise NoisySegError(
            f"{path} is neither {titles}: is it damaged, or of another program? "
            "(noisyseg import --format NAME says which it is)"
        )
    return found


def stem_of(path: Path) -> str:
    """The name of a file without the ending of its format: that of its image."""
    ended, plain = path.name.lower(), name_of(path)
    found = [e for f in FORMATS.values() for e in f.all_endings if ended.endswith(e)]
    # a label image, too, may end in .ome.tif
    return min(plain, path.name[: -len(max(found, key=len))], key=len) if found else plain
