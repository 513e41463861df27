"""A rectangle of an image."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray


class Box(NamedTuple):
    """Half-open rectangle in level-0 pixels: rows y0..y1-1, columns x0..x1-1."""

    y0: int
    x0: int
    y1: int
    x1: int

    @classmethod
    def around(cls, boxes: Iterable[Box]) -> Self:
        """The smallest box around those that are not empty; (0, 0, 0, 0) without any."""
        full = [box for box in boxes if not box.empty]
        if not full:
            return cls(0, 0, 0, 0)
        y0, x0, y1, x1 = zip(*full, strict=True)
        return cls(min(y0), min(x0), max(y1), max(x1))

    @classmethod
    def of_mask(cls, mask: NDArray[np.bool_], origin: tuple[int, int] = (0, 0)) -> Self:
        """The smallest box around what is set in a mask (h, w) whose first pixel is at `origin`.

        Empty, at `origin`, when nothing is.
        """
        (y, x), rows = origin, np.flatnonzero(mask.any(axis=1))
        if not rows.size:
            return cls(y, x, y, x)
        top, bottom = int(rows[0]), int(rows[-1]) + 1
        columns = np.flatnonzero(mask[top:bottom].any(axis=0))
        return cls(y + top, x + int(columns[0]), y + bottom, x + int(columns[-1]) + 1)

    @classmethod
    def of_slices(cls, rows: slice, columns: slice) -> Self:
        """The box that such an index cuts out of an array (y, x, ...)."""
        return cls(rows.start, columns.start, rows.stop, columns.stop)

    @property
    def origin(self) -> tuple[int, int]:
        """Its first pixel, (y, x)."""
        return self.y0, self.x0

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns, of an array that holds its pixels."""
        return self.height, self.width

    @property
    def height(self) -> int:
        """Rows, 0 for an empty box."""
        return max(0, self.y1 - self.y0)

    @property
    def width(self) -> int:
        """Columns, 0 for an empty box."""
        return max(0, self.x1 - self.x0)

    @property
    def empty(self) -> bool:
        """Whether it holds no pixel."""
        return self.y1 <= self.y0 or self.x1 <= self.x0

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of the box in an array (y, x, ...) of the whole image."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)

    def within(self, outer: Box) -> tuple[slice, slice]:
        """Index of the box, which lies in `outer`, in an array (y, x, ...) of `outer`."""
        return self.shift(-outer.y0, -outer.x0).slices

    def shift(self, dy: int, dx: int) -> Box:
        """The box moved by whole pixels."""
        return Box(self.y0 + dy, self.x0 + dx, self.y1 + dy, self.x1 + dx)

    def intersect(self, other: Box) -> Box:
        """What both hold; of zero height or width when they do not meet."""
        y0, x0 = max(self.y0, other.y0), max(self.x0, other.x0)
        return Box(y0, x0, max(y0, min(self.y1, other.y1)), max(x0, min(self.x1, other.x1)))

    def clip(self, shape: tuple[int, ...]) -> Box:
        """The part inside an image of this shape (H, W, ...); empty boxes stay inside as well."""
        height, width = shape[:2]
        y0, y1 = (min(max(v, 0), height) for v in (self.y0, self.y1))
        x0, x1 = (min(max(v, 0), width) for v in (self.x0, self.x1))
        return Box(y0, x0, max(y0, y1), max(x0, x1))

    def grow(self, n: int) -> Box:
        """The box with `n` more pixels on every side."""
        return Box(self.y0 - n, self.x0 - n, self.y1 + n, self.x1 + n)

    def contains(self, y: float, x: float) -> bool:
        """Whether the pixel of a point (pixel centres at integers) lies inside."""
        return self.y0 <= y + 0.5 < self.y1 and self.x0 <= x + 0.5 < self.x1
