"""One nucleus on the canvas: centred at a constant zoom in µm, its old and its new outline."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Shapes
from numpy.typing import NDArray
from skimage.measure import approximate_polygon, find_contours

from napari_noisyseg.gui.canvas import layers
from napari_noisyseg.slides import Box
from napari_noisyseg.store.records import ImageRecord, Outline

KIND = "judged"
NEW, OLD = "#ffffff", "#ff9f1c"
EDGE_UM = {NEW: 0.18, OLD: 0.12}
"""width of the outlines: at the usual view of 40 µm two to four screen pixels"""
SMOOTH = 0.4
"""level-0 pixels by which a drawn outline may leave the mask's: it is not a staircase then"""


def centre(viewer: Any, record: ImageRecord, point: tuple[float, float], view_um: float) -> None:
    """Put a level-0 point (y, x) in the middle; the canvas's shorter side shows `view_um`."""
    where = layers.geometry(viewer, record)
    at = np.array(where["translate"]) + np.array(where["scale"]) * np.array(point)
    camera = viewer.scene.camera
    camera.center = (0.0, *at)
    shorter = min(canvas_size(viewer))
    if view_um > 0 and shorter > 0:
        zoom = shorter / view_um
        if not np.isclose(camera.zoom, zoom):
            camera.zoom = zoom


def canvas_size(viewer: Any) -> tuple[int, int]:
    """Height and width of the canvas in screen pixels; a guess where there is no window."""
    window = getattr(viewer, "window", None)
    qt_viewer = getattr(window, "_qt_viewer", None)
    if qt_viewer is None:
        return 800, 800
    size = qt_viewer.canvas.size
    return int(size[0]), int(size[1])


def outline_paths(outline: Outline) -> list[NDArray[np.float64]]:
    """Contours of a mask, each (n, 2) of (y, x) in level-0 pixels, on the pixels' edges."""
    padded = np.pad(outline.mask.astype(np.uint8), 1)
    corner = np.array([outline.box.y0 - 1, outline.box.x0 - 1], dtype=float)
    paths = [approximate_polygon(path, SMOOTH) for path in find_contours(padded, 0.5)]
    return [path + corner for path in paths if len(path) > 3]


class Closeup:
    """The Shapes layer that carries the outlines of the nucleus under review, made when needed."""

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer

    @property
    def layer(self) -> Any | None:
        """Our layer, however it is called by now; None when it is gone."""
        ours = (x for x in self._viewer.layers if layers.tag(x).get("kind") == KIND)
        return next(ours, None)

    def show(self, record: ImageRecord, new: Outline | None, old: Outline | None) -> None:
        """Draw both outlines; the old one lies under the new."""
        paths = [(path, OLD) for path in (outline_paths(old) if old is not None else ())]
        paths += [(path, NEW) for path in (outline_paths(new) if new is not None else ())]
        layer = self.layer
        if layer is not None and layers.image_name(layer) != record.name:
            self.remove()
            layer = None
        layer = layer or self._make(record)
        self._place(layer, record)
        # the viewer need not hear: it would work out the extent of all layers anew, twice
        with layer.events.data.blocker():
            layer.data = []
            if paths:
                # closed paths: the face of a polygon takes a tenth of a second to triangulate
                layer.add_paths(
                    [path for path, _ in paths],
                    edge_color=[colour for _, colour in paths],
                    edge_width=[EDGE_UM[colour] / record.mpp for _, colour in paths],
                )
            layer.selected_data = set()

    def remove(self) -> None:
        """Take our layer from the viewer."""
        if (layer := self.layer) is not None:
            self._viewer.layers.remove(layer)

    def _make(self, record: ImageRecord) -> Any:
        where = layers.geometry(self._viewer, record)
        layer = Shapes(ndim=2, name=layers.name_of(record, KIND), opacity=0.95, **where)
        layer.editable = False
        return layers.insert(self._viewer, layer, record, KIND)

    def _place(self, layer: Any, record: ImageRecord) -> None:
        where = layers.geometry(self._viewer, record)
        for name in ("scale", "translate"):
            if not np.allclose(getattr(layer, name), where[name]):
                setattr(layer, name, where[name])


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
