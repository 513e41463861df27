"""A round brush on an array: strokes as capsules, drawn at once, independent of napari's modes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.gui.canvas import layers
from napari_noisyseg.gui.tools.hand import Place
from napari_noisyseg.slides import Box


def capsule(
    shape: tuple[int, ...], a: Place, b: Place, radius: float
) -> tuple[Box, NDArray[np.bool_]]:
    """Pixels within `radius` of the line from `a` to `b`: their box, and bool (h, w) of it."""
    low, high = np.floor(np.minimum(a, b) - radius), np.ceil(np.maximum(a, b) + radius) + 1
    box = Box(*(int(v) for v in (*low, *high))).clip(shape)
    y, x = np.mgrid[box.slices]
    (ay, ax), (dy, dx) = a, (b[0] - a[0], b[1] - a[1])
    length = dy * dy + dx * dx
    along = ((y - ay) * dy + (x - ax) * dx) / length if length else np.zeros(y.shape)
    along = np.clip(along, 0.0, 1.0)
    near = (y - ay - along * dy) ** 2 + (x - ax - along * dx) ** 2
    return box, near <= max(radius, 0.5) ** 2


class Stroke:
    """One stroke of the brush on the array of a Labels layer of ours; `box` is what it touched.

    Places are (y, x) in the array's pixels. An eraser has the value 0.
    """

    def __init__(self, layer: Any, value: int, diameter: float, start: Place) -> None:
        self._layer, self._value, self._radius = layer, value, diameter / 2
        self._last = start
        self.box = Box(0, 0, 0, 0)
        self.to(start)

    def to(self, place: Place) -> None:
        """Draw on to here."""
        data = self._layer.data
        box, mask = capsule(data.shape, self._last, place, self._radius)
        self._last = place
        if box.empty:
            return
        data[box.slices][mask] = self._value
        self.box = Box.around((self.box, box))
        layers.refresh_box(self._layer, box)


class Painting:
    """A drag that paints: a stroke, where places of the image lie in its array, and its end."""

    holds = True

    def __init__(
        self, stroke: Stroke, at: Callable[[Place], Place], keep: Callable[[Stroke], object]
    ) -> None:
        self._stroke, self._at, self._keep = stroke, at, keep

    def move(self, place: Place) -> None:
        """Paint on to here."""
        self._stroke.to(self._at(place))

    def end(self, place: Place, moved: bool) -> None:
        """The stroke is over: it is kept."""
        if moved:
            self.move(place)
        self._keep(self._stroke)
