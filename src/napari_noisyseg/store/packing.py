"""Pixels as bytes in the database: small, exact, and never larger than what was promised."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box

_PLAIN, _DEFLATED = b"p", b"z"
_WORTH_DEFLATING = 256
_LARGEST = 2**29


def pack(data: bytes, level: int = 1) -> bytes:
    """The bytes, deflated where that pays."""
    if len(data) < _WORTH_DEFLATING:
        return _PLAIN + data
    small = zlib.compress(data, level)
    return _DEFLATED + small if len(small) < len(data) else _PLAIN + data


def unpack(blob: bytes, size: int) -> bytes:
    """Undo of `pack`, `size` bytes exactly: a stranger's project cannot make us inflate more."""
    kind, body = blob[:1], blob[1:]
    if not 0 <= size <= _LARGEST:
        data, complete = b"", False
    elif kind == _DEFLATED:
        try:
            inflate = zlib.decompressobj()
            data = inflate.decompress(body, size)
            # what is left may be no more than the end marker: one byte more would show
            complete = not inflate.decompress(inflate.unconsumed_tail, 1) and inflate.eof
        except zlib.error:
            data, complete = b"", False
    else:
        data, complete = body, kind == _PLAIN
    if not complete or len(data) != size:
        raise NoisySegError(
            "pixels kept in project.sqlite are damaged: restore an earlier copy from the "
            "project's folder `backups`"
        )
    return data


def pack_mask(mask: NDArray[np.bool_]) -> bytes:
    """A bool mask, one bit a pixel."""
    return pack(np.packbits(np.ascontiguousarray(mask, bool), axis=None).tobytes())


def unpack_mask(blob: bytes, box: Box) -> NDArray[np.bool_]:
    """Bool (box.height, box.width)."""
    count = box.height * box.width
    bits = np.frombuffer(unpack(blob, (count + 7) // 8), np.uint8)
    return np.unpackbits(bits, count=count).view(np.bool_).reshape(box.shape)


def pack_labels(labels: NDArray[np.int32]) -> bytes:
    """An int32 label image, little-endian."""
    return pack(np.ascontiguousarray(labels, "<i4").tobytes())


def unpack_labels(blob: bytes, box: Box) -> NDArray[np.int32]:
    """Int32 (box.height, box.width), read-only."""
    data = unpack(blob, 4 * box.height * box.width)
    return np.frombuffer(data, "<i4").astype(np.int32, copy=False).reshape(box.shape)
