"""What the walk may do on the canvas and with keys; each act says in which images it may store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from qtpy.QtCore import Qt

from napari_noisyseg.gui.wander.hands import RIGHT, Hands, Spot
from napari_noisyseg.gui.wander.scene import Random

May = Literal["none", "these", "front", "travel", "any"]
"""where an act may store: nowhere, in `these`, in the image that was in front, in the one that
comes to the front, anywhere"""
Do = Callable[[Random], "Did"]


@dataclass(frozen=True, slots=True)
class Did:
    """What was done, in words, and where it may have stored something."""

    words: str
    may: May = "none"
    these: frozenset[str] = frozenset()


CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
OURS = (*"PFBEVCKDARUXZH123", "Delete", "Left", "Right", "Up", "Down", "Space", "Backspace")
NAPARI = (*"AMNSTLGO4567", "Delete", "Up", "Down", "Home", "End", "Escape", "Return", "Tab")
STEP_KEYS = {
    "annotate": (*"PPFBEVCKD", "Delete"),
    "coarse": tuple("123H"),
    "train": tuple("H12"),
    "review": (*"AARUEXZHSMNPWQ12", "Left", "Right", "Escape"),
}
TRAVEL = ("Z", "Ctrl+Z", "Ctrl+Shift+Z")


class CanvasActs:
    """The mouse on the picture."""

    def __init__(self, hands: Hands) -> None:
        self.hands, self.session = hands, hands.session

    def table(self) -> Mapping[Do, float]:
        """Every act with its weight."""
        return {
            self.click: 10, self.click_point: 3, self.right: 3, self.right_free: 1,
            self.double: 1.5, self.drag: 5, self.drag_point: 3, self.wheel: 2, self.home: 2,
        }  # fmt: skip

    # --- spots ---------------------------------------------------------------------------------

    def _free(self, random: Random) -> Spot:
        """A spot on the image in front, now and then one beside it."""
        layer, hands = self.session.image_layer(), self.hands
        if layer is None or random.random() < 0.15:
            size = hands.canvas.width(), hands.canvas.height()
            return int(random.uniform(3, size[0] - 3)), int(random.uniform(3, size[1] - 3))
        record = self.session.record()
        height, width = (record.height, record.width) if record is not None else (200, 200)
        place = (float(random.uniform(0, height)), float(random.uniform(0, width)))
        return hands.within(hands.spot(layer, place))

    def _at_point(self, random: Random) -> Spot:
        """A spot at one of the points in front, where there is any."""
        layer, nuclei = self.session.image_layer(), self._nuclei()
        if layer is None or not nuclei:
            return self._free(random)
        nucleus = nuclei[int(random.integers(len(nuclei)))]
        x, y = self.hands.spot(layer, (nucleus.y, nucleus.x))
        dx, dy = (int(v) for v in random.integers(-3, 4, 2))
        return self.hands.within((x + dx, y + dy))

    def _nuclei(self) -> list[Any]:
        project, image = self.session.project, self.session.image
        return project.nuclei.of(image) if project is not None and image is not None else []

    def _did(self, words: str, spot: Spot) -> Did:
        """Made before the event: a click may store in the image that lies under it."""
        under = self.hands.under(spot)
        words = f"{words} at {spot} on {under if under else 'nothing' if under is None else '?'}"
        if not self.session.front.names():
            return Did(words, "any")
        if under is None:
            return Did(words, "front")
        return Did(words, "these", frozenset({under} if under else ()))

    # --- acts ----------------------------------------------------------------------------------

    def _click(self, words: str, spot: Spot, button: Any) -> Did:
        did = self._did(words, spot)
        self.hands.click(spot, button)
        return did

    def click(self, random: Random) -> Did:
        """Click somewhere."""
        return self._click("click", self._free(random), Qt.MouseButton.LeftButton)

    def click_point(self, random: Random) -> Did:
        """Click a point."""
        return self._click("click a point", self._at_point(random), Qt.MouseButton.LeftButton)

    def right(self, random: Random) -> Did:
        """Right click a point."""
        return self._click("right click a point", self._at_point(random), RIGHT)

    def right_free(self, random: Random) -> Did:
        """Right click somewhere."""
        return self._click("right click", self._free(random), RIGHT)

    def double(self, random: Random) -> Did:
        """Two fast clicks."""
        spot = self._free(random)
        did = self._did("double click", spot)
        self.hands.double(spot)
        return did

    def drag(self, random: Random) -> Did:
        """Drag from somewhere to somewhere else, seldom with the right button."""
        far = float(random.choice([6, 40, 150, 400]))
        button = RIGHT if random.random() < 0.05 else Qt.MouseButton.LeftButton
        return self._drag("drag", self._free(random), far, random, button)

    def drag_point(self, random: Random) -> Did:
        """Drag a point."""
        far = float(random.choice([3, 12, 60]))
        spot = self._at_point(random)
        return self._drag("drag a point", spot, far, random, Qt.MouseButton.LeftButton)

    def _drag(self, words: str, start: Spot, far: float, random: Random, button: Any) -> Did:
        spots, did = [start], self._did(words, start)
        for _ in range(int(random.integers(2, 5))):
            dx, dy = (int(v) for v in random.uniform(-far, far, 2))
            spots.append(self.hands.within((spots[-1][0] + dx, spots[-1][1] + dy)))
        self.hands.drag(spots, button)
        return did

    def wheel(self, random: Random) -> Did:
        """Turn the wheel."""
        turns = int(random.choice([-3, -1, 1, 3]))
        self.hands.wheel(self._free(random), turns)
        return Did(f"wheel {turns}")

    def home(self, random: Random) -> Did:
        """See all of the image in front again, as napari's Home button shows it."""
        layer = self.session.image_layer()
        self.hands.viewer.reset_view(layers=[layer] if layer is not None else None)
        return Did("home")


