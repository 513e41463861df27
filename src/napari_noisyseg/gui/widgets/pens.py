"""How a line looks, the same on the canvas and in a legend."""

from __future__ import annotations

from dataclasses import dataclass

CASING = "#0b0e1a"
"""colour of the dark edge round every line: it reads on pale stroma as well as on dark nuclei"""
CASING_OPACITY = 0.5
EDGE, RING = 0.6, 1.5
"""widths of the dark edge round a dot, and of a hollow one's ring"""


@dataclass(frozen=True, slots=True)
class Pen:
    """A line; all lengths in logical screen pixels, whatever the zoom.

    `on` and `off` are the lengths of dash and gap, both 0 for an unbroken line; a dash as long as
    the line is wide is a dot. `casing` is the width of the dark edge on either side.
    """

    color: str
    width: float
    on: float = 0.0
    off: float = 0.0
    opacity: float = 1.0
    casing: float = 1.0

    @property
    def broken(self) -> bool:
        """Whether it is dashed or dotted."""
        return self.on > 0 and self.off > 0


@dataclass(frozen=True, slots=True)
class Dot:
    """A round mark; `width` is its diameter in logical screen pixels, `hollow` leaves a ring."""

    color: str
    width: float
    hollow: bool = False
