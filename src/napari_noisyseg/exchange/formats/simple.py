"""Rectangles and ellipses, which some formats keep by their middle or corners alone, as rings."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.exchange.outlines import Ring

CORNERS = 64
"""Of an ellipse: a nucleus of 100 pixels across is drawn to a tenth of a pixel."""


def rectangle(middle: tuple[float, float], size: tuple[float, float], turn: float = 0) -> Ring:
    """The corners (4, 2), x before y, of a rectangle of this width and height.

    `turn`: in radians, from the x axis towards the y axis.
    """
    return _placed(np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) / 2, middle, size, turn)


def ellipse(middle: tuple[float, float], size: tuple[float, float], turn: float = 0) -> Ring:
    """Corners of the ellipse in `rectangle`."""
    angles = np.arange(CORNERS) * (2 * math.pi / CORNERS)
    return _placed(np.stack([np.cos(angles), np.sin(angles)], axis=1) / 2, middle, size, turn)


def _placed(
    unit: NDArray[np.float64], middle: tuple[float, float], size: tuple[float, float], turn: float
) -> Ring:
    cosine, sine = math.cos(turn), math.sin(turn)
    turned: Ring = unit * size @ np.array([[cosine, sine], [-sine, cosine]]) + middle
    return turned
