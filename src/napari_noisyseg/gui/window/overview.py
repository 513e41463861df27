"""The overview of a large image, in the corner of the canvas: fields, what was searched, the view.

The picture on it is made out of the way; what comes after something else is in front is dropped.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QWidget

from napari_noisyseg.gui.canvas import dots, looks, tissue
from napari_noisyseg.gui.change import FRONT, Change, What
from napari_noisyseg.gui.controllers import overview
from napari_noisyseg.gui.controllers.overview import Frame, Searched
from napari_noisyseg.gui.session import Session
from napari_noisyseg.gui.tools.kit import kit_of
from napari_noisyseg.gui.widgets.smallmap import Line, Outlined, SmallMap
from napari_noisyseg.gui.widgets.theme import THEME, palette
from napari_noisyseg.slides import Slide, from_array, open_image
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.spots import Spots

SIDE, CORNER = 168, 10
"""screen pixels: of the map at most, and to the canvas's edges"""
SHARE = 0.3
"""of the canvas that the map may take, along either side"""
FINE = 2
"""pixels of the picture to the screen's, for sharp screens"""
KEPT = 8
"""images whose small picture is kept"""
HEARD = What.CANDIDATES | What.FIELDS | What.IMAGES | What.VIEW | What.LAYERS | FRONT
TIP = "Click or drag to go there. The white frame is what you see now."


class Wanted(NamedTuple):
    """What a picture is of, and where its pixels are read."""

    project: Project | None
    image: str
    shape: tuple[int, int]
    frame: Frame
    read: Callable[[], Slide]


class Made(NamedTuple):
    """A picture that was made, and what there is to say of it."""

    small: NDArray[np.uint8] | None
    map: NDArray[np.uint8]
    found: Searched
    nuclei: int


class Overview(QObject):  # type: ignore[misc]
    """Keeps the map at what the session shows; there is one for each window."""

    def __init__(self, session: Session, canvas: QWidget) -> None:
        super().__init__(canvas)
        self.session, self._canvas = session, canvas
        self.map = SmallMap(canvas, "Overview", TIP, "Hide the overview (O brings it back)")
        self.map.hide()
        self._frame: Frame | None = None
        self._small: dict[tuple[object, str, Frame], NDArray[np.uint8]] = {}
        self._busy = self._again = False
        self._made: tuple[Wanted, Made] | None = None
        self.map.sought.connect(self._go)
        self.map.closed.connect(self.flip)
        canvas.installEventFilter(self)
        camera = session.viewer.scene.camera
        for event in (camera.events.zoom, camera.events.center):
            event.connect(self._on_camera)
        session.viewer.events.theme.connect(self._restyle)
        kit_of(session).spotting.changed.connect(self._ask)
        session.on(HEARD, self._follow)
        session.ending.connect(self._end)
        self._restyle()
        self.refresh()

    @property
    def shown(self) -> bool:
        """Whether the map is to be seen: as a person wants, else where the image is large."""
        wanted = self.session.view.overview
        if self.session.image_layer() is None or self.session.viewer.dims.ndisplay != 2:
            return False
        return self._usual if wanted is None else wanted

    @property
    def _usual(self) -> bool:
        """Whether the map is seen where a person wants neither: of a large image."""
        layer = self.session.image_layer()
        return layer is not None and overview.of_use(_shape(layer), self._room())

    def flip(self) -> None:
        """Show the map, or hide it; back at what is usual here, other images have the usual too."""
        wanted = not self.shown
        self.session.look(overview=None if wanted is self._usual else wanted)

    # --- following -----------------------------------------------------------------------------

    def _follow(self, change: Change) -> None:
        if change.concerns(self.session.image):
            self.refresh()
            bare = self._made is not None and self._made[1].small is None
            # layers came: perhaps the coarser levels of a slide that had none
            news = ~(What.VIEW | What.FIELDS) if bare else ~(What.VIEW | What.LAYERS | What.FIELDS)
            if change.what & news:
                self._ask()

    def refresh(self) -> None:
        """Show what is shown; what takes long is asked for."""
        shown, layer = self.shown, self.session.image_layer()
        self.map.setVisible(shown)
        if not shown or layer is None:
            return
        height, width = self._room()
        room = (min(SIDE, int(SHARE * height)), min(SIDE, int(SHARE * width)))
        frame = Frame.of(_shape(layer), (max(room[0], 40), max(room[1], 40)))
        if frame != self._frame:
            self._frame = frame
            self.map.show_size(*frame.size)
        if self._made is not None and not _same(self._made[0], self._wanted()):
            self._made = None  # nothing of another image is seen or said
            self.map.clear_picture()
        if self._made is None:
            self._ask()
        self._show_fields(frame)
        self._show_lines()
        self._on_camera()
        self.map.move(self._canvas.width() - self.map.width() - CORNER, CORNER)
        self.map.raise_()

    def _show_fields(self, frame: Frame) -> None:
        fields = kit_of(self.session).fields.fields
        self.map.show_outlined(
            [Outlined(frame.rect(f.box), looks.field(f.complete)) for f in fields]
        )

    def _show_lines(self) -> None:
        fields, lines = kit_of(self.session).fields.fields, list[Line]()
        if fields:
            words = "1 field" if len(fields) == 1 else f"{len(fields)} fields"
            lines.append(Line(words, "frame", looks.FIELD))
        made = self._made[1] if self._made is not None else None
        if made is not None and made.found.boxes:
            tint = "#{:02x}{:02x}{:02x}".format(*overview.TINT)
            share = "all of it" if made.found.share > 0.995 else f"{100 * made.found.share:.0f} %"
            lines.append(Line(f"searched: {share}", "area", tint))
        if made is not None and made.nuclei:
            lines.append(Line(f"{made.nuclei:,} nuclei found", "area", looks.MANY))
        afar = set(self.session.view.afar.values())
        if afar:
            top = kit_of(self.session).afar.top
            dense = f"yellow: {top:,.0f} per mm²"
            words = dense if "density" in afar else "each dot is a nucleus"
            lines += [Line(words), Line("zoom in to see outlines")]
        self.map.show_lines(lines)

    def _on_camera(self, event: Any = None) -> None:
        layer, frame = self.session.image_layer(), self._frame
        if self.map.isVisible() and layer is not None and frame is not None:
            self.map.show_view(frame.view(self._seen(layer)))

    def _seen(self, layer: Any) -> tuple[float, float, float, float]:
        """What the canvas shows: (y0, x0, y1, x1) in level-0 pixels, beside the image as well."""
        camera = self.session.viewer.scene.camera
        middle, half = np.array(camera.center[-2:]), np.array(self._room()) / camera.zoom / 2
        scale, shift = np.array(layer.scale[-2:]), np.array(layer.translate[-2:])
        low, high = ((middle + way * half - shift) / scale + 0.5 for way in (-1, 1))
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])

    def _go(self, x: float, y: float) -> None:
        """A person pressed there: the view's middle comes to it, the zoom stays."""
        layer, frame = self.session.image_layer(), self._frame
        if layer is not None and frame is not None:
            camera = self.session.viewer.scene.camera
            camera.center = (0.0, *layer.data_to_world(frame.place(x, y)))

    def _room(self) -> tuple[int, int]:
        return self._canvas.height(), self._canvas.width()

    # --- the picture ---------------------------------------------------------------------------

    def _wanted(self) -> Wanted | None:
        session, frame = self.session, self._frame
        layer = session.image_layer()
        if layer is None or frame is None or frame.shape != _shape(layer):
            return None
        project = session.project if session.image is not None else None
        image = session.image if session.image is not None else layer.name
        return Wanted(project, image, frame.shape, frame, _reader(project, image, layer))

    def _ask(self) -> None:
        """Have the picture made again, out of the way; one at a time."""
        wanted = self._wanted()
        if wanted is None or not self.shown:
            return
        if self._busy:
            self._again = True
            return
        spots = kit_of(self.session).spotting.want() if wanted.project is not None else None
        if self._busy:  # nuclei that came at once asked for a picture already
            return
        self._busy = True
        small = self._small.get(_key(wanted))
        self.session.submit(
            partial(make, wanted, spots, small), partial(self._arrived, wanted), self._failed
        )

    def _arrived(self, wanted: Wanted, made: Made) -> None:
        self._busy, again, self._again = False, self._again, False
        if made.small is not None:  # a pyramid may be on its way
            self._small[_key(wanted)] = made.small
        while len(self._small) > KEPT:
            self._small.pop(next(iter(self._small)))
        now = self._wanted()
        if now is None or not _same(wanted, now):
            self._ask()
            return
        self._made = wanted, made
        self.map.show_picture(made.map)
        self._show_lines()
        if again:
            self._ask()

    def _failed(self, error: BaseException) -> None:
        # a slide that cannot be read has no picture; the canvas says why
        self._busy = self._again = False

    # --- Qt ------------------------------------------------------------------------------------

    def eventFilter(self, watched: Any, event: Any) -> bool:
        """Qt: the canvas has another size."""
        if watched is self._canvas and event.type() == QEvent.Type.Resize:
            self.refresh()
        return False

    def _restyle(self, event: Any = None) -> None:
        self.map.setProperty(THEME, str(self.session.viewer.theme))
        self.map.restyle(palette(self.map))

    def _end(self) -> None:
        """The window is going."""
        self._canvas.removeEventFilter(self)
        self.session.viewer.events.theme.disconnect(self._restyle)
        camera = self.session.viewer.scene.camera
        for event in (camera.events.zoom, camera.events.center):
            event.disconnect(self._on_camera)