class KeyActs:
    """The keyboard, at whatever has the focus."""

    def __init__(self, hands: Hands) -> None:
        self.hands, self.session = hands, hands.session

    def table(self) -> Mapping[Do, float]:
        """Every act with its weight."""
        return {self.step_key: 14, self.our_key: 5, self.napari_key: 4, self.undo: 4, self.redo: 2,
                self.select_all: 0.7, self.hold: 1}  # fmt: skip

    def _press(self, name: str, modifiers: Any = None) -> Did:
        words = f"key {name} at {_name(self.hands.focus)}"
        plain = name.rsplit("+", 1)[-1]
        key = getattr(Qt.Key, f"Key_{plain}")
        self.hands.key(key, modifiers if modifiers is not None else Qt.KeyboardModifier.NoModifier)
        return Did(words, "travel" if name in TRAVEL else "front")

    def step_key(self, random: Random) -> Did:
        """A key of the open step."""
        return self._press(str(random.choice(STEP_KEYS[self.session.view.step])))

    def our_key(self, random: Random) -> Did:
        """A key of any step."""
        return self._press(str(random.choice(OURS)))

    def napari_key(self, random: Random) -> Did:
        """A key that napari's layers and lists take."""
        return self._press(str(random.choice(NAPARI)))

    def select_all(self, random: Random) -> Did:
        """Ctrl+A."""
        return self._press("Ctrl+A", CTRL)

    def undo(self, random: Random) -> Did:
        """Ctrl+Z."""
        return self._press("Ctrl+Z", CTRL)

    def redo(self, random: Random) -> Did:
        """Ctrl+Shift+Z."""
        return self._press("Ctrl+Shift+Z", CTRL | SHIFT)

    def hold(self, random: Random) -> Did:
        """Space or H is held while something else happens."""
        from qtpy.QtTest import QTest

        name, target = str(random.choice(["Space", "H"])), self.hands.focus
        key, canvas = getattr(Qt.Key, f"Key_{name}"), CanvasActs(self.hands)
        QTest.keyPress(target, key)
        did = canvas.drag(random) if random.random() < 0.5 else canvas.click(random)
        QTest.keyRelease(target, key)
        # the held key itself may press a button that has the focus
        return Did(f"hold {name} at {_name(target)} and {did.words}", "front", did.these)


def _name(widget: Any) -> str:
    return str(widget.objectName() or getattr(widget, "text", str)() or type(widget).__name__)
