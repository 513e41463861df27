"""The pen: click marks a nucleus, drag moves it, right click removes it, drag elsewhere pans."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from napari.components._viewer_mouse_bindings import double_click_to_zoom

from napari_noisyseg.gui.session import Session
from napari_noisyseg.gui.tools.points import PointsTool

REACH = 8.0
"""screen pixels within which a click is meant for a point"""
STILL = 4.0
"""screen pixels that a click may wander"""
LEFT, RIGHT = 1, 2


class Pen:
    """Mouse on the canvas, while `down`; leaves the mouse alone in napari's own drawing modes."""

    def __init__(self, session: Session, points: PointsTool) -> None:
        self.session, self.points = session, points
        self.down = False
        self._zooms = False

    def take(self) -> None:
        """Take the pen up."""
        if self.down:
            return
        viewer = self.session.viewer
        self.down = True
        viewer.mouse_drag_callbacks.append(self._drag)
        self._zooms = double_click_to_zoom in viewer.mouse_double_click_callbacks
        if self._zooms:
            viewer.mouse_double_click_callbacks.remove(double_click_to_zoom)
        viewer.mouse_double_click_callbacks.append(self._double)
        self.show_cursor()

    def lay(self) -> None:
        """Put the pen down."""
        if not self.down:
            return
        viewer = self.session.viewer
        self.down = False
        viewer.mouse_drag_callbacks.remove(self._drag)
        viewer.mouse_double_click_callbacks.remove(self._double)
        if self._zooms:
            viewer.mouse_double_click_callbacks.append(double_click_to_zoom)
        for layer in viewer.layers:
            if layer.cursor == "crosshair" and getattr(layer, "mode", "") == "pan_zoom":
                layer.cursor = "standard"

    def show_cursor(self) -> None:
        """A crosshair wherever a click would mark a nucleus."""
        active = self.session.viewer.layers.selection.active
        if self.down and active is not None and self._free():
            active.cursor = "crosshair"

    def _free(self) -> bool:
        active = self.session.viewer.layers.selection.active
        return active is None or getattr(active, "mode", "pan_zoom") == "pan_zoom"

    def _place(self, event: Any) -> tuple[float, float] | None:
        layer = self.session.image_layer()
        if layer is None:
            return None
        y, x = layer.world_to_data(event.position)[-2:]
        return float(y), float(x)

    def _radius(self) -> float:
        layer = self.session.image_layer()
        scale = float(layer.scale[-1]) if layer is not None else 1.0
        return REACH / (float(self.session.viewer.scene.camera.zoom) * scale)

    def _drag(self, viewer: Any, event: Any) -> Iterator[None]:
        place = self._place(event)
        if (
            place is None
            or not self._free()
            or event.modifiers
            or event.button not in (LEFT, RIGHT)
        ):
            return
        start, button = np.array(event.pos), event.button
        hit = self.points.hit(*place, self._radius())
        moved = False
        yield
        while event.type == "mouse_move":
            moved = moved or bool(np.linalg.norm(event.pos - start) >= STILL)
            if not moved or (hit is not None and button == LEFT):
                event.handled = True
            if moved and hit is not None and button == LEFT:
                self.points.preview(hit, *(self._place(event) or place))
            yield
        self._release(button, hit, place if not moved else self._place(event), moved)

    def _release(
        self, button: int, hit: int | None, place: tuple[float, float] | None, moved: bool
    ) -> None:
        if place is None:
            return
        if moved:
            if hit is not None and button == LEFT:
                self.points.move(hit, *place)
        elif button == RIGHT and hit is not None:
            self.points.remove([hit])
        elif button == LEFT and hit is not None:
            self.points.select(hit)
        elif button == LEFT:
            self.points.add(*place)
            self.show_cursor()

    def _double(self, viewer: Any, event: Any) -> None:
        """A fast second click marks a second nucleus; it does not zoom."""
        place = self._place(event)
        if place is None or not self._free() or event.modifiers or event.button != LEFT:
            return
        if self.points.hit(*place, self._radius()) is None:
            self.points.add(*place)
