"""One nucleus on the canvas: centred at a constant zoom in µm, its old and its new outline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray

from napari_noisyseg.gui.canvas import layers
from napari_noisyseg.gui.canvas.outlines import Paths, outline_paths, outlines_of
from napari_noisyseg.slides import Box
from napari_noisyseg.store.records import ImageRecord, Outline

KIND = "judged"
BEFORE, NOW, SKETCH, CHOSEN = 1, 2, 3, 10
"""the two outlines, a line that is being drawn, and the first of those that are chosen together,
by the number that they are drawn under"""


def centre(
    viewer: Any,
    record: ImageRecord,
    point: tuple[float, float],
    view_um: float,
    within: bool = False,
) -> None:
    """Put a level-0 point (y, x) in the middle; the canvas's shorter side shows `view_um`.

    within: as near to the middle as can be without a view that reaches beyond the image.
    """
    where = layers.geometry(viewer, record)
    scale, corner = np.array(where["scale"]), np.array(where["translate"])
    at = corner + scale * np.array(point)
    camera, size = viewer.scene.camera, np.array(canvas_size(viewer), float)
    if view_um > 0 and size.min() > 0:
        zoom = float(size.min()) / view_um
        if not np.isclose(camera.zoom, zoom):
            camera.zoom = zoom
        if within:
            # pixel centres are at whole numbers: the image begins half a pixel before its corner
            half, shape = size / zoom / 2, np.array((record.height, record.width))
            low, high = corner - scale / 2 + half, corner + scale * (shape - 0.5) - half
            at = np.where(low < high, np.clip(at, low, high), (low + high) / 2)
    camera.center = (0.0, *at.tolist())


def canvas_size(viewer: Any) -> tuple[int, int]:
    """Height and width of the canvas in screen pixels; a guess where there is no window."""
    window = getattr(viewer, "window", None)
    qt_viewer = getattr(window, "_qt_viewer", None)
    if qt_viewer is None:
        return 800, 800
    size = qt_viewer.canvas.size
    return int(size[0]), int(size[1])


class Closeup:
    """The layer that carries the outlines of the nucleus under review, made when needed.

    Its pixels are clear: what is seen are two lines of the same width on the screen at any zoom.
    """

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self._sketch: NDArray[np.floating] | None = None

    @property
    def layer(self) -> Any | None:
        """Our layer, however it is called by now; None when it is gone."""
        ours = (x for x in self._viewer.layers if layers.tag(x).get("kind") == KIND)
        return next(ours, None)

    def show(
        self,
        record: ImageRecord,
        new: Paths,
        old: Paths,
        chosen: Sequence[Outline] = (),
    ) -> None:
        """Draw both outlines, the old one under the new, and those that are chosen together.

        new, old: their lines (`outline_paths`), none where there is no such outline.
        """
        layer = self.layer
        if layer is not None and layers.image_name(layer) != record.name:
            layers.hand_over(self._viewer, layer, record, KIND)
            layer.visible = True
        layer = layer or self._make(record)
        paths: dict[int, Any] = {n: o for n, o in ((BEFORE, old), (NOW, new)) if len(o)}
        if self._sketch is not None:
            paths[SKETCH] = [self._sketch]
        many = {CHOSEN + n: outline_paths(o) for n, o in enumerate(chosen)}
        pens = {BEFORE: "before", NOW: "now", SKETCH: "sketch"}
        outlines_of(layer).set_all(paths | many, pens | dict.fromkeys(many, "chosen"))

    def sketch(self, record: ImageRecord, line: NDArray[np.floating] | None) -> None:
        """Draw a line (n, 2) of (y, x) that is not kept, or take it away."""
        self._sketch = line if line is not None and len(line) > 1 else None
        layer = self.layer
        if self._sketch is not None:
            layer = layer if layer is not None else self._make(record)
            outlines_of(layer).put(SKETCH, [self._sketch], "sketch")
        elif layer is not None:
            outlines_of(layer).drop(SKETCH)

    def clear(self) -> None:
        """Draw nothing; the layer stays, as making one takes napari a while."""
        if (layer := self.layer) is not None:
            outlines_of(layer).set_all({}, {})

    def remove(self) -> None:
        """Take our layer from the viewer."""
        if (layer := self.layer) is not None:
            self._viewer.layers.remove(layer)

    def _make(self, record: ImageRecord) -> Any:
        where = layers.geometry(self._viewer, record)
        # one pixel that nobody sees: napari draws overlays only on layers that hold something
        layer = Labels(np.zeros((1, 1), np.uint8), name=layers.name_of(record, KIND), **where)
        layer.editable = False
        return layers.insert(self._viewer, layer, record, KIND)


def visible_box(viewer: Any, record: ImageRecord) -> Box:
    """The part of the image that the canvas shows now, in level-0 pixels."""
    where = layers.geometry(viewer, record)
    scale, shift = np.array(where["scale"]), np.array(where["translate"])
    camera = viewer.scene.camera
    half = np.array(canvas_size(viewer)) / max(camera.zoom, 1e-9) / 2
    middle = np.array(camera.center[-2:])
    low = np.floor((middle - half - shift) / scale + 0.5).astype(int)
    high = np.ceil((middle + half - shift) / scale + 0.5).astype(int)
    return Box(*map(int, low), *map(int, high)).clip((record.height, record.width))
