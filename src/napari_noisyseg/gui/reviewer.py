"""A reviewer without a person: keys in the real window, and when the next nucleus was drawn.

`python -m napari_noisyseg.gui.reviewer PROJECT LOOKS DECISIONS` prints one line of JSON. The first
LOOKS decisions are timed one by one, as a person makes them; all DECISIONS are for the memory.
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
import psutil

REST = 0.12
"""seconds between two decisions in which the window is left alone: nobody is faster for long"""
WARM_UP = 10
"""decisions that are not counted: the first ones fill caches"""
SETTLED = 200
"""decisions after which the memory is looked at first"""
PATIENCE = 10.0
SEED = 1
KEYS = {"A": 0.7, "R": 0.12, "U": 0.1, "Z": 0.08}
"""each key and how often it is pressed; Z takes the last decision back"""


class Reviewer:
    """The window of a project with its review open, and keys pressed on the canvas."""

    def __init__(self, project: Path) -> None:
        from napari_noisyseg.gui.launch import show
        from napari_noisyseg.gui.window.keyfilter import canvases

        self.viewer, self.panel = show(project, step="review")
        self.viewer.window._qt_window.resize(1500, 950)
        self.dock: Any = self.panel.docks["review"]
        (self.canvas,) = canvases(self.viewer)
        self.random = np.random.default_rng(SEED)
        self.draws = 0
        self._scene = self.viewer.window._qt_viewer.canvas._scene_canvas
        self._scene.events.draw.connect(self._drawn, position="last")
        self.live(2.0)
        self._until(lambda: self.dock.review.item is not None)
        self.live(1.0)

    def _drawn(self, event: Any) -> None:
        from vispy.gloo import gl

        gl.glFinish()
        self.draws += 1

    def live(self, seconds: float) -> None:
        """Let the window live."""
        from qtpy.QtWidgets import QApplication

        end = time.monotonic() + seconds
        while time.monotonic() < end:
            QApplication.processEvents()
            time.sleep(0.001)

    def _until(self, happened: Any) -> None:
        from qtpy.QtWidgets import QApplication

        end = time.monotonic() + PATIENCE
        while not happened() and time.monotonic() < end:
            QApplication.processEvents()
            time.sleep(0.0002)  # without it all of the processor's time would seem to be ours

    def press(self, key: str) -> tuple[float, float]:
        """Press a key; milliseconds of the clock, and of the processor, until all is drawn."""
        from qtpy.QtCore import Qt
        from qtpy.QtTest import QTest

        before, drawn = self.dock.review.nucleus, self.draws
        began, used = time.perf_counter(), time.thread_time()
        QTest.keyClick(self.canvas, getattr(Qt.Key, f"Key_{key}"))

        def shown() -> bool:
            return self.dock.canvas.shown == self.dock.review.nucleus and self.draws > drawn

        self._until(shown)
        took = (time.perf_counter() - began) * 1e3, (time.thread_time() - used) * 1e3
        # there is no next nucleus where an undo was about this one; what is never drawn counts
        return took if self.dock.review.nucleus != before else (float("nan"), float("nan"))

    def decide(self) -> tuple[float, float]:
        """One decision; where all have one already, on the nucleus after this one."""
        item = self.dock.review.item
        key = str(self.random.choice(list(KEYS), p=list(KEYS.values())))
        took = self.press(key)
        if self.dock.review.item is item and key != "Z":
            self.press("Right")
        return took


def review(project: Path, looks: int, decisions: int) -> dict[str, Any]:
    """Times of single decisions, with a rest before each and without, and the memory over all."""
    window, process = Reviewer(project), psutil.Process()
    window.dock.learning.switch(False)  # its lessons are a child's work and no part of the key's
    calm: list[tuple[float, float]] = []
    hurried: list[tuple[float, float]] = []
    memory = []
    for number in range(decisions):
        if number < looks:
            window.live(REST)
        found = window.decide()
        if number >= WARM_UP:
            (calm if number < looks else hurried).append(found)
        if (number >= SETTLED and number % SETTLED == 0) or number == decisions - 1:
            gc.collect()
            memory.append(process.memory_info().rss / 2**20)
    window.viewer.close()
    some = [[t for t in times if t[0] == t[0]] for times in (calm, hurried)]
    return {"calm": some[0], "hurried": some[1], "memory_mb": memory}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    # before napari is imported: nobody's settings and nobody's projects are touched
    os.environ["NAPARI_CONFIG"] = str(folder.parent / "settings.yaml")
    os.environ["XDG_DATA_HOME"] = str(folder.parent)
    print(json.dumps(review(folder, int(sys.argv[2]), int(sys.argv[3]))))
