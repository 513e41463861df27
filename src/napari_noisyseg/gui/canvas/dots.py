"""Nuclei from afar: a dot for each, or colours that say how densely they lie.

They lie on a layer of their own without pixels. Places are (n, 2) of (y, x) in level-0 pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from napari.components.overlays.base import SceneOverlay
from napari.layers import Labels
from napari.layers.base._base_constants import Blending
from napari.utils.colormaps import ensure_colormap
from numpy.typing import NDArray
from pydantic import PrivateAttr

from napari_noisyseg.gui.canvas import layers, looks
from napari_noisyseg.gui.canvas.outlines import PENS
from napari_noisyseg.gui.kinds import AFAR
from napari_noisyseg.gui.widgets.pens import Dot
from napari_noisyseg.store.records import ImageRecord

KEY = "noisyseg_dots"
DOTS: dict[str, Dot] = {
    "untouched": Dot(PENS["untouched"].color, 4.4),
    "accepted": Dot(PENS["accepted"].color, 5.8),
    "rejected": Dot(PENS["rejected"].color, 5.0, hollow=True),
    "unsure": Dot(PENS["unsure"].color, 6.4, hollow=True),
    "points": Dot(looks.POINT["points"], 4.4),
}
"""what a nucleus of each state looks like: told apart by size and form as well"""
LOOKS = tuple(DOTS)
SHADES = "summer"
"""napari's colour map for densities: green and yellow are no colours of H&E"""
FAINT, STRONG = 0.5, 0.85
"""how strong the colours are where there are few nuclei, and where there are many"""


class Marks(NamedTuple):
    """Dots to draw. looks (n,): indices into `LOOKS`. groups (n,): classes from 1, 0 for none."""

    places: NDArray[np.float32]
    looks: NDArray[np.uint8]
    groups: NDArray[np.uint16]

    @classmethod
    def none(cls) -> Marks:
        """No dot."""
        return cls(np.empty((0, 2), np.float32), np.empty(0, np.uint8), np.empty(0, np.uint16))

    def chosen(self, rows: NDArray[np.bool_]) -> Marks:
        """Some of them."""
        return Marks(self.places[rows], self.looks[rows], self.groups[rows])

    def beside(self, others: Marks) -> Marks:
        """These, and others drawn over them."""
        return Marks(
            np.concatenate([self.places, others.places]),
            np.concatenate([self.looks, others.looks]),
            np.concatenate([self.groups, others.groups]),
        )


class Shaded(NamedTuple):
    """Colours on cells `step` level-0 pixels wide, uint8 (h, w, 4), the first cell at `origin`."""

    rgba: NDArray[np.uint8]
    origin: tuple[int, int]
    step: int


def shades(values: NDArray[np.floating], top: float) -> NDArray[np.uint8]:
    """Colours of densities (h, w), uint8 (h, w, 4); clear where there is nothing."""
    share = np.clip(values / top, 0, 1) if top > 0 else np.zeros_like(values)
    rgba = np.asarray(ensure_colormap(SHADES).map(share.ravel())).reshape(*share.shape, 4)
    # next to nothing is clear, and what there is comes in softly: no edge where a blur ends
    rgba[..., 3] = np.clip(share * 20, 0, 1) * (FAINT + (STRONG - FAINT) * share)
    return (rgba * 255).round().astype(np.uint8)


class DotsOverlay(SceneOverlay):  # type: ignore[misc]
    """What is drawn of nuclei from afar; draws nothing by itself."""

    visible: bool = True
    blending: Blending = Blending.TRANSLUCENT_NO_DEPTH
    revision: int = 0
    by_group: bool = False
    """whether dots have the colours of their nuclei's classes"""

    _marks: Marks = PrivateAttr(default_factory=Marks.none)
    _shaded: Shaded | None = PrivateAttr(default=None)
    _colors: tuple[str, ...] = PrivateAttr(default=())

    @property
    def marks(self) -> Marks:
        """The dots."""
        return self._marks

    @property
    def shaded(self) -> Shaded | None:
        """The density."""
        return self._shaded

    @property
    def colors(self) -> Sequence[str]:
        """Of classes 1, 2 and so on, as #rrggbb."""
        return self._colors

    def show(self, marks: Marks, shaded: Shaded | None, colors: Sequence[str] = ()) -> None:
        """Draw this and nothing else."""
        self._marks, self._shaded, self._colors = marks, shaded, tuple(colors)
        self.revision += 1


def dots_of(layer: Any) -> DotsOverlay:
    """The dots of a layer, made when first asked for."""
    found = layer._overlays.get(KEY)
    if found is None:
        # vispy is needed where there may be a window, and only then
        from napari_noisyseg.gui.canvas import dotting

        dotting.register(DotsOverlay)
        found = layer._overlays[KEY] = DotsOverlay()
    return found  # type: ignore[no-any-return]


def layer_for(viewer: Any, record: ImageRecord) -> Any:
    """The layer of an image that carries its dots, made where there is none."""
    found = layers.find(viewer, record.name, AFAR)
    if found is not None:
        return found
    where = layers.geometry(viewer, record)
    # one pixel that nobody sees: napari draws overlays only on layers that hold something
    layer = Labels(np.zeros((1, 1), np.uint8), name=layers.name_of(record, AFAR), **where)
    return layers.insert(viewer, layer, record, AFAR)
