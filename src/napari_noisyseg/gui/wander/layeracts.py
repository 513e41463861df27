"""What the walk may do in napari beside us: the layer list, images that come and go, runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qtpy.QtTest import QTest
from qtpy.QtWidgets import QFileDialog

from napari_noisyseg.gui.canvas import layers
from napari_noisyseg.gui.wander.acts import Did, Do
from napari_noisyseg.gui.wander.hands import LEFT, PLAIN, Hands
from napari_noisyseg.gui.wander.scene import Random, Scene, finish_run
from napari_noisyseg.gui.wander.watch import Stalls
from napari_noisyseg.gui.window import files

MOST = 5
"""images that the project may come to hold"""


class LayerActs:
    """napari's own layer list."""

    def __init__(self, hands: Hands) -> None:
        self.hands, self.viewer = hands, hands.viewer

    def table(self) -> Mapping[Do, float]:
        """Every act with its weight."""
        return {
            self.select: 3, self.click_row: 2, self.eye: 4, self.delete: 1.5, self.rename: 1,
            self.move: 1.5,
        }  # fmt: skip

    def _one(self, random: Random) -> Any:
        return self.viewer.layers[int(random.integers(len(self.viewer.layers)))]

    def select(self, random: Random) -> Did:
        """Select a layer, or none."""
        if not len(self.viewer.layers) or random.random() < 0.1:
            self.viewer.layers.selection.clear()
            return Did("select no layer")
        layer = self._one(random)
        self.viewer.layers.selection.active = layer
        return Did(f"select “{layer.name}”")

    def click_row(self, random: Random) -> Did:
        """Click in the list: it has the keys from now on."""
        view = self.viewer.window._qt_viewer.layers
        if not len(self.viewer.layers):
            return Did("no row to click")
        index = view.model().index(int(random.integers(len(self.viewer.layers))), 0)
        view.scrollTo(index)
        view.setFocus()
        QTest.mouseClick(view.viewport(), LEFT, PLAIN, view.visualRect(index).center())
        return Did(f"click row {index.row()} of the layer list")

    def eye(self, random: Random) -> Did:
        """The eye in the layer list."""
        if not len(self.viewer.layers):
            return Did("no eye to click")
        layer = self._one(random)
        layer.visible = not layer.visible
        return Did(f"eye of “{layer.name}” {'on' if layer.visible else 'off'}")

    def delete(self, random: Random) -> Did:
        """Delete a layer, seldom an image."""
        ours = [x for x in self.viewer.layers if layers.tag(x).get("kind")]
        if random.random() < 0.8:
            ours = [x for x in ours if layers.tag(x)["kind"] != "image"]
        if not ours:
            return Did("no layer to delete")
        layer = ours[int(random.integers(len(ours)))]
        self.viewer.layers.remove(layer)
        return Did(f"delete “{layer.name}”")

    def rename(self, random: Random) -> Did:
        """Give a layer another name."""
        if not len(self.viewer.layers):
            return Did("no layer to rename")
        layer = self._one(random)
        before, layer.name = layer.name, str(random.choice(["mine", "tissue", "NUCLEI 2"]))
        return Did(f"rename “{before}” to “{layer.name}”")

    def move(self, random: Random) -> Did:
        """Drag a layer elsewhere in the list."""
        count = len(self.viewer.layers)
        if count < 2:
            return Did("no layer to move")
        start, end = (int(v) for v in random.integers(count, size=2))
        self.viewer.layers.move(start, end)
        return Did(f"move layer {start} to {end}")


class ImageActs:
    """Images come and go, and a run has finished."""

    def __init__(self, hands: Hands, scene: Scene, stalls: Stalls) -> None:
        self.hands, self.scene, self.stalls = hands, scene, stalls
        self.session = hands.session

    def table(self) -> Mapping[Do, float]:
        """Every act with its weight."""
        return {self.add: 0.6, self.open: 0.7, self.remove: 0.6, self.run: 1.2}

    def add(self, random: Random) -> Did:
        """The menu's “Add images…”."""
        if len(self.session.front.names()) >= MOST:
            return Did("enough images")
        path = _one_of(self.scene.others, random)
        asked = QFileDialog.getOpenFileNames
        setattr(QFileDialog, "getOpenFileNames", lambda *_: ([str(path)], ""))  # noqa: B010
        try:
            files.add_images(self.session, self.hands.panel.header)
        finally:
            setattr(QFileDialog, "getOpenFileNames", asked)  # noqa: B010
        return Did(f"add {path.name}", "any")

    def open(self, random: Random) -> Did:
        """File ▸ Open of napari, or another plugin's image."""
        strangers = [x for x in layers.images(self.hands.viewer) if layers.image_name(x) is None]
        if len(strangers) >= 2:
            self.hands.viewer.layers.remove(strangers[0])
            return Did(f"delete the stranger “{strangers[0].name}”")
        path = _one_of(self.scene.strangers, random)
        self.hands.viewer.open(str(path), plugin="napari")
        return Did(f"open {path.name} in napari")

    def remove(self, random: Random) -> Did:
        """The menu's “Remove this image”."""
        if len(self.session.front.names()) < 2:
            return Did("too few images to remove one")
        name = self.session.image
        files.remove_image(self.session, self.hands.panel.header)
        return Did(f"remove the image {name}", "any")

    def run(self, random: Random) -> Did:
        """A run has finished, and its results are adopted."""
        project = self.session.project
        assert project is not None
        with self.stalls.aside():
            run = finish_run(project, self.scene, random)
        if run is None:
            return Did("no image that a run could be on")
        dock: Any = self.hands.panel.docks["train"]
        dock.adoption.adopt()
        return Did("a run has finished", "any")


def _one_of(paths: list[Path], random: Random) -> Path:
    return paths[int(random.integers(len(paths)))]