def flip_overview(session: Session) -> None:
    """Show the map of a session's window, or hide it; nothing where there is no window."""
    found: Overview | None = session.__dict__.get("overview")
    if found is not None:
        found.flip()


def make(wanted: Wanted, spots: Spots | None, small: NDArray[np.uint8] | None) -> Made:
    """Make a picture; to be called out of the way. small: the tissue's, where it is known."""
    fine = Frame(wanted.shape, (FINE * wanted.frame.size[0], FINE * wanted.frame.size[1]))
    if small is None:
        with wanted.read() as slide:
            levels = [*slide.levels]
            if wanted.project is not None:  # those that a slide of one level got
                levels += wanted.project.coarser.levels(wanted.image)
            small = overview.small_picture(levels, fine.size)
    found, places = Searched(), np.empty((0, 2), np.float32)
    if wanted.project is not None:
        found = overview.searched(wanted.project, wanted.image)
    if spots is not None:
        places = spots.places
    return Made(
        small, overview.composed(small, fine, found, places, dots.shades), found, len(places)
    )


def _reader(project: Project | None, image: str, layer: Any) -> Callable[[], Slide]:
    """How an image's pixels are read beside the window's own reading."""
    if project is not None:
        return partial(project.pixels, image)
    path = tissue.source_path(layer)
    if path is not None:
        return partial(open_image, path)
    pixels = tissue.level0(layer)
    return lambda: from_array(np.asarray(pixels), None, image)


def _key(wanted: Wanted) -> tuple[object, str, Frame]:
    place = wanted.project.path if wanted.project is not None else None
    return place, wanted.image, wanted.frame


def _same(one: Wanted, other: Wanted | None) -> bool:
    return other is not None and one.project is other.project and _key(one) == _key(other)


def _shape(layer: Any) -> tuple[int, int]:
    height, width = tissue.level0(layer).shape[:2]
    return int(height), int(width)
