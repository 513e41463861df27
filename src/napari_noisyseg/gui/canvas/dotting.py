"""Dots and densities on the graphics card."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari._vispy.overlays.base import LayerOverlayMixin, VispySceneOverlay
from napari._vispy.utils.visual import overlay_to_visual
from numpy.typing import NDArray
from vispy.color import Color
from vispy.scene import Node
from vispy.scene.visuals import Image, Markers
from vispy.visuals.transforms import STTransform

from napari_noisyseg.gui.canvas.dots import DOTS, DotsOverlay, Marks, Shaded
from napari_noisyseg.gui.widgets.pens import CASING, CASING_OPACITY, EDGE, RING

CLEAR = (0.0, 0.0, 0.0, 0.0)


class DotsNode(Node):  # type: ignore[misc]
    """Densities, and dots above them; x, y in the layer's pixels, whose centres are whole."""

    def __init__(self) -> None:
        super().__init__()
        self.image = Image(np.zeros((1, 1, 4), np.uint8), interpolation="linear", parent=self)
        self.markers = Markers(parent=self)
        self.markers.order = 1
        self.image.visible = self.markers.visible = False

    def set_gl_state(self, **state: Any) -> None:
        """As a visual has it."""
        self.image.set_gl_state(**state)
        self.markers.set_gl_state(**state)

    def shade(self, shaded: Shaded | None) -> None:
        """Draw densities, or none."""
        self.image.visible = shaded is not None
        if shaded is None:
            return
        y, x = shaded.origin
        self.image.set_data(shaded.rgba)
        self.image.transform = STTransform((shaded.step, shaded.step), (x - 0.5, y - 0.5))

    def mark(self, marks: Marks, colors: NDArray[np.float32]) -> None:
        """Draw dots of these colours (n, 4), or none."""
        self.markers.visible = bool(len(marks.places))
        if not len(marks.places):
            return
        hollow = np.array([dot.hollow for dot in DOTS.values()])[marks.looks]
        dark = np.array((*Color(CASING).rgb, CASING_OPACITY), np.float32)
        self.markers.set_data(
            np.ascontiguousarray(marks.places[:, ::-1]),
            size=np.array([dot.width for dot in DOTS.values()], np.float32)[marks.looks],
            edge_width=np.where(hollow, RING, EDGE),
            edge_color=np.where(hollow[:, None], colors, dark),
            face_color=np.where(hollow[:, None], np.array(CLEAR, np.float32), colors),
            symbol="disc",
        )


class VispyDots(LayerOverlayMixin, VispySceneOverlay):  # type: ignore[misc]
    """Draws the dots of one layer in one window; napari makes it and closes it."""

    node: DotsNode
    overlay: DotsOverlay

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(node=DotsNode(), **kwargs)
        self.overlay.events.revision.connect(self._on_change)
        self.overlay.events.by_group.connect(self._on_change)
        self.reset()
        # napari moves what lies on a layer by half a pixel, but not what comes to it later
        self.layer.events.scale()

    def _on_change(self) -> None:
        self.node.shade(self.overlay.shaded)
        self.node.mark(self.overlay.marks, self._colours())
        self.node.update()

    def _colours(self) -> NDArray[np.float32]:
        """Of each dot, float (n, 4): its state's, or its class's."""
        marks, overlay = self.overlay.marks, self.overlay
        of_looks = np.array([Color(dot.color).rgba for dot in DOTS.values()], np.float32)
        found = of_looks[marks.looks]
        if overlay.by_group and overlay.colors:
            of_groups = np.array([Color(color).rgba for color in overlay.colors], np.float32)
            known = (marks.groups > 0) & (marks.groups <= len(of_groups))
            found[known] = of_groups[marks.groups[known] - 1]
        return found

    def reset(self) -> None:
        """Take everything from the model again."""
        super().reset()
        self._on_change()

    def close(self) -> None:
        """Let go of the model, which may live on."""
        self.overlay.events.revision.disconnect(self._on_change)
        self.overlay.events.by_group.disconnect(self._on_change)
        super().close()


def register(model: type) -> None:
    """Tell napari to draw overlays of this class so."""
    overlay_to_visual[model] = VispyDots
