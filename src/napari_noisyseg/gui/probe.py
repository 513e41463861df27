"""How smooth the window is, idle and in training: lateness of a 10 ms timer, delay of a click.

Both alone on the machine and beside other programs that want every core.

`python -m napari_noisyseg.gui.probe PROJECT IDLE_SECONDS TRAINING_SECONDS` prints one line of JSON.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import Qt, QTimer
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_noisyseg.benchmarks.busy import busy, seconds_of
from napari_noisyseg.errors import JobError
from napari_noisyseg.gui.launch import show
from napari_noisyseg.gui.tools.kit import kit_of

TICK_MS = 10
CLICK_EVERY = 0.7
WARM_UP = 5
"""clicks that are not counted: the first ones build the labels' caches"""


class Probe:
    """A timer in the window's thread, and points placed as a click places them."""

    def __init__(self, project: Path) -> None:
        self.viewer, self.panel = show(project, step="train")
        self.viewer.window._qt_window.resize(1500, 950)
        self.random = np.random.default_rng(0)
        self.gaps: list[float] = []
        self.last = time.perf_counter()
        self.timer = QTimer(interval=TICK_MS, timerType=Qt.TimerType.PreciseTimer)
        self.timer.timeout.connect(self._tick)

    def _tick(self) -> None:
        now = time.perf_counter()
        self.gaps.append((now - self.last) * 1e3)
        self.last = now

    def click(self) -> float:
        """Place a point and show it, then take it away; milliseconds until it was shown."""
        session = self.panel.session
        record = session.require_image()
        y, x = self.random.uniform(20, min(record.height, record.width) - 20, 2)
        began = time.perf_counter()
        nucleus = kit_of(session).points.add(float(y), float(x))
        QApplication.processEvents()
        taken = (time.perf_counter() - began) * 1e3
        if nucleus is not None:
            kit_of(session).points.remove([nucleus.serial])
        return taken

    def measure(self, seconds: float) -> dict[str, float]:
        """Lateness of the timer and delay of clicks over so many seconds."""
        for _ in range(WARM_UP):
            self.click()
        self.gaps.clear()
        quiet, clicks = self._quiet(seconds / 2), self._clicking(seconds / 2)
        gaps = np.array(quiet)
        return {
            "p50_ms": float(np.percentile(gaps, 50)),
            "p95_ms": float(np.percentile(gaps, 95)),
            "p99_ms": float(np.percentile(gaps, 99)),
            "max_ms": float(gaps.max()),
            "point_ms": float(np.median(clicks)),
            "point_p95_ms": float(np.percentile(clicks, 95)),
        }

    def _quiet(self, seconds: float) -> list[float]:
        """Gaps between ticks while nobody touches the window (previews and plots still come)."""
        self.last = time.perf_counter()
        self.timer.start()
        self.live(seconds)
        self.timer.stop()
        return list(self.gaps)

    def _clicking(self, seconds: float) -> list[float]:
        end, found = time.monotonic() + seconds, []
        while time.monotonic() < end:
            found.append(self.click())
            self.live(CLICK_EVERY)
        return found

    def live(self, seconds: float) -> None:
        """Let the window live."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            QApplication.processEvents()
            time.sleep(0.001)

    def train(self, seconds: float) -> Any:
        """Press Train for so long and stay until steps are made."""
        dock: Any = self.panel.docks["train"]
        dock.options.length.addItem(f"{seconds:g} seconds", seconds)
        dock.options.length.setCurrentIndex(dock.options.length.count() - 1)
        QTest.mouseClick(dock.button, Qt.MouseButton.LeftButton)
        end = time.monotonic() + 60
        while not dock.follower.living:
            if time.monotonic() > end:
                raise JobError("the training did not start")
            self.live(0.1)
        self.live(8.0)
        return dock

    def measure_busy(self, seconds: float) -> dict[str, float]:
        """The same while other programs want every core; with the training's share, if one runs."""
        dock: Any = self.panel.docks["train"]
        with busy():
            began, used = time.monotonic(), self._used(dock)
            runs = dock.follower.living
            found = self.measure(seconds)
            if dock.follower.living != runs:
                raise JobError("the training ended before it was measured")
            found["share"] = (self._used(dock) - used) / (time.monotonic() - began)
        return found

    def _used(self, dock: Any) -> float:
        """Seconds of processor time of the living training; 0 without one."""
        project = self.panel.session.require_project()
        workers = [project.runs.get(run).worker() for run in dock.follower.living]
        return sum(seconds_of(int(worker["pid"])) for worker in workers if worker is not None)


def probe(project: Path, idle: float, training: float) -> dict[str, dict[str, float]]:
    """Idle and beside other programs, without and with a run, which is stopped at the end."""
    window = Probe(project)
    window.live(5.0)
    found = {"idle": window.measure(idle), "busy": window.measure_busy(idle)}
    dock = window.train(training * 3 + 60)
    found["training"] = window.measure(training)
    found["busy training"] = window.measure_busy(training)
    dock.stop()
    end = time.monotonic() + 90
    while dock.follower.living and time.monotonic() < end:
        window.live(0.5)
    window.viewer.close()
    return found


if __name__ == "__main__":
    print(json.dumps(probe(Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]))))
