"""Rough masks: painted in memory, written to the project at the end of each stroke."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.gui.canvas import layers
from napari_noisyseg.gui.change import FRONT, Change, What
from napari_noisyseg.gui.session import Session
from napari_noisyseg.gui.tools.brush import Painting, Stroke
from napari_noisyseg.gui.tools.hand import Place, Press
from napari_noisyseg.slides import Box
from napari_noisyseg.store.records import ImageRecord

PLANE = "rough"
SHOWN = What.ROUGH | What.FIELDS | What.IMAGES | FRONT
"""what changes the rough mask that is shown (fields: the region of a large image)"""
BRUSH_UM = 6.0


class RoughTool:
    """The rough mask of the region in front (all of an image, or one field of a large slide).

    Each nucleus has a number of its own: a stroke that begins on bare tissue takes the next free
    number, one that begins on a painted nucleus goes on with that one.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.box: Box | None = None
        self.size_um = BRUSH_UM
        session.on(SHOWN | What.VIEW, self._follow)
        self.refresh()

    # --- acts ----------------------------------------------------------------------------------

    def take_labels(self, labels: NDArray[Any]) -> None:
        """Write a whole label image (H, W) of the image in front as its rough mask; one action."""
        with self.session.acting():
            record, project = self.session.require_image(), self.session.require_project()
            if labels.shape != (record.height, record.width):
                raise NoisySegError(
                    f"the labels are {labels.shape[1]} x {labels.shape[0]} pixels and the image "
                    f"{record.width} x {record.height}: choose labels of this image"
                )
            box = Box(0, 0, record.height, record.width)
            before = project.nuclei.painted(record.name, PLANE, box)
            project.nuclei.paint(record.name, box, before, labels.astype(np.int32), PLANE)

    def ready(self) -> Any:
        """The layer to paint on, made where it is missing; NoisySegError where there is none."""
        record = self.session.require_image()
        box = self.session.region()
        if box is None:
            raise NoisySegError("this image is large: draw a field first, then paint in it")
        return self._show(record, box)

    def brush(self) -> float:
        """Diameter of the brush in level-0 pixels."""
        record = self.session.record()
        return max(1.0, self.size_um / (record.mpp if record is not None else 0.25))

    def layer(self) -> Any | None:
        """The layer that is painted on, or None."""
        image = self.session.image
        return layers.find(self.session.viewer, image, PLANE) if image else None

    # --- the mouse -----------------------------------------------------------------------------

    def press(self, press: Press) -> Painting | None:
        """A stroke begins, on the image under the cursor."""
        if press.right:
            return None
        place = self.session.front.at(press.position)
        self.session.front.focus = place
        layer = self.ready()
        assert self.box is not None
        if not self.box.contains(*place):
            raise NoisySegError("that is outside the field: paint inside it")
        value = 0 if self.session.view.tool == "erase" else self._number(layer.data, place)
        stroke = Stroke(layer, value, self.brush(), self._at(place))
        return Painting(stroke, self._at, self.keep)

    def cursor(self) -> tuple[str, float]:
        """See `Tool`."""
        return "circle", self.brush()

    def _number(self, painted: NDArray[Any], place: Place) -> int:
        """The number that a stroke paints with which begins at a place (y, x) of the image."""
        y, x = (int(np.floor(v + 0.5)) for v in self._at(place))
        # free in the whole image, of which no more than a field may be in sight
        nuclei, image = self.session.require_project().nuclei, self.session.require_image().name
        return int(painted[y, x]) or nuclei.highest_painted(image, PLANE) + 1

    def _at(self, place: Place) -> Place:
        assert self.box is not None
        return place[0] - self.box.y0, place[1] - self.box.x0

    def keep(self, stroke: Stroke) -> None:
        """Write a finished stroke to the project; what cannot be kept is not shown either."""
        layer, box = self.layer(), self.box
        record, project = self.session.record(), self.session.project
        if layer is None or box is None or record is None or project is None or stroke.box.empty:
            return
        part = stroke.box
        outer = part.shift(*box.origin)
        before = project.nuclei.painted(record.name, PLANE, outer)
        after = np.array(layer.data[part.slices], np.int32)
        try:
            if not np.array_equal(before, after):
                with self.session.acting():
                    project.nuclei.paint(record.name, outer, before, after, PLANE)
        finally:
            self.refresh()

    # --- showing -------------------------------------------------------------------------------

    def _follow(self, change: Change) -> None:
        touched = bool(change.what & SHOWN) and change.concerns(self.session.image)
        if touched or (self.layer() is None and self.session.view.shows(PLANE)):
            self.refresh()

    def refresh(self) -> None:
        """Show what the project holds; a region without any rough mask gets no layer."""
        project, record, box = self.session.project, self.session.record(), self.session.region()
        if project is None or record is None or box is None:
            self.box = None
            return
        if self.layer() is not None or PLANE in project.nuclei.planes(record.name):
            self._show(record, box)

    def _show(self, record: ImageRecord, box: Box) -> Any:
        painted = self._painted(record, box)
        layer = self.layer()
        if layer is not None and box == self.box and layers.repaint_changed(layer, painted):
            return layer
        self.box = box
        return layers.show_labels(self.session.viewer, record, PLANE, painted, box)

    def _painted(self, record: ImageRecord, box: Box) -> NDArray[np.int32]:
        nuclei = self.session.require_project().nuclei
        return np.array(nuclei.painted(record.name, PLANE, box), np.int32)
