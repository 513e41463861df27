"""Pixels as bytes in the database: small, exact, and never larger than what was promised."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box

_PLAIN, _DEFLATED = b"p", b"z"
_WORTH_DEFLATING = 256
_LARGEST = 2**29
_BITS = bytes(letter.bit_count() for letter in range(256))
"""How many bits of each byte are set."""


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
    return pack(np.packbits(np.asarray(mask, bool)).tobytes())


def unpack_mask(blob: bytes, box: Box) -> NDArray[np.bool_]:
    """Bool (box.height, box.width)."""
    count = box.height * box.width
    bits = np.frombuffer(unpack(blob, (count + 7) // 8), np.uint8)
    return np.unpackbits(bits, count=count).view(np.bool_).reshape(box.shape)


def count_mask(blob: bytes, box: Box) -> int:
    """How many pixels of such a mask are set."""
    count = box.height * box.width
    size = (count + 7) // 8
    # what fills the last byte is no pixel
    return (int.from_bytes(unpack(blob, size), "big") >> (8 * size - count)).bit_count()


def count_masks(
    blobs: Sequence[bytes], boxes: Sequence[Box] | NDArray[np.int64]
) -> NDArray[np.int64]:
    """The same of many masks, (n,), in boxes (n, 4) of y0, x0, y1, x1."""
    if not blobs:
        return np.zeros(0, np.int64)
    corners = np.asarray(boxes, np.int64)
    sides = np.maximum(corners[:, 2:] - corners[:, :2], 0)
    lengths = np.fromiter(map(len, blobs), np.int64, len(blobs))
    whole = lengths == (sides.prod(axis=1) + 7) // 8 + 1
    letters = b"".join(blobs)
    starts = np.cumsum(lengths) - lengths
    plain = np.zeros(len(blobs), bool)
    plain[whole] = np.frombuffer(letters, np.uint8)[starts[whole]] == _PLAIN[0]
    counts = np.zeros(len(blobs), np.int64)
    if plain.any():
        bits, some = np.frombuffer(letters.translate(_BITS), np.uint8), lengths > 0
        # without those of the letter that they begin with
        counts[some] = np.add.reduceat(bits, starts[some], dtype=np.int64) - _BITS[_PLAIN[0]]
    # deflated or damaged ones each by itself
    for k in np.flatnonzero(~plain).tolist():
        counts[k] = count_mask(blobs[k], Box(*corners[k].tolist()))
    return counts


def pack_labels(labels: NDArray[np.int32]) -> bytes:
    """An int32 label image, little-endian."""
    return pack(np.ascontiguousarray(labels, "<i4").tobytes())


def unpack_labels(blob: bytes, box: Box) -> NDArray[np.int32]:
    """Int32 (box.height, box.width), read-only."""
    data = unpack(blob, 4 * box.height * box.width)
    return np.frombuffer(data, "<i4").astype(np.int32, copy=False).reshape(box.shape)


MOST_COLUMNS = 2**16
"""of all masks of a stack: they are numbered in 16 bits, and a stack is small enough for caches"""
_STEP = 8
"""masks whose sides are alike to this many pixels share a stack"""


def unpack_stacks(
    blobs: Sequence[bytes], shapes: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
    """Many masks at once: which of them, and uint8 (k, h, w) of 0 and 1.

    `shapes` (n, 2) are the masks' heights and widths. Each mask lies in its stack one pixel from
    the top and the left, and has at least one empty pixel on every side. The stacks come in an
    order of their own.
    """
    order = np.lexsort((shapes[:, 1], shapes[:, 0]))
    rounded = -(-shapes[order] // _STEP) * _STEP
    # by the rounded shape first, so that a stack is one stretch of the order
    inner = np.lexsort((rounded[:, 1], rounded[:, 0]))
    order, rounded = order[inner], rounded[inner]
    for begin, end in _stretches(rounded):
        height, width = (rounded[begin] + 2).tolist()
        most = max(1, MOST_COLUMNS // width)
        for first in range(begin, end, most):
            chosen = order[first : min(first + most, end)]
            stack = np.zeros((len(chosen), height, width), np.uint8)
            _fill_stack(stack, [blobs[k] for k in chosen.tolist()], shapes[chosen])
            yield chosen, stack


def _fill_stack(
    stack: NDArray[np.uint8], blobs: Sequence[bytes], shapes: NDArray[np.int64]
) -> None:
    """Masks of one stack into their place; those of one shape are neighbours."""
    for begin, end in _stretches(shapes):
        height, width = shapes[begin].tolist()
        count = height * width
        size = (count + 7) // 8
        bodies = [
            b[1:] if len(b) == size + 1 and b[:1] == _PLAIN else unpack(b, size)
            for b in blobs[begin:end]
        ]
        bits = np.frombuffer(b"".join(bodies), np.uint8).reshape(end - begin, size)
        masks = np.unpackbits(bits, axis=1, count=count).reshape(-1, height, width)
        stack[begin:end, 1 : height + 1, 1 : width + 1] = masks


def _stretches(shapes: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Begin and end of every stretch of equal rows."""
    turns = np.flatnonzero((shapes[1:] != shapes[:-1]).any(axis=1)) + 1
    ends = [*turns.tolist(), len(shapes)]
    return list(zip([0, *turns.tolist()], ends, strict=True)) if len(shapes) else []
