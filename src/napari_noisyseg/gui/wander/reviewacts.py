"""What the walk may do to nuclei under review: split, merge, add, draw, choose many, name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_noisyseg.gui.wander.acts import Did, Do
from napari_noisyseg.gui.wander.hands import Hands, Spot
from napari_noisyseg.gui.wander.scene import Random

AWAY = 6.0
"""pixels beyond its outline at which a line across a nucleus begins"""


class ReviewActs:
    """The tools of the review, by key and mouse, where the review is open."""

    def __init__(self, hands: Hands) -> None:
        self.hands, self.session, self.panel = hands, hands.session, hands.panel

    def table(self) -> Mapping[Do, float]:
        """Every act with its weight."""
        return {self.split: 2, self.merge: 2, self.add: 1.5, self.draw: 1, self.outline: 0.5,
                self.lasso: 1, self.name: 2}  # fmt: skip

    # --- what there is -------------------------------------------------------------------------

    def _ready(self, tool: str = "") -> Any | None:
        """The nucleus under review, in sight, with this tool in the hand; None: there is none."""
        dock: Any = self.panel.docks["review"]
        item = dock.review.item
        here = self.session.view.step == "review" and item is not None
        if not here or item.image != self.session.image:
            return None
        if tool:
            self._key("Escape")
            self._key(tool)
        return item

    def _key(self, name: str) -> None:
        QTest.keyClick(self.hands.canvas, getattr(Qt.Key, f"Key_{name}"))

    def _spot(self, place: tuple[float, float]) -> Spot:
        return self.hands.within(self.hands.spot(self.session.image_layer(), place))

    def _ring(self, middle: tuple[float, float], radius: float) -> list[Spot]:
        turns = np.linspace(0, 2 * np.pi, 12)
        return [
            self._spot((middle[0] + radius * np.sin(a), middle[1] + radius * np.cos(a)))
            for a in turns
        ]

    # --- acts ----------------------------------------------------------------------------------

    def split(self, random: Random) -> Did:
        """A line across the nucleus under review, or past it."""
        item = self._ready("S")
        if item is None:
            return Did("nothing to split")
        y, x = item.candidate.outline.middle()
        angle, reach = random.uniform(0, np.pi), max(item.candidate.outline.mask.shape) / 2 + AWAY
        dy, dx = reach * np.sin(angle), reach * np.cos(angle)
        self.hands.drag([self._spot((y - dy, x - dx)), self._spot((y + dy, x + dx))])
        return Did(f"split nucleus {item.candidate.serial}", "front")

    def merge(self, random: Random) -> Did:
        """One of the nearest other nuclei is clicked to be merged."""
        item = self._ready("M")
        if item is None:
            return Did("nothing to merge")
        dock: Any = self.panel.docks["review"]
        others = [x for x in dock.review.here() if x.id != item.id]
        if not others:
            return Did("nothing to merge with")
        c = item.candidate
        others.sort(key=lambda o: (o.candidate.y - c.y) ** 2 + (o.candidate.x - c.x) ** 2)
        other = others[int(random.integers(min(3, len(others))))].candidate
        self.hands.click(self._spot(other.outline.middle()))
        return Did(f"merge nuclei {c.serial} and {other.serial}", "front")

    def add(self, random: Random) -> Did:
        """A click somewhere near the nucleus under review."""
        item = self._ready("N")
        if item is None:
            return Did("nowhere to add")
        dy, dx = random.uniform(-40, 40, 2)
        spot = self._spot((item.candidate.y + dy, item.candidate.x + dx))
        self.hands.click(spot)
        return Did(f"add a nucleus at {spot}", "front")

    def draw(self, random: Random) -> Did:
        """A ring in place of the outline of the nucleus under review."""
        item = self._ready("P")
        if item is None:
            return Did("nothing to draw")
        self.hands.drag(self._ring(item.candidate.outline.middle(), random.uniform(1, 12)))
        return Did(f"draw nucleus {item.candidate.serial}", "front")

    def outline(self, random: Random) -> Did:
        """The nucleus under review is outlined again from its middle."""
        item = self._ready("W")
        if item is None:
            return Did("nothing to outline")
        self.hands.click(self._spot(item.candidate.outline.middle()))
        return Did(f"outline nucleus {item.candidate.serial}", "front")

    def lasso(self, random: Random) -> Did:
        """Several are chosen with a ring, and judged or let go."""
        item = self._ready("Q")
        if item is None:
            return Did("nothing to choose")
        self.hands.drag(self._ring((item.candidate.y, item.candidate.x), random.uniform(20, 80)))
        key = str(random.choice(["A", "R", "U", "1", "Escape"]))
        self._key(key)
        return Did(f"choose many, {key}", "front")

    def name(self, random: Random) -> Did:
        """A class by its key."""
        if self._ready() is None:
            return Did("nothing to name")
        key = str(int(random.integers(1, 6)))
        self._key(key)
        return Did(f"class {key}", "front")
