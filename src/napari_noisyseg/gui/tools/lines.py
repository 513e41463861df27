"""The tools of a review that click or draw a line: split, merge, add, redraw, choose many."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.gui.canvas.closeup import Closeup
from napari_noisyseg.gui.session import Session
from napari_noisyseg.gui.tools.hand import Place, Press
from napari_noisyseg.gui.tools.kit import kit_of

if TYPE_CHECKING:
    from napari_noisyseg.gui.controllers.repairs import Repairs

DRAWN = frozenset({"split", "polygon", "add", "lasso"})
CLICKED = frozenset({"merge", "click", "add"})
CLOSED = frozenset({"polygon", "add", "lasso"})
"""lines that are shown as they will be closed"""
NEAR = 1.0
"""pixels; a second click so near to the first of a polygon, or the last, ends it"""


class Lines:
    """Lent to the hand while one of its tools is in use; what is drawn is shown as it is drawn."""

    def __init__(self, session: Session, repairs: Repairs, closeup: Closeup) -> None:
        self._session, self._repairs, self._closeup = session, repairs, closeup
        self._corners: list[Place] = []

    def take(self) -> None:
        """Into the hand."""
        kit = kit_of(self._session)
        if kit.guest is not self:
            self._corners = []
            kit.guest = self
        kit.hand.update()

    def lay(self) -> None:
        """Out of the hand; what was not finished goes."""
        kit = kit_of(self._session)
        if kit.guest is self:
            kit.guest = None
            self.sketch([])
            kit.hand.update()

    def press(self, press: Press) -> LineDrag | None:
        """A click or a line of the tool in use begins; a right click ends a polygon."""
        if press.covered or self._repairs.mode not in DRAWN | CLICKED:
            return None
        if press.right:
            self.close()
            return None
        return LineDrag(self, press, holds=self._repairs.mode in DRAWN)

    def cursor(self) -> tuple[str, float]:
        """See `Tool`."""
        return "crosshair", 1.0

    # --- what a drag tells ---------------------------------------------------------------------

    def sketch(self, places: list[Place]) -> None:
        """Show a line that is being drawn."""
        record = self._session.record()
        if record is None:
            return
        line = np.array(places, float).reshape(-1, 2)
        if self._repairs.mode in CLOSED and len(line) > 2:
            line = np.vstack([line, line[:1]])
        self._closeup.sketch(record, line)

    def drawn(self, places: list[Place]) -> None:
        """A line was drawn to its end."""
        self._corners = []
        self.sketch([])
        self._repairs.line(_array(places))

    def clicked(self, place: Place, reach: float) -> None:
        """A click: for the tool, or a corner of its polygon."""
        if self._repairs.mode == "polygon":
            self._corner(place, reach)
        elif self._repairs.mode in CLICKED:
            self._repairs.click(place)

    def _corner(self, place: Place, reach: float) -> None:
        corners = self._corners
        ends = [corners[0], corners[-1]] if len(corners) > 2 else []
        if any(np.hypot(*np.subtract(place, end)) <= max(NEAR, reach) for end in ends):
            self.close()
            return
        corners.append(place)
        self.sketch(corners)

    def close(self) -> None:
        """End the polygon whose corners were clicked."""
        if len(self._corners) > 2:
            self.drawn(self._corners)


class LineDrag:
    """One press: a line if it moved, else a click. Where nothing is drawn the picture is panned."""

    def __init__(self, lines: Lines, press: Press, holds: bool) -> None:
        self.holds = holds
        self._lines, self._reach = lines, press.reach
        self._places = [press.place]

    def move(self, place: Place) -> None:
        """Draw on to here."""
        self._places.append(place)
        self._lines.sketch(self._places)

    def end(self, place: Place, moved: bool) -> None:
        """Up again."""
        if not moved:
            self._lines.clicked(place, self._reach)
        elif self.holds:
            self._lines.drawn([*self._places, place])


def _array(places: list[Place]) -> NDArray[np.float64]:
    """Places (n, 2) of (y, x), those that stand still once."""
    line = np.array(places, np.float64).reshape(-1, 2)
    kept = np.ones(len(line), bool)
    kept[1:] = (np.diff(line, axis=0) != 0).any(axis=1)
    return line[kept]
