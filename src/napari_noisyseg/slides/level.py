"""One resolution of an image, read where it is sliced."""

from __future__ import annotations

from collections.abc import Callable
from types import EllipsisType
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides.box import Box
from napari_noisyseg.slides.limits import MAX_DECODED_PIXELS

Pixels = NDArray[np.uint8]
Index = int | slice | EllipsisType


class Level:
    """An array-like (H, W, 3) of uint8 that reads only what is asked for: `level[y0:y1, x0:x1]`.

    `read` gives the uint8 (h, w, 3) of a box in this level's own pixels, inside the level.
    Basic indexing only (integers, slices, `...`). Errors: `NoisySegError` when the file cannot be
    read there or when more than `MAX_DECODED_PIXELS` are asked for at once.
    """

    ndim = 3
    dtype = np.dtype(np.uint8)

    def __init__(self, height: int, width: int, read: Callable[[Box], Pixels], what: str) -> None:
        self.shape = (height, width, 3)
        self.size = height * width * 3
        self.nbytes = self.size
        self._read = read
        self._what = what

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Index | tuple[Index, ...]) -> Pixels:
        keys = _expand(key)
        (y0, y1, rows), (x0, x1, columns) = (
            _span(k, n) for k, n in zip(keys[:2], self.shape, strict=False)
        )
        region: Pixels = self.box(Box(y0, x0, y1, x1))[rows, :, :]
        # rows given as an integer take their axis away, so the columns are then axis 0
        columns_axis = (columns, keys[2]) if isinstance(rows, int) else (..., columns, keys[2])
        return region[columns_axis]

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[:], dtype=dtype)

    def box(self, box: Box) -> Pixels:
        """The pixels of a box inside this level, in the level's own pixels, uint8 (h, w, 3)."""
        if box.empty:
            return np.zeros((box.height, box.width, 3), np.uint8)
        if box.height * box.width > MAX_DECODED_PIXELS:
            raise NoisySegError(
                f"{self._what}: {box.width} x {box.height} pixels are too many to read at once; "
                "ask for a smaller region or a coarser level"
            )
        try:
            return self._read(box)
        except NoisySegError:
            raise
        # every decoder has exceptions of its own; to a person they all mean the same
        except Exception as error:
            raise NoisySegError(
                f"{self._what} cannot be read at x {box.x0}, y {box.y0} ({error}): the file is "
                "damaged, moved or on a drive that is gone; check it, or link it again"
            ) from error

    def close(self) -> None:
        """Refuse to read from now on; some readers would open their file again unasked."""
        self._read = _closed


def _closed(box: Box) -> Pixels:
    raise ValueError("it was closed")


def _expand(key: Index | tuple[Index, ...]) -> tuple[Any, Any, Any]:
    keys = key if isinstance(key, tuple) else (key,)
    if Ellipsis in keys:
        at = keys.index(Ellipsis)
        keys = (*keys[:at], *[slice(None)] * (4 - len(keys)), *keys[at + 1 :])
    if len(keys) > 3:
        raise IndexError(f"too many indices for an image of 3 axes: {len(keys)}")
    full = (*keys, *[slice(None)] * (3 - len(keys)))
    return full[0], full[1], full[2]


def _span(key: Any, length: int) -> tuple[int, int, int | slice]:
    """First and end of what must be read of an axis, and the index into that."""
    if isinstance(key, slice):
        chosen = range(*key.indices(length))
        if not chosen:
            return 0, 0, slice(None)
        return min(chosen), max(chosen) + 1, slice(None, None, chosen.step)
    if isinstance(key, (int, np.integer)) and not isinstance(key, bool):
        at = int(key) + (length if key < 0 else 0)
        if not 0 <= at < length:
            raise IndexError(f"index {key} is outside an axis of {length} pixels")
        return at, at + 1, 0
    raise IndexError(f"a lazy image takes integers and slices, not {type(key).__name__}")
