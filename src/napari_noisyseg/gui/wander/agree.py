"""Whether disk, tools and canvas agree; every disagreement in words, none where all is well."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np

from napari_noisyseg.gui.canvas import layers
from napari_noisyseg.gui.canvas.closeup import NOW
from napari_noisyseg.gui.canvas.outlines import outline_paths, outlines_of
from napari_noisyseg.gui.panel import Panel
from napari_noisyseg.gui.tools.kit import kit_of
from napari_noisyseg.gui.wander.disk import Disk
from napari_noisyseg.slides import Box

Words = Iterator[str]
CLICKED_EVERY = 10
"""acts between two comparisons with the clicks' outlines made again, which takes a second"""
CLICKED: tuple[Literal["outline", "local"], ...] = ("outline", "local")


class Canvas:
    """What lies in the layers of the image in front."""

    def __init__(self, panel: Panel, disk: Disk) -> None:
        self.panel, self.session, self.disk = panel, panel.session, disk
        self.kit = kit_of(panel.session)
        self._turn = 0

    def check(self) -> list[str]:
        """All that does not agree now."""
        self._turn += 1
        checks: list[Callable[[], Words]] = [self.front, self.eyes, self.places]
        if self.session.image is not None:
            checks += [self.points, self.fields, self.rough, self.refined, self.clicked]
        checks.append(self.review)
        return [words for check in checks for words in check()]

    def _layer(self, kind: str) -> Any | None:
        image = self.session.image
        return layers.find(self.session.viewer, image, kind) if image is not None else None

    # --- which image, and what is seen ---------------------------------------------------------

    def front(self) -> Words:
        """One image of the project is seen, and it is the one in front."""
        image, ours = self.session.image, self._ours()
        seen = [n["image"] for x, n in ours if n["kind"] == "image" and x.visible]
        # the eye of the image in front may be switched off
        if seen != [image] and (seen or (image and self.session.view.shows("image"))):
            yield f"images seen are {seen}, in front is {image}"
        if image is not None and image not in self.disk.images():
            yield f"{image} is in front and not in the project"
        if image is not None and self._layer("image") is None:
            yield f"{image} is in front without a layer"
        if image is None and self.session.front.names() and seen:
            yield f"no image is in front, {seen} is seen"

    def eyes(self) -> Words:
        """What is seen is what the view says, of one image, and each layer once."""
        known = set()
        for layer, noted in self._ours():
            image, kind = noted["image"], noted["kind"]
            wanted = self.session.view.shows_layer(image, kind)
            if layer.visible != wanted:
                yield f"{kind} of {image} is {'hidden' if wanted else 'seen'}, unlike the view"
            if (image, kind) in known:
                yield f"{kind} of {image} lies there twice"
            known.add((image, kind))
            if image not in self.disk.images():
                yield f"{kind} of {image} lies there, which is in no project"

    def places(self) -> Words:
        """All layers of an image lie on it, at the resolution that the project holds."""
        records = self.disk.images()
        for layer, noted in self._ours():
            record = records.get(noted["image"])
            image = layers.find(self.session.viewer, noted["image"], "image")
            if record is None or image is None:
                continue
            if not np.isclose(image.scale[-1], record.mpp):
                yield f"{record.name} is shown at {image.scale[-1]} µm and has {record.mpp}"
            if layer.units != image.units:
                yield f"{noted['kind']} of {record.name} has other units than its image"
            if not np.allclose(layer.scale, image.scale):
                yield f"{noted['kind']} of {record.name} has another scale than its image"
                continue
            shift = (np.array(layer.translate) - image.translate) / image.scale
            if not np.allclose(shift, np.round(shift), atol=1e-3) or (shift < -1e-3).any():
                yield f"{noted['kind']} of {record.name} lies {shift} beside its image"

    def _ours(self) -> list[tuple[Any, dict[str, Any]]]:
        pairs = [(layer, layers.tag(layer)) for layer in self.session.viewer.layers]
        return [(layer, noted) for layer, noted in pairs if noted.get("kind")]

    # --- what people marked --------------------------------------------------------------------

    def points(self) -> Words:
        """Nuclei on the disk, in the tool and on the canvas."""
        stored, layer = self.disk.nuclei(str(self.session.image)), self._layer("points")
        known = self.kit.points.nuclei
        if known != stored:
            yield f"the tool knows {len(known)} nuclei, or others; the disk has {len(stored)}"
        if layer is None:
            if stored and self.session.view.shows("points"):
                yield f"{len(stored)} points are to be seen and have no layer"
            return
        serials = layer.features["serial"].to_numpy(int)
        if len(layer.data) != len(serials) or sorted(serials) != sorted(stored):
            yield f"points shown are {sorted(serials)}, stored are {sorted(stored)}"
            return
        places = np.array([(stored[s].y, stored[s].x) for s in serials]).reshape(-1, 2)
        if not np.allclose(layer.data, places):
            yield "points lie elsewhere than they are stored"
        if layer.editable or layer.mode != "pan_zoom":
            yield f"the points' layer is editable ({layer.mode})"

    def fields(self) -> Words:
        """Fields on the disk, in the tool and on the canvas."""
        stored, layer = self.disk.fields(str(self.session.image)), self._layer("fields")
        if self.kit.fields.fields != stored:
            yield f"the tool knows {len(self.kit.fields.fields)} fields, the disk {len(stored)}"
        if layer is None:
            if stored and self.session.view.shows("fields"):
                yield f"{len(stored)} fields are to be seen and have no layer"
            return
        shown = [(*s.min(axis=0), *s.max(axis=0)) for s in map(np.array, layer.data)]
        wanted = [tuple(v - 0.5 for v in field.box) for field in stored]
        if len(shown) != len(wanted) or not np.allclose(shown or 0, wanted or 0):
            yield f"fields are drawn at {shown}, stored at {wanted}"

    def rough(self) -> Words:
        """The rough mask, in the region at hand."""
        layer, box, image = self._layer("rough"), self.session.region(), str(self.session.image)
        if box is None:
            return
        stored = self.disk.painted(image, box)
        if layer is None:
            if stored.any() and self.session.view.shows("rough"):
                yield "a rough mask is to be seen and has no layer"
        elif layer.data.shape != stored.shape or not np.array_equal(layer.data, stored):
            yield "the rough mask is shown otherwise than it is stored"

    # --- what was derived and found ------------------------------------------------------------

    def refined(self) -> Words:
        """What runs found, as a person has left it."""
        if self.kit.results.held:
            return
        stored, layer = self.disk.refined(str(self.session.image)), self._layer("refined")
        if layer is None:
            if stored is not None and self.session.view.shows("refined"):
                yield "outlines of a run are to be seen and have no layer"
        elif stored is None:
            if np.asarray(layer.data).any():
                yield "outlines of a run are shown, and no run was adopted"
        elif not np.array_equal(np.asarray(layer.data), stored):
            count = int((np.asarray(layer.data) != stored).sum())
            yield f"a run's outlines are shown otherwise than they are stored ({count} px)"

    def clicked(self) -> Words:
        """An outline at each point: none for others; now and then compared pixel by pixel."""
        stored, live = self.disk.nuclei(str(self.session.image)), self.kit.live
        if live.labels is not None and live.box is not None:
            held = {s: (n.y - live.box.y0, n.x - live.box.x0) for s, n in stored.items()}
            if live._held != held:
                yield "outlines rest on other points than are stored"
        for kind in CLICKED:
            if live.is_shown(kind):
                yield from self._clicked(kind, bool(stored))

    def _clicked(self, kind: Literal["outline", "local"], marked: bool) -> Words:
        """Those of one kind that is to be seen."""
        layer = self._layer(kind)
        if layer is None:
            if marked:
                yield f"{kind} is to be seen and has no layer"
        elif self._turn % CLICKED_EVERY == 0 and marked:
            anew = self.disk.clicked(str(self.session.image), kind)
            if layer.data.shape != anew.shape:
                yield f"{kind} is of another size than anew"
            elif not np.array_equal(layer.data, anew):
                yield f"{kind} is another than anew ({int((layer.data != anew).sum())} px)"
        elif not marked and layer.data.any():
            yield f"{kind} is shown without a point"

    # --- the review ----------------------------------------------------------------------------

    def review(self) -> Words:
        """The nucleus under review is in front, and the outlines on the canvas are its own."""
        dock: Any = self.panel.docks["review"]
        review, extra = (
            dock.review,
            [n for _, n in self._ours() if n["kind"] in ("judged", "edited")],
        )
        item = review.item
        if self.session.view.step != "review" or item is None:
            if extra:
                yield f"{extra} lie there without a nucleus under review"
            return
        if item.image != self.session.image:
            yield f"a nucleus of {item.image} is under review, {self.session.image} is in front"
            return
        if item.id not in self.disk.judged(item.image):
            yield "the nucleus under review is none that is to be judged"
            return
        yield from self._outlines(review, item)

    def _outlines(self, review: Any, item: Any) -> Words:
        new = self.disk.project.nuclei.outline(item.id) or item.candidate.outline
        judged, edited = self._layer("judged"), self._layer("edited")
        if review.editing:
            drawn = judged is not None and outlines_of(judged).paths
            if drawn or edited is None:
                yield "an outline is under the brush and not on the canvas alone"
            elif not np.array_equal(np.asarray(edited.data) > 0, new.cut(self._box(edited))):
                yield "the outline under the brush is another than the one stored"
            return
        if edited is not None or judged is None:
            yield f"outlines under review: brush {edited is not None}, drawn {judged is not None}"
            return
        wanted = outline_paths(new)
        shown = list(outlines_of(judged).paths.get(NOW, ()))
        same = len(shown) == len(wanted) and all(
            a.shape == b.shape and np.allclose(a, b) for a, b in zip(shown, wanted, strict=True)
        )
        if not same:
            yield f"the outlines drawn are not those of nucleus {item.candidate.serial}"

    def _box(self, layer: Any) -> Box:
        """Where a label layer lies in the image in front."""
        image: Any = self._layer("image")
        shift = (np.array(layer.translate) - image.translate) / image.scale
        (y0, x0), (height, width) = (round(float(v)) for v in shift), layer.data.shape
        return Box(y0, x0, y0 + height, x0 + width)
