"""A hand on a whole slide in the real window: strokes of the brush, and panning.

`python -m napari_noisyseg.gui.slidehand PROJECT paint|pan COUNT` prints one line of JSON.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from napari_noisyseg.gui.timed import TimedWindow

VIEW_UM = 120.0
"""what the canvas's shorter side shows of the tissue: nuclei can be told apart"""
STEP = 40
"""screen pixels that the view moves by from frame to frame"""
STROKE = 60
"""length of a stroke in screen pixels"""
WARM_UP = 5
SEED = 7


class SlideHand(TimedWindow):
    """The window of a project with one slide, and a hand on its canvas."""

    def __init__(self, project: Path, step: str) -> None:
        from napari_noisyseg.gui.wander.hands import Hands

        super().__init__(project, step)
        self.session = self.panel.session
        self.hands = Hands(self.panel)
        self.live(3.0)
        self.record = self.session.require_image()

    def look_at(self, place: tuple[float, float]) -> None:
        """Put a level-0 place (y, x) in the middle."""
        from napari_noisyseg.gui.canvas.closeup import centre

        centre(self.viewer, self.record, place, VIEW_UM)

    def frame(self) -> float:
        """Milliseconds until the view is drawn again."""
        drawn, began = self.draws, time.perf_counter()
        self.until(lambda: self.draws > drawn)
        return (time.perf_counter() - began) * 1e3

    def stroke(self) -> float:
        """Milliseconds from letting go of the button until the stroke is in the project."""
        from qtpy.QtCore import QPoint
        from qtpy.QtTest import QTest
        from qtpy.QtWidgets import QApplication

        from napari_noisyseg.gui.wander.hands import LEFT, PLAIN

        canvas, nuclei = self.canvas, self.session.require_project().nuclei
        y, x = canvas.height() // 2, canvas.width() // 2
        before = nuclei.version()
        QTest.mouseMove(canvas, QPoint(x, y))
        QTest.mousePress(canvas, LEFT, PLAIN, QPoint(x, y))
        for along in range(0, STROKE, 6):
            QTest.mouseMove(canvas, QPoint(x + along, y))
            QApplication.processEvents()
        began = time.perf_counter()
        QTest.mouseRelease(canvas, LEFT, PLAIN, QPoint(x + STROKE, y))
        stored = self.until(lambda: nuclei.version() != before)
        return (time.perf_counter() - began) * 1e3 if stored else float("nan")


def paint(project: Path, count: int) -> dict[str, Any]:
    """Times of strokes in every field of the slide in turn."""
    from qtpy.QtCore import Qt

    hand = SlideHand(project, "annotate")
    boxes = [f.box for f in hand.session.require_project().nuclei.fields(hand.record.name)]
    random, times = np.random.default_rng(SEED), []
    for number in range(count):
        box = boxes[number % len(boxes)]
        y, x = (random.uniform(low + 60, high - 60) for low, high in
                ((box.y0, box.y1), (box.x0, box.x1)))  # fmt: skip
        hand.look_at((float(y), float(x)))
        hand.live(0.2)
        hand.hands.key(Qt.Key.Key_B)
        times.append(hand.stroke())
    hand.viewer.close()
    return {"strokes": times[len(boxes) :]}  # the first of each field makes its layer


def pan(project: Path, count: int) -> dict[str, Any]:
    """Times of frames while the view moves: with nuclei, and the bare image by turns."""
    hand = SlideHand(project, "train")
    record = hand.record
    ours = [layer for layer in hand.viewer.layers if layer is not hand.session.image_layer()]
    found: dict[str, list[float]] = {"nuclei": [], "bare": []}
    for turn in range(4):
        name = ("nuclei", "bare")[turn % 2]
        shown = [layer for layer in ours if layer.visible]
        for layer in shown if name == "bare" else ():
            layer.visible = False
        hand.look_at((record.height / 2, record.width / 2))
        hand.live(2.0)
        gc.collect()
        for number in range(count + WARM_UP):
            way = STEP if number % (2 * count) < count // 2 else -STEP
            camera = hand.viewer.scene.camera
            camera.center = (0.0, camera.center[-2], camera.center[-1] + way / camera.zoom)
            took = hand.frame()
            if number >= WARM_UP:
                found[name].append(took)
        for layer in shown if name == "bare" else ():
            layer.visible = True
    hand.viewer.close()
    return found


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    # before napari is imported: nobody's settings and nobody's projects are touched
    os.environ["NAPARI_CONFIG"] = str(folder.parent / "settings.yaml")
    os.environ["XDG_DATA_HOME"] = str(folder.parent)
    work = {"paint": paint, "pan": pan}[sys.argv[2]]
    print(json.dumps(work(folder, int(sys.argv[3]))))
