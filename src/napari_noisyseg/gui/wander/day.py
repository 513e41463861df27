"""What a person does in a day, in fast motion: annotate, look, train, review, and again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_noisyseg.gui.wander.acts import CanvasActs, Did, Do, KeyActs
from napari_noisyseg.gui.wander.hands import Hands
from napari_noisyseg.gui.wander.panelacts import PanelActs
from napari_noisyseg.gui.wander.reviewacts import ReviewActs
from napari_noisyseg.gui.wander.scene import Random

HOURS = (("annotate", 35), ("coarse", 5), ("train", 5), ("review", 55))
"""the steps as they follow each other, with the acts done in each before the next"""
ROUND = sum(acts for _, acts in HOURS)
SECONDS = 12.0
"""of one training"""


class Day:
    """Tables of acts, each step's own; the first act in a step opens it."""

    def __init__(self, hands: Hands) -> None:
        self.panel = hands.panel
        self.hands = hands
        self._canvas, self._keys = CanvasActs(hands), KeyActs(hands)
        self._controls, self._review = PanelActs(hands), ReviewActs(hands)

    def tour(self, rest: Callable[[], object]) -> None:
        """Every image in every step with every box on once: all layers that a day needs are made.

        What a window holds of its images is no growth. `rest` waits for what each act asked for.
        """
        for name in self.panel.session.front.names():
            self.panel.session.show_image(name)
            for step in self.panel.rows:
                self._open(step)
                rest()
                for box in [box for box in self._boxes(step) if not box.isChecked()] * 2:
                    self.hands.press(box)
                    rest()

    def table(self, number: int) -> Mapping[Do, float]:
        """What may be done as act `number`."""
        at = number % ROUND
        for step, acts in HOURS:
            if at == 0:
                return {getattr(self, f"open_{step}"): 1}
            if at < acts:
                return self._go_on(step)
            at -= acts
        raise AssertionError(number)

    def _go_on(self, step: str) -> Mapping[Do, float]:
        look: dict[Do, float] = {
            self._canvas.wheel: 1, self._canvas.home: 1, self._controls.choose_image: 1,
            self._controls.control: 3, self._keys.step_key: 6, self._keys.undo: 2,
            self._keys.redo: 1,
        }  # fmt: skip
        if step == "annotate":
            return {**look, **self._canvas.table(), self._controls.field: 1}
        if step == "review":
            return {**look, **self._review.table(), self._canvas.click: 2, self._keys.step_key: 25}
        return look

    def _boxes(self, step: str) -> list[Any]:
        dock: Any = self.panel.docks[step]
        if step == "annotate":
            return []
        return list((dock.shown if step == "coarse" else dock.maps.boxes).values())

    # --- the first act of a step ---------------------------------------------------------------

    def _open(self, step: str) -> Did:
        self.hands.press(self.panel.rows[step])
        self.hands.canvas.setFocus(Qt.FocusReason.MouseFocusReason)
        return Did(f"row {step}")

    def open_annotate(self, random: Random) -> Did:
        """The first step, with the tool for points."""
        did = self._open("annotate")
        QTest.keyClick(self.hands.canvas, Qt.Key.Key_P)
        return did

    def open_coarse(self, random: Random) -> Did:
        """The second step."""
        return self._open("coarse")

    def open_train(self, random: Random) -> Did:
        """The third step, and a short training, unless the last one still goes on."""
        did, dock = self._open("train"), self._dock()
        if dock.follower.living or not dock.button.isEnabled():
            return did
        length = dock.options.length
        if length.findData(SECONDS) < 0:
            length.addItem(f"{SECONDS:g} seconds", SECONDS)
        length.setCurrentIndex(length.findData(SECONDS))
        self.hands.press(dock.button)
        return Did("train", "any")

    def open_review(self, random: Random) -> Did:
        """The last step."""
        return self._open("review")

    def _dock(self) -> Any:
        return self.panel.docks["train"]
