"""One outline under the brush: a small Labels layer over the nucleus, saved after every stroke."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap

from napari_noisyseg.gui.canvas import layers, looks
from napari_noisyseg.gui.session import Session
from napari_noisyseg.gui.tools.brush import Painting, Stroke
from napari_noisyseg.gui.tools.hand import Place, Press
from napari_noisyseg.gui.tools.kit import kit_of
from napari_noisyseg.slides import Box
from napari_noisyseg.store.records import ImageRecord, Outline

MARGIN_UM = 10.0
"""room for painting on every side of the nucleus"""
BRUSH_UM = 2.0
KIND = "edited"


class Editing:
    """Puts a brush into the hand; `saved(outline)` is called at the end of a stroke.

    What is on the canvas is the outline that the project holds: an undo shows here as well.
    """

    def __init__(self, session: Session, saved: Callable[[Outline], object]) -> None:
        self._session, self._saved = session, saved
        self._of: str | None = None
        self._box = Box(0, 0, 0, 0)
        self._brush = 1.0
        self.erasing = False

    @property
    def active(self) -> bool:
        """Whether an outline is under the brush."""
        return self._of is not None

    def layer(self) -> Any | None:
        """The layer under the brush, or None."""
        image = self._session.image
        return layers.find(self._session.viewer, image, KIND) if image else None

    def show(self, record: ImageRecord, nucleus: str, outline: Outline) -> None:
        """Lay an outline under the brush, or bring what lies there to what it is now."""
        if self._of != nucleus:
            self.end()
            room = outline.box.grow(round(MARGIN_UM / record.mpp))
            self._of, self._box = nucleus, room.clip((record.height, record.width))
            self._brush = max(1.0, BRUSH_UM / record.mpp)
            self.erasing = False
        box = self._box
        data = outline.cut(box).astype(np.uint8)
        layer = self.layer()
        if layer is None:
            self._make(record, data)
        else:
            layers.repaint_changed(layer, data)
        kit_of(self._session).guest = self
        kit_of(self._session).hand.update()

    def _make(self, record: ImageRecord, data: Any) -> None:
        viewer, box = self._session.viewer, self._box
        colours = DirectLabelColormap(
            color_dict={0: looks.CLEAR, 1: looks.EDITED, None: looks.EDITED}
        )
        layer = Labels(
            data, name=layers.name_of(record, KIND), colormap=colours, opacity=0.35,
            **layers.geometry(viewer, record, box.origin),
        )  # fmt: skip
        layer.editable = False
        layers.insert(viewer, layer, record, KIND)

    def erase(self) -> None:
        """Turn the brush into an eraser and back."""
        self.erasing = not self.erasing

    def end(self) -> None:
        """Take the brush away; what was drawn is saved already."""
        if self._of is None:
            return
        self._of = None
        viewer, kit = self._session.viewer, kit_of(self._session)
        if kit.guest is self:
            kit.guest = None
            kit.hand.update()
        for layer in [x for x in viewer.layers if layers.tag(x).get("kind") == KIND]:
            viewer.layers.remove(layer)

    # --- the mouse -----------------------------------------------------------------------------

    def press(self, press: Press) -> Painting | None:
        """A stroke begins where there is room to paint; elsewhere a drag pans."""
        layer = self.layer()
        busy = press.right or press.covered
        if busy or layer is None or not self._box.contains(*press.place):
            return None
        stroke = Stroke(layer, 0 if self.erasing else 1, self._brush, self._at(press.place))
        return Painting(stroke, self._at, self.keep)

    def cursor(self) -> tuple[str, float]:
        """See `Tool`."""
        return "circle", self._brush

    def _at(self, place: Place) -> Place:
        return place[0] - self._box.y0, place[1] - self._box.x0

    def keep(self, stroke: Stroke) -> None:
        """A stroke is over."""
        layer = self.layer()
        outline = Outline.of(np.asarray(layer.data) > 0, self._box) if layer is not None else None
        if outline is not None:
            self._saved(outline)
