"""The mouse on the canvas: one place that says which tool a press, a drag and a release are for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from napari.components._viewer_mouse_bindings import double_click_to_zoom

from napari_noisyseg.gui.canvas import tissue
from napari_noisyseg.gui.change import Change, What
from napari_noisyseg.gui.session import Session

REACH = 8.0
"""screen pixels within which a click is meant for what is drawn there"""
STILL = 4.0
"""screen pixels that a click may wander"""
LEFT, RIGHT = 1, 2
Place = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Press:
    """A button that went down: where in the world, where in the image in front, and for what.

    `place` is (y, x) in level-0 pixels, `reach` the level-0 pixels that count as a hit. `covered`:
    another image lies over it there, so that nobody can mean what is below.
    """

    position: Any
    place: Place
    reach: float
    right: bool = False
    covered: bool = False


class Drag(Protocol):
    """What a tool makes of a press; `holds`: the drag is the tool's, so the picture stays."""

    holds: bool

    def move(self, place: Place) -> None:
        """The mouse is here now."""

    def end(self, place: Place, moved: bool) -> None:
        """The button came up here."""


class Tool(Protocol):
    """What can be in the hand."""

    def press(self, press: Press) -> Drag | None:
        """A button went down; None leaves it to napari."""

    def cursor(self) -> tuple[str, float]:
        """Napari's name of the cursor, and its size in level-0 pixels where it has one."""


class Hand:
    """Carries the mouse to the tool that `tool()` names; to none while it rests.

    napari's selected layer has no say in it, unless it is somebody else's layer that is being
    drawn on. While `open`, the picture is panned whatever tool there is.
    """

    def __init__(self, session: Session, tool: Callable[[], Tool | None]) -> None:
        self._session, self._tool = session, tool
        self.rests = True
        self.open = False
        viewer = session.viewer
        viewer.mouse_drag_callbacks.append(self._drag)
        viewer.mouse_double_click_callbacks.append(self._double)
        viewer.layers.selection.events.active.connect(self._show_cursor)
        session.on(What.VIEW | What.IMAGE | What.PROJECT, self._on_change)

    def take(self) -> None:
        """Begin to carry."""
        self.rests = False
        self.update()

    def lay(self) -> None:
        """Leave the canvas to napari."""
        self.rests = True
        self.update()

    def loosen(self) -> None:
        """Pan with the left button for a while."""
        self.open = True
        self.update()

    def tighten(self) -> None:
        """The tool is in the hand again."""
        self.open = False
        self.update()

    def tool(self) -> Tool | None:
        """What is in the hand now."""
        return None if self.rests or self.open else self._tool()

    def update(self) -> None:
        """Show the tool's cursor; a fast second click is the tool's, or zooms as napari has it."""
        callbacks = self._session.viewer.mouse_double_click_callbacks
        zooms = self.tool() is None
        if zooms and double_click_to_zoom not in callbacks:
            callbacks.append(double_click_to_zoom)
        elif not zooms and double_click_to_zoom in callbacks:
            callbacks.remove(double_click_to_zoom)
        self._show_cursor()

    def _on_change(self, change: Change) -> None:
        self.update()

    def _show_cursor(self) -> None:
        tool, cursor = self.tool(), self._session.viewer.cursor
        if not self._free():
            return
        style, size = tool.cursor() if tool is not None else ("standard", 1.0)
        layer = self._session.image_layer()
        scale = float(layer.scale[-1]) if layer is not None else 1.0
        cursor.size = size * scale
        cursor.style = style

    def _free(self) -> bool:
        """Whether nobody else's layer is being drawn on."""
        active = self._session.viewer.layers.selection.active
        return active is None or getattr(active, "mode", "pan_zoom") == "pan_zoom"

    def _press(self, event: Any) -> Press | None:
        over = tissue.under(self._session.viewer, event.position)
        layer = self._session.image_layer() or over
        busy = event.modifiers or event.button not in (LEFT, RIGHT)
        if layer is None or busy or not self._free():
            return None
        zoom = float(self._session.viewer.scene.camera.zoom) * float(layer.scale[-1])
        place = tissue.pixel(layer, event.position)
        covered = over is not None and over is not layer
        return Press(event.position, place, REACH / zoom, event.button == RIGHT, covered)

    def _place(self, event: Any) -> Place:
        layer = self._session.image_layer()
        return tissue.pixel(layer, event.position) if layer is not None else (0.0, 0.0)

    def _drag(self, viewer: Any, event: Any) -> Iterator[None]:
        tool, press = self.tool(), self._press(event)
        drag = None
        with self._session.guard():
            drag = tool.press(press) if tool is not None and press is not None else None
        if drag is None or press is None:
            return
        with self._held(drag.holds):
            yield from self._follow(event, drag, press)

    @contextmanager
    def _held(self, holds: bool) -> Iterator[None]:
        """The picture stays where it is while a tool is dragged.

        To call the moves handled is not enough: napari hears of two within 5 ms later than vispy,
        which has panned by then.
        """
        camera = self._session.viewer.scene.camera
        pans = camera.mouse_pan
        camera.mouse_pan = pans and not holds
        try:
            yield
        finally:
            camera.mouse_pan = pans

    def _follow(self, event: Any, drag: Drag, press: Press) -> Iterator[None]:
        """The moves of a drag and its end, as napari's event becomes one after the other."""
        start, moved = np.array(event.pos), False
        yield
        while event.type == "mouse_move":
            moved = moved or bool(np.linalg.norm(event.pos - start) >= STILL)
            if not moved or drag.holds:
                event.handled = True
            if moved and drag.holds:
                drag.move(self._place(event))
            yield
        with self._session.guard():
            drag.end(self._place(event) if moved else press.place, moved)

    def _double(self, viewer: Any, event: Any) -> None:
        """A fast second click is a click like any other."""
        tool, press = self.tool(), self._press(event)
        if tool is None or press is None:
            return
        with self._session.guard():
            drag = tool.press(press)
            if drag is not None:
                drag.end(press.place, False)
