"""The image in front: decided here and nowhere else, and what lies under the cursor."""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.gui.canvas import layers, tissue
from napari_noisyseg.gui.change import What
from napari_noisyseg.store.project import ASSUMED_MPP
from napari_noisyseg.store.records import ImageRecord

if TYPE_CHECKING:
    from napari_noisyseg.gui.session import Session

KEPT, FEW = 3, 3
"""images, the last in front, whose layers stay in the window; layers of others that go at once"""
MARGIN = 0.02
"""share of the canvas left round an image that is shown as a whole"""
Camera = tuple[tuple[float, ...], float]


class Front:
    """Which image of the project is in front in one viewer, and how others get there."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._cameras: dict[str, Camera] = {}
        self._last: list[str] = []
        self.focus: tuple[float, float] | None = None

    # --- asking --------------------------------------------------------------------------------

    def names(self) -> list[str]:
        """Names of the project's images."""
        project = self._session.project
        return [record.name for record in project.images()] if project is not None else []

    def layer(self) -> Any | None:
        """The layer of the image in front; before there is any, of the one that would be first."""
        session = self._session
        if session.image is not None:
            return layers.find(session.viewer, session.image, "image")
        return None if self.names() else layers.candidate(session.viewer)

    def offered(self) -> list[Any]:
        """Image layers that lie in the window and are in no project, while one is open."""
        if self._session.project is None:
            return []
        return [x for x in layers.images(self._session.viewer) if layers.image_name(x) is None]

    def at(self, position: Any) -> tuple[float, float]:
        """(y, x) in level-0 pixels of the image whose pixels lie under the cursor.

        That image comes to the front when it is another one of the project. Raises NoisySegError
        where nothing can be stored: beside the image, or on one that is in no project.
        """
        session = self._session
        layer = tissue.under(session.viewer, position)
        if layer is None:
            raise NoisySegError("that is outside the image: click on the tissue")
        # before anything: a first image gets its resolution by being taken in, and moves
        place, name = tissue.pixel(layer, position), layers.image_name(layer)
        if name is None and not self.names():
            name = self.adopt(layer).name
        if name is None:
            raise NoisySegError(
                f"“{layer.name}” is not in this project: press Add beside its name in the panel, "
                "or choose an image of the project there"
            )
        if name != session.image:
            self.show(name, fit=False)
        return place

    # --- deciding ------------------------------------------------------------------------------

    def show(self, name: str, fit: bool = True) -> None:
        """Bring an image of the project to the front, as it was left; the first time as a whole."""
        session = self._session
        project = session.project
        if project is None or name not in self.names():
            raise NoisySegError(f"“{name}” is not in this project, or was removed from it")
        record, viewer = project.image(name), session.viewer
        self._remember()
        held, turned = layers.find(viewer, name, "image"), name != session.image
        if turned:
            self.focus = None
        view = session.view.of(name) if turned else session.view
        if not view.shows("image"):
            view = view.toggled("image", True)
        with session.together() if turned or held is None else nullcontext():
            # the pixels come first: what lies over them is put above them
            layer = held or layers.make_image(viewer, project, record)
            session._turn(view)
            self._uncover(layer)
            tissue.place(viewer, layer, record)
            if turned and fit:
                self._go_back(name, layer)
            if turned:
                self._select(layer)
        viewer.canvas.overlays["scale_bar"].visible = True
        self._last = [*(one for one in self._last if one != name), name][-KEPT:]
        session.later(self._let_go)

    def fit(self) -> None:
        """Show the image in front as a whole."""
        layer = self.layer()
        if layer is not None:
            self._session.viewer.reset_view(layers=[layer], margin=MARGIN)

    def require(self) -> ImageRecord:
        """Take the one image that is meant into the project and bring it to the front."""
        names = self.names()
        if names:
            raise NoisySegError("no image is chosen: choose one at the top of the panel")
        layer = layers.candidate(self._session.viewer)
        if layer is None:
            raise NoisySegError("no image is open: drop an H&E image or slide into the window")
        return self.adopt(layer)

    def adopt(self, layer: Any) -> ImageRecord:
        """Take an image layer of napari into the project (made if there is none), in front."""
        session = self._session
        project = session.require_project(layer)
        record = self.recognise(layer)
        if record is None:
            record = tissue.add_to(project, layer)
            layers.mark(layer, record.name, "image")
        tissue.place(session.viewer, layer, record)
        # a person has it before the eyes: it comes to the front without a jump
        self._cameras[record.name] = _camera(session.viewer)
        session.sync()
        self.show(record.name)
        return record

    def remove(self) -> None:
        """Take the image in front out of the project; undo brings it back with all its work."""
        session = self._session
        record = session.record()
        if record is None or session.project is None:
            raise NoisySegError("this image is not in a project yet: there is nothing to remove")
        session.project.remove_image(record.name)
        session.sync()

    def settle(self) -> None:
        """Images came or went in the project, by whatever way: layers and front follow."""
        session, names = self._session, self.names()
        viewer = session.viewer
        gone = [x for x in layers.shown(viewer) if x not in names]
        left = session.image is not None and session.image not in names
        if left:
            session._turn(session.view.of(None))
        for name in gone:
            for layer in reversed(layers.of_image(viewer, name)):
                viewer.layers.remove(layer)
        for layer in self.offered():
            self.recognise(layer)
        for record in session.project.images() if session.project is not None else []:
            layer = layers.find(viewer, record.name, "image")
            if layer is not None:
                tissue.place(viewer, layer, record)
        if names and session.image is None and (left or not gone):
            self.show(names[0])

    def leave(self) -> None:
        """The project is closed: what we made goes, images that napari opened stay its own."""
        viewer = self._session.viewer
        self._cameras.clear()
        self._last.clear()
        self.focus = None
        for layer in [x for x in viewer.layers if layers.tag(x).get("kind")]:
            if layers.tag(layer)["kind"] == "image" and not layers.tag(layer).get("made"):
                layers.unmark(layer)
            else:
                viewer.layers.remove(layer)

    def set_mpp(self, mpp: float) -> None:
        """See `Session.set_mpp`."""
        session = self._session
        record, layer = session.record(), self.layer()
        if record is None:
            if layer is not None:
                tissue.state_mpp(layer, mpp)
        elif not math.isclose(record.mpp, mpp, rel_tol=1e-4) or record.mpp_assumed:
            assert session.project is not None
            session.project.set_mpp(record.name, mpp)

    # --- what happens in napari ----------------------------------------------------------------

    def recognise(self, layer: Any) -> ImageRecord | None:
        """The project's record of an image layer that it already holds, else None."""
        project = self._session.project
        if project is None:
            return None
        record = tissue.record_of(project, layer)
        if record is not None and layers.find(self._session.viewer, record.name, "image") is None:
            layers.mark(layer, record.name, "image")
            tissue.place(self._session.viewer, layer, record)
        return record

    def arrived(self, layer: Any) -> None:
        """An image layer came into the window: known already, offered, or perhaps the first."""
        session = self._session
        if layers.tag(layer).get("kind") == "image":
            return
        if session.project is None:
            if session.resumes:
                session.resume()
            return
        record = self.recognise(layer)
        if record is None:
            front = session.record()
            tissue.lay_beside(layer, front.mpp if front is not None else ASSUMED_MPP)
            return
        if layers.image_name(layer) is None:
            session.say(f"“{record.name}” is in this project already; it is shown now")
            session.later(lambda: self._drop(layer))
        session.later(lambda: self._bring(record.name))

    def gone(self, layer: Any) -> None:
        """A layer was taken from the window: one of ours is switched off, an image goes whole."""
        session, noted = self._session, layers.tag(layer)
        if noted.get("image") not in self.names():
            return
        image, kind = noted["image"], noted["kind"]
        if kind != "image":
            if session.painter.wanted(layer):
                session.later(lambda: self._switch_off(kind))
            return
        if image == session.image:
            session._turn(session.view.of(None))
        session.later(lambda: self._clear(image))

    def _switch_off(self, kind: str) -> None:
        self._session.toggle(kind, False)
        # what the tool in hand writes to is seen all the same: it comes back
        self._session.tell(What.VIEW)

    def by_hand(self, layer: Any) -> None:
        """A person switched a layer of ours on or off in the layer list."""
        session, noted = self._session, layers.tag(layer)
        image, kind, shown = noted["image"], noted["kind"], bool(layer.visible)
        if image == session.image:
            session.toggle(kind, shown)
        elif kind == "image" and image in self.names():
            session.later(lambda: self._bring(image))
        else:
            session.later(session.painter.paint)

    def sink(self) -> None:
        """Nothing of an image lies under its pixels, where it would be marked unseen."""
        for name in self.names():
            layers.sink(self._session.viewer, name)

    def _bring(self, name: str) -> None:
        with self._session.guard():
            if name in self.names():
                self.show(name)

    def _drop(self, layer: Any) -> None:
        if layer in self._session.viewer.layers:
            self._session.viewer.layers.remove(layer)

    def _clear(self, image: str) -> None:
        """Nothing of an image stays without its pixels; the project keeps all of it."""
        viewer = self._session.viewer
        if layers.find(viewer, image, "image") is None:
            with self._session.together():
                for layer in reversed(layers.of_image(viewer, image)):
                    viewer.layers.remove(layer)

    def _let_go(self) -> None:
        """What we made of images that others followed goes, a little at a time; it comes again.

        It would pile up: a dozen layers of each image that was ever in front.
        """
        session, known = self._session, set(self.names()) - set(self._last)
        noted = [(layer, layers.tag(layer)) for layer in session.viewer.layers]
        old = [
            layer
            for layer, note in noted
            if note.get("image") in known and (note.get("kind") != "image" or note.get("made"))
        ]
        if old:
            with session.together():
                # the pixels lie below and go last
                for layer in reversed(old[-FEW:]):
                    session.viewer.layers.remove(layer)
            session.later(self._let_go)

    def _select(self, layer: Any) -> None:
        """The status bar speaks of the layer that napari holds for selected: not of another image.

        Somebody else's layer that a person chose stays so.
        """
        selection = self._session.viewer.layers.selection
        noted = layers.tag(selection.active) if selection.active is not None else {}
        if noted.get("image") not in (None, layers.tag(layer).get("image")):
            selection.active = layer

    def _uncover(self, layer: Any) -> None:
        """Images of nobody's project do not lie over the one that a person chose."""
        viewer = self._session.viewer
        for other in layers.images(viewer):
            if layers.image_name(other) is None and other is not layer:
                other.visible = False

    # --- the camera ----------------------------------------------------------------------------

    def _remember(self) -> None:
        session = self._session
        if session.image is not None:
            self._cameras[session.image] = _camera(session.viewer)

    def _go_back(self, name: str, layer: Any) -> None:
        viewer, kept = self._session.viewer, self._cameras.get(name)
        if kept is None:
            viewer.reset_view(layers=[layer], margin=MARGIN)
        else:
            viewer.scene.camera.center, viewer.scene.camera.zoom = kept


def _camera(viewer: Any) -> Camera:
    camera = viewer.scene.camera
    return tuple(float(v) for v in np.asarray(camera.center)), float(camera.zoom)
