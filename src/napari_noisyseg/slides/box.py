"""A rectangle of an image."""

from __future__ import annotations

from typing import NamedTuple


class Box(NamedTuple):
    """Half-open rectangle in level-0 pixels: rows y0..y1-1, columns x0..x1-1."""

    y0: int
    x0: int
    y1: int
    x1: int

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
