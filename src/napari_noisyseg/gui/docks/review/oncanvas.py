"""The nucleus under review on the canvas: its outlines, or the brush; and what the hand holds."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from napari_noisyseg.gui.canvas import layers
from napari_noisyseg.gui.canvas.closeup import Closeup, centre
from napari_noisyseg.gui.controllers.review import ReviewController
from napari_noisyseg.gui.tools.editing import Editing
from napari_noisyseg.gui.tools.lines import Lines
from napari_noisyseg.gui.tools.picking import Picking

VIEW_UM = 40.0
"""what the canvas's shorter side shows of the tissue around a nucleus"""


class OnCanvas:
    """Draws a review; `shown` is the nucleus that was centred last."""

    def __init__(self, review: ReviewController) -> None:
        session = review.session
        self._review, self._session = review, session
        self.shown: str | None = None
        self.closeup = Closeup(session.viewer)
        self.editing = Editing(session, review.redraw)
        self._picking = Picking(session, review.choose)
        self._lines = Lines(session, review.repairs, self.closeup)

    def draw(self) -> None:
        """Bring it to where the review stands."""
        with self._session.together() if self._relays() else nullcontext():
            self._draw()

    def _relays(self) -> bool:
        """Whether layers come, go, or are of another image: napari then draws just once."""
        layer, review = self.closeup.layer, self._review
        of = layers.image_name(layer) if layer is not None else None
        here = review.open and review.shown is not None
        wanted = self._session.image if here else None
        return of != wanted or (here and review.editing) != self.editing.active

    def _draw(self) -> None:
        review, item, project = self._review, self._review.shown, self._session.project
        if not review.open or item is None or project is None:
            self.editing.end()
            self.closeup.remove()
            self._lend()
            return
        record = project.image(item.image)
        if self.shown != item.id:
            self.shown = item.id
            # whoever adds nuclei sees them come where the click was
            if review.repairs.mode != "add":
                place = (item.candidate.y, item.candidate.x)
                centre(self._session.viewer, record, place, VIEW_UM, within=True)
        shape = review.shape()
        if review.editing and shape.new is not None:
            self.closeup.clear()
            self.editing.show(record, item.id, shape.new)
        else:
            self.editing.end()
            self._lend()
            self.closeup.show(record, shape.new_lines, shape.old_lines, review.chosen_outlines())

    def leave(self) -> None:
        """Our outlines go, and the hand is free."""
        self.editing.end()
        self._lines.lay()
        self._picking.lay()
        self.closeup.remove()

    def lacks(self) -> bool:
        """Whether a person hid what should be seen of the nucleus under review."""
        review: Any = self._review
        return review.open and review.shown is not None and self.closeup.layer is None

    def _lend(self) -> None:
        """The tool in use is in the hand; where none is, a click chooses a nucleus."""
        mode = self._review.repairs.mode
        if self._review.open and mode and mode != "brush":
            self._picking.lay()
            self._lines.take()
        elif self._review.open:
            self._lines.lay()
            self._picking.take()
        else:
            self._lines.lay()
            self._picking.lay()
