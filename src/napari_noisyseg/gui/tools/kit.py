"""All the tools of a session, and which one is in the hand."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Labels, Points

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.gui.session import Session
from napari_noisyseg.gui.tools.afar import Afar
from napari_noisyseg.gui.tools.fields import FieldsTool
from napari_noisyseg.gui.tools.hand import Hand, Tool
from napari_noisyseg.gui.tools.live import LiveLabels
from napari_noisyseg.gui.tools.points import PointsTool
from napari_noisyseg.gui.tools.results import Results
from napari_noisyseg.gui.tools.rough import RoughTool
from napari_noisyseg.gui.tools.spotting import Spotting
from napari_noisyseg.gui.tools.trusted import Trusted

TOOLS = ("points", "field", "paint", "erase", "look")


class Kit:
    """Points, fields, rough masks and live labels of one session; `View.tool` is the one in use.

    `guest` is a tool that another step lends to the hand (the brush of a review).
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.points = PointsTool(session)
        self.fields = FieldsTool(session)
        self.rough = RoughTool(session)
        self.live = LiveLabels(session, self.points)
        self.trusted = Trusted(session, self.live)
        self.results = Results(session)
        self.spotting = Spotting(session)
        self.afar = Afar(session, self.points, self.results, self.spotting)
        self.guest: Tool | None = None
        self.hand = Hand(session, self._in_hand)

    @property
    def tool(self) -> str:
        """The tool that is in use while the Annotate step is open."""
        return self.session.view.tool

    def use(self, name: str) -> None:
        """Take up a tool; raises NoisySegError where it cannot be used."""
        if name not in TOOLS:
            raise ValueError(f"no tool is called {name}")
        if name in ("paint", "erase"):
            self.rough.ready()
        self.session.look(tool=name)

    def _in_hand(self) -> Tool | None:
        view = self.session.view
        if view.step != "annotate":
            return self.guest
        tools: dict[str, Tool] = {
            "points": self.points, "field": self.fields, "paint": self.rough, "erase": self.rough,
        }  # fmt: skip
        return tools.get(view.tool)

    # --- other people's layers -----------------------------------------------------------------

    def take_layer(self, layer: Any) -> None:
        """Use a Points layer as points, or a Labels layer as rough masks, unsaved as it is."""
        if isinstance(layer, Points):
            self._take_points(layer)
        elif isinstance(layer, Labels):
            with self.session.guard():
                self._check_same_place(layer)
                self.rough.take_labels(np.asarray(layer.data))
                layer.visible = False

    def _take_points(self, layer: Any) -> None:
        with self.session.acting():
            record = self.session.require_image()
            image: Any = self.session.image_layer()
            places = np.array([image.world_to_data(layer.data_to_world(p)) for p in layer.data])
            places = places.reshape(-1, 2)
            size = (record.height - 0.5, record.width - 0.5)
            inside = places[((places >= -0.5) & (places < size)).all(axis=1)]
            if not len(inside):
                raise NoisySegError(f"no point of “{layer.name}” is on the image")
            nuclei = self.session.require_project().nuclei
            classes = [self.points.class_name] * len(inside)
            nuclei.add_many(record.name, inside, classes=classes, origin="import")
            layer.visible = False

    def _check_same_place(self, layer: Any) -> None:
        self.session.require_image()
        image: Any = self.session.image_layer()
        if layer.multiscale or layer.ndim != 2:
            raise NoisySegError(f"“{layer.name}” is not a plain two-dimensional label image")
        same = np.allclose(layer.scale, image.scale) and np.allclose(
            layer.translate, image.translate
        )
        if not same:
            raise NoisySegError(
                f"“{layer.name}” is not at the same place as the image: give it the image's scale "
                "first"
            )

    def show_field(self, field_id: str) -> None:
        """Bring a field into view."""
        field = next((f for f in self.fields.fields if f.id == field_id), None)
        image = self.session.image_layer()
        if field is None or image is None:
            return
        box, viewer = field.box, self.session.viewer
        middle = ((box.y0 + box.y1 - 1) / 2, (box.x0 + box.x1 - 1) / 2)
        self.session.front.focus = middle
        viewer.scene.camera.center = tuple(image.data_to_world(middle))
        height, width = viewer.canvas.size
        scale = float(image.scale[-1])
        viewer.scene.camera.zoom = 0.9 * min(height / box.height, width / box.width) / scale
        self.live.refresh()
        self.rough.refresh()


def kit_of(session: Session) -> Kit:
    """The one kit of a session, made when first asked for."""
    kit: Kit | None = session.__dict__.get("kit")
    if kit is None:
        kit = session.__dict__["kit"] = Kit(session)
    return kit
