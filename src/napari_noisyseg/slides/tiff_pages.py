"""The pages of a TIFF file, counted before any reader walks along them."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import tifffile

from napari_noisyseg import regular_file
from napari_noisyseg.errors import NoisySegError

MOST = 4096
"""Pages in one file; slides have some twenty."""
_CLASSIC, _BIG = 42, 43


def open_pages(path: Path) -> Any:
    """The file, opened by tifffile; that alone is read, whatever other files its text names.

    Raises NoisySegError where its pages go round in a circle or are too many, and what tifffile
    raises where it is no TIFF.
    """
    check_pages(path)
    return tifffile.TiffFile(path, _multifile=False)


def check_pages(path: Path) -> None:
    """NoisySegError where following the file's pages would not end, or not soon."""
    with regular_file.opened(path) as file:
        seen: set[int] = set()
        offset = _first(file)
        while offset:
            if offset in seen:
                raise NoisySegError(
                    f"{path} is damaged: its pages form a circle; copy it again or save only the "
                    "image"
                )
            seen.add(offset)
            if len(seen) > MOST:
                raise NoisySegError(
                    f"{path} holds more than {MOST:,} pages, and one image is needed: save only "
                    "the one you mean"
                )
            offset = _following(file, offset)


def check_whole(path: Path) -> None:
    """NoisySegError where a scanner's TIFF names pages or pixels that lie behind its end.

    Only places are looked at: no picture of it, label and macro among them, is read.
    """
    size = path.stat().st_size
    try:
        with open_pages(path) as file:
            # Hamamatsu writes its places in a way of its own, which tifffile knows
            ends = [0 if file.is_ndpi else _last_page(path)]
            for page in file.pages:
                whole = np.add(page.dataoffsets, page.databytecounts, dtype=np.int64)
                ends.append(int(whole.max(initial=0)))
    # what tifffile cannot read the slide's own reader may
    except Exception:
        return
    if max(ends) > size:
        raise NoisySegError(
            f"{path} is incomplete: it should go on to byte {max(ends):,} but has {size:,}; copy "
            "it again"
        )


def _last_page(path: Path) -> int:
    """Where the last page is described that the file names, there or not."""
    with regular_file.opened(path) as file:
        offset = last = _first(file, named=True)
        while 0 < offset < os.fstat(file.fileno()).st_size:
            last, offset = offset, _following(file, offset, named=True)
    return max(offset, last)


def _order_and_kind(file: BinaryIO) -> tuple[str, int]:
    file.seek(0)
    start = file.read(4)
    order = "<" if start[:2] == b"II" else ">"
    return order, struct.unpack(f"{order}H", start[2:4])[0] if len(start) == 4 else 0


def _first(file: BinaryIO, named: bool = False) -> int:
    """Where the first page is described; 0 where this is no TIFF, as its reader will say.

    named: also where that lies behind the end.
    """
    order, kind = _order_and_kind(file)
    if kind not in (_CLASSIC, _BIG):
        return 0
    file.seek(4 if kind == _CLASSIC else 8)
    return _number(file, order, kind, named)


def _following(file: BinaryIO, offset: int, named: bool = False) -> int:
    """Where the page after the one at `offset` is described; 0 after the last."""
    order, kind = _order_and_kind(file)
    count, entry = ("H", 12) if kind == _CLASSIC else ("Q", 20)
    file.seek(offset)
    head = file.read(struct.calcsize(count))
    if len(head) < struct.calcsize(count):
        return 0
    tags = struct.unpack(order + count, head)[0]
    # what has so many tags is no page: the reader stops there
    if tags > MOST:
        return 0
    file.seek(tags * entry, 1)
    return _number(file, order, kind, named)


def _number(file: BinaryIO, order: str, kind: int, named: bool) -> int:
    how = "I" if kind == _CLASSIC else "Q"
    raw = file.read(struct.calcsize(how))
    number: int = struct.unpack(order + how, raw)[0] if len(raw) == struct.calcsize(how) else 0
    # what lies behind the end is no page
    return number if named or number < os.fstat(file.fileno()).st_size else 0
