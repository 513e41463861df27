"""The demo without hands: the whole path in the real window, by mouse and key, with pictures.

`python -m napari_noisyseg.gui.walk FOLDER SECONDS`, on a display or a virtual one.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_noisyseg import samples
from napari_noisyseg.errors import JobError
from napari_noisyseg.exchange.exporting import export
from napari_noisyseg.gui.launch import show
from napari_noisyseg.gui.window.keyfilter import canvases
from napari_noisyseg.metrics import aji
from napari_noisyseg.slides import read_labels

SIZE = (1500, 950)
ACCEPTED, REJECTED = 5, 1
PATIENCE = 60.0
"""seconds beyond the training that starting and reading results may take"""


class Walk:
    """The window of a project (the demo's by default), and a person's steps through it."""

    def __init__(self, folder: Path, project: Path | None = None) -> None:
        self.folder = folder
        self.project = project or samples.demo_project(folder)
        self.viewer, self.panel = show(self.project, step="annotate")
        self.window: Any = self.viewer.window._qt_window
        self.window.resize(*SIZE)
        self.wait(0.5)
        self.panel.session.front.fit()
        self.wait(1.0)

    def wait(self, seconds: float) -> None:
        """Let the window live for a while."""
        self.until(lambda: False, seconds)

    def until(self, happened: Callable[[], bool], seconds: float) -> bool:
        """Let the window live until something happened, or for so long."""
        end = time.monotonic() + seconds
        while not happened() and time.monotonic() < end:
            QApplication.processEvents()
            time.sleep(0.005)
        return happened()

    def picture(self, name: str) -> None:
        """A picture of the whole window."""
        self.wait(0.5)
        self.viewer.screenshot(str(self.folder / f"{name}.png"), canvas_only=False, flash=False)

    def train(self, seconds: float, method: str | None = None) -> None:
        """Press Train (with the method that is recommended, or this one) and stay to its end."""
        self.panel.open_step("train")
        dock: Any = self.panel.docks["train"]
        if method is not None:
            dock.options.method.setCurrentIndex(dock.options.method.findData(method))
            dock.options.method.activated.emit(dock.options.method.currentIndex())
        dock.options.length.addItem(f"{seconds:g} seconds", seconds)
        dock.options.length.setCurrentIndex(dock.options.length.count() - 1)
        QTest.mouseClick(dock.button, Qt.MouseButton.LeftButton)
        if not self.until(lambda: bool(dock.follower.living), PATIENCE):
            raise JobError("the training did not start")
        self.until(lambda: not dock.follower.living, seconds / 2)
        self.picture("train")
        self.until(lambda: not dock.follower.living, seconds + PATIENCE)
        project = self.panel.session.require_project()
        images = [record.name for record in project.images()]
        if not self.until(lambda: any(map(project.nuclei.adopted_run, images)), PATIENCE):
            raise JobError(f"no refined nuclei; see the log of the run in {self.project / 'runs'}")

    @property
    def counts(self) -> Any:
        """Nuclei by state."""
        return self.panel.session.require_project().nuclei.counts()

    def review(self) -> None:
        """Accept some nuclei and reject one, by key, on the canvas."""
        self.panel.open_step("review")
        dock: Any = self.panel.docks["review"]
        self.until(lambda: dock.review.item is not None, PATIENCE)
        canvas = canvases(self.viewer)[0]
        for key in [Qt.Key.Key_A] * ACCEPTED + [Qt.Key.Key_R] * REJECTED:
            QTest.keyClick(canvas, key)
            self.wait(0.3)
        self.picture("review")

    def export(self) -> None:
        """All refined nuclei, as label TIFF and for QuPath."""
        project = self.panel.session.require_project()
        for form in ("labels", "geojson"):
            export(project, self.folder / "export", form, "refined")

    def figures(self) -> dict[str, float]:
        """What the walk came to, scored against the experts' outlines of the bundled field."""
        project = self.panel.session.require_project()
        name = project.images()[0].name
        truth = read_labels(samples.FIELD_NUCLEI)
        refined = project.labels.read(name, "refined")
        assert refined is not None
        return {
            "nuclei": self.counts.points,
            "refined": self.counts.candidates,
            "accepted": self.counts.accepted,
            "rejected": self.counts.rejected,
            "aji_refined": round(aji(refined, truth), 3),
        }


def walk(folder: Path, seconds: float) -> dict[str, float]:
    """Points, coarse labels, a short training, refined nuclei, review, export; its figures.

    With no seconds to train it ends after the coarse labels.
    """
    steps = Walk(folder)
    look(steps)
    found = work(steps, seconds) if seconds else {}
    steps.viewer.close()
    return found


def look(steps: Walk) -> None:
    """The first two steps, where nothing has to be waited for."""
    print("1 annotate: the bundled field, its points placed", flush=True)
    steps.picture("annotate")
    print("2 coarse labels", flush=True)
    steps.panel.open_step("coarse")
    steps.wait(2.0)
    steps.picture("coarse")


def work(steps: Walk, seconds: float) -> dict[str, float]:
    """Train, review, export; the figures, which lie in the folder too."""
    print(f"3 train: {seconds:g} seconds", flush=True)
    steps.train(seconds)
    print("4 review", flush=True)
    steps.review()
    steps.export()
    found = steps.figures()
    (steps.folder / "figures.json").write_text(json.dumps(found, indent=1))
    return found


if __name__ == "__main__":
    for figure, value in walk(Path(sys.argv[1]), float(sys.argv[2])).items():
        print(f"  {figure:12s} {value}")
    print(f"pictures, figures and exports are in {sys.argv[1]}")
