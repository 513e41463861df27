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

from napari_noisyseg.gui.timed import TimedWindow

REST = 0.12
"""seconds between two decisions in which the window is left alone: nobody is faster for long"""
WARM_UP = 10
"""decisions that are not counted: the first ones fill caches"""
SETTLED = 200
"""decisions after which the memory is looked at first"""
SEED = 1
KEYS = {"A": 0.7, "R": 0.12, "U": 0.1, "Z": 0.08}
"""each key and how often it is pressed; Z takes the last decision back"""


class Reviewer(TimedWindow):
    """The window of a project with its review open, and keys pressed on the canvas."""

    def __init__(self, project: Path) -> None:
        super().__init__(project, "review")
        self.dock: Any = self.panel.docks["review"]
        self.random = np.random.default_rng(SEED)
        self.live(2.0)
        self.until(lambda: self.dock.review.item is not None)
        self.live(1.0)

    def press(self, key: str) -> tuple[float, float]:
        """Press a key; milliseconds of the clock, and of the processor, until all is drawn."""
        from qtpy.QtCore import Qt
        from qtpy.QtTest import QTest

        before, drawn = self.dock.review.nucleus, self.draws
        began, used = time.perf_counter(), time.thread_time()
        QTest.keyClick(self.canvas, getattr(Qt.Key, f"Key_{key}"))

        def shown() -> bool:
            return self.dock.canvas.shown == self.dock.review.nucleus and self.draws > drawn

        # without a rest all of the processor's time would seem to be ours
        self.until(shown, rest=0.0002)
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
