"""A window whose frames are counted when they are finished: for what is timed on the canvas."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SIZE = (1500, 950)
PATIENCE = 10.0
"""seconds after which what was waited for will not come"""


class TimedWindow:
    """The window of a project; `draws` counts the frames of its canvas that were finished."""

    def __init__(self, project: Path, step: str) -> None:
        from napari_noisyseg.gui.launch import show
        from napari_noisyseg.gui.window.keyfilter import canvases

        self.viewer, self.panel = show(project, step=step)
        self.viewer.window._qt_window.resize(*SIZE)
        (self.canvas,) = canvases(self.viewer)
        self.draws = 0
        scene = self.viewer.window._qt_viewer.canvas._scene_canvas
        scene.events.draw.connect(self._drawn, position="last")

    def _drawn(self, event: Any) -> None:
        from vispy.gloo import gl

        gl.glFinish()
        self.draws += 1

    def live(self, seconds: float) -> None:
        """Let the window live."""
        self.until(lambda: False, seconds, rest=0.001)

    def until(
        self, happened: Callable[[], bool], seconds: float = PATIENCE, rest: float = 0.0
    ) -> bool:
        """Let the window live until something happened, with `rest` seconds between two looks."""
        from qtpy.QtWidgets import QApplication

        end = time.monotonic() + seconds
        while not (done := happened()) and time.monotonic() < end:
            QApplication.processEvents()
            if rest:
                time.sleep(rest)
        return done
