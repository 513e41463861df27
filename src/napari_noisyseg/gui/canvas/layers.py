"""Layers of ours in napari: notes, names, places, and finding them again.

A layer of ours is known by `layer.metadata["noisyseg"] = {"image": ..., "kind": ...}`, never by its
name, so renaming, hiding or deleting it by hand breaks nothing. Every layer takes scale, translate
and units from its image. Arrays and points are (y, x); boxes are level-0 pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from napari.layers import Image, Labels
from numpy.typing import NDArray

from napari_noisyseg.gui.canvas import drawing, looks
from napari_noisyseg.gui.canvas.lazy import KEY, layer_data
from napari_noisyseg.gui.kinds import CALLED, RANK
from napari_noisyseg.slides import Box
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import ImageRecord


def unwrap(thing: Any) -> Any:
    """The napari object itself, where napari handed a plugin its public-only proxy."""
    return getattr(thing, "__wrapped__", thing)


# --- finding -------------------------------------------------------------------------------------


def tag(layer: Any) -> dict[str, Any]:
    """What we noted on a layer: {"image": name, "kind": kind}, or {} for somebody else's."""
    metadata = getattr(layer, "metadata", None)
    found = metadata.get(KEY) if isinstance(metadata, dict) else None
    return found if isinstance(found, dict) else {}


def mark(layer: Any, image: str, kind: str, **more: Any) -> None:
    """Note on a layer which image and kind it is of."""
    layer.metadata = {**layer.metadata, KEY: {**more, "image": image, "kind": kind}}


def unmark(layer: Any) -> None:
    """Take our note off an image layer; which file it is from stays known."""
    path = tag(layer).get("path")
    layer.metadata = {**layer.metadata, KEY: {"path": path} if path else {}}


def image_name(layer: Any) -> str | None:
    """The project image that a layer belongs to, or None."""
    name = tag(layer).get("image")
    return name if isinstance(name, str) else None


def find(viewer: Any, image: str, kind: str) -> Any | None:
    """The layer of that image and kind, whatever it is called by now; None when it is gone."""
    for layer in viewer.layers:
        noted = tag(layer)
        if noted.get("image") == image and noted.get("kind") == kind:
            return layer
    return None


def of_image(viewer: Any, image: str) -> list[Any]:
    """All our layers of an image, bottom first."""
    return [layer for layer in viewer.layers if image_name(layer) == image]


def shown(viewer: Any) -> list[str]:
    """Names of the project images that have layers in the viewer."""
    names = (image_name(layer) for layer in viewer.layers)
    return list(dict.fromkeys(name for name in names if name is not None))


def is_image(layer: Any) -> bool:
    """Whether a layer can be an image to annotate: an Image layer, two-dimensional, not a map."""
    return (
        isinstance(layer, Image) and layer.ndim == 2 and tag(layer).get("kind", "image") == "image"
    )


def images(viewer: Any) -> list[Any]:
    """All Image layers that can be annotated."""
    return [layer for layer in viewer.layers if is_image(layer)]


def candidate(viewer: Any) -> Any | None:
    """The image that a person means: the selected one, else the topmost visible one."""
    active = viewer.layers.selection.active
    if active is not None and is_image(active):
        return active
    choice = images(viewer)
    visible = [layer for layer in choice if layer.visible]
    return (visible or choice or [None])[-1]


# --- placing -------------------------------------------------------------------------------------


def geometry(
    viewer: Any, record: ImageRecord, origin: tuple[float, float] = (0, 0)
) -> dict[str, Any]:
    """scale, translate, units of a layer of that image whose pixel (0, 0) lies at `origin`."""
    layer = find(viewer, record.name, "image")
    scale = np.array(layer.scale if layer is not None else (record.mpp, record.mpp))
    shift = np.array(layer.translate if layer is not None else (0.0, 0.0))
    return {
        "scale": tuple(scale),
        "translate": tuple(shift + scale * np.array(origin)),
        "units": ("um", "um"),
    }


def name_of(record: ImageRecord, kind: str) -> str:
    """The name that a new layer gets."""
    if kind == "image":
        return record.name
    return f"{record.name} · {CALLED.get(kind, kind)}"


def insert(viewer: Any, layer: Any, record: ImageRecord, kind: str, **more: Any) -> Any:
    """Mark a new layer and put it at its place in the group of its image; selection is kept."""
    at = _place_for(viewer, record, kind)
    mark(layer, record.name, kind, **more)
    _lighten(layer)
    with _selection_kept(viewer.layers):
        viewer.layers.insert(at, layer)
    return layer


@contextmanager
def _selection_kept(held: Any) -> Iterator[None]:
    """What is inserted inside is not selected, where anything is: napari goes over all layers, and
    shows the controls of the new one, whenever another is.
    """
    selected, activates = set(held.selection), getattr(held, "_activate_on_insert", True)
    held._activate_on_insert = activates and not selected
    try:
        yield
    finally:
        held._activate_on_insert = activates
    if selected and set(held.selection) != selected:
        held.selection = selected


def _lighten(layer: Any) -> None:
    """Let napari make no visuals for its own polygon and brush, which never act on our layers.

    They are four of the five things that a label layer draws, and half of the time that one takes.
    """
    for name in ("polygon", "brush_stroke"):
        overlay = layer._overlays.get(name)
        if overlay is not None:
            overlay.visible = False
    # as napari has it of every layer that is not selected
    layer.update_transform_box_visibility(False)
    layer.update_highlight_visibility(False)


def hand_over(viewer: Any, layer: Any, record: ImageRecord, kind: str) -> None:
    """Let a layer of ours be of another image, where a new one would take napari a while."""
    # not of the other image yet, it is not counted among its layers; it may lie above others' too
    here, place = viewer.layers.index(layer), _place_for(viewer, record, kind)
    if here < place:
        viewer.layers.move(here, place)
    mark(layer, record.name, kind)
    layer.name = name_of(record, kind)
    _place(viewer, layer, record, (0, 0))


def _place_for(viewer: Any, record: ImageRecord, kind: str) -> int:
    """Where in the list a layer of this kind belongs: in the group of its image, by its rank."""
    rank = RANK[kind]
    group = [
        (i, other) for i, other in enumerate(viewer.layers) if image_name(other) == record.name
    ]
    below = [i for i, other in group if RANK[tag(other)["kind"]] <= rank]
    if not group:
        return len(viewer.layers)
    return (below[-1] + 1) if below else group[0][0]


# --- showing -------------------------------------------------------------------------------------


def make_image(viewer: Any, project: Project, record: ImageRecord) -> Any:
    """The layer of an image of the project, lazily read, below all that there is of it."""
    data, keywords, _ = layer_data(project.pixels(record.name), record.name)
    return insert(viewer, Image(data, **keywords), record, "image", made=True)


def sink(viewer: Any, image: str) -> None:
    """Put an image below all that is drawn on it, wherever it was dragged to."""
    group = [i for i, layer in enumerate(viewer.layers) if image_name(layer) == image]
    at = next((i for i in group if tag(viewer.layers[i]).get("kind") == "image"), None)
    if at is not None and at != group[0]:
        viewer.layers.move(at, group[0])


def show_labels(
    viewer: Any, record: ImageRecord, kind: str, data: NDArray[Any], box: Box | None = None,
    drawn: drawing.Drawn | None = None,
) -> Any:  # fmt: skip
    """Show a label image (whole, or of `box`); an existing layer is given the new data.

    `drawn`: its nuclei's outlines where they were traced already, in the layer's own pixels.
    """
    origin = box.origin if box is not None else (0, 0)
    layer = find(viewer, record.name, kind)
    if isinstance(layer, Labels):
        _update(viewer, layer, record, data, origin)
        drawing.draw(layer, kind, drawn)
        return layer
    look = looks.labels(kind)
    contour = look.pop("contour", 0)
    layer = Labels(data, name=name_of(record, kind), **geometry(viewer, record, origin), **look)
    if not isinstance(data, np.ndarray):  # a pyramid: too large to be traced as a whole
        layer.colormap, contour = looks.pixels(kind), 1
    layer.contour = contour
    insert(viewer, layer, record, kind)
    drawing.draw(layer, kind, drawn)
    return layer


def show_map(
    viewer: Any, record: ImageRecord, kind: str, data: NDArray[Any], box: Box | None = None,
    step: float = 1.0,
) -> Any:  # fmt: skip
    """Show a map in 0..1 (probability, say); each of its pixels is `step` level-0 pixels wide."""
    origin = box.origin if box is not None else (0, 0)
    layer = find(viewer, record.name, kind)
    if isinstance(layer, Image):
        return _update(viewer, layer, record, data, origin, step)
    where = geometry(viewer, record, origin)
    where["scale"] = tuple(step * s for s in where["scale"])
    layer = Image(data, name=name_of(record, kind), **where, **looks.heat(kind))
    return insert(viewer, layer, record, kind)


def _update(
    viewer: Any, layer: Any, record: ImageRecord, data: NDArray[Any],
    origin: tuple[float, float], step: float = 1.0,
) -> Any:  # fmt: skip
    layer.data = data
    _place(viewer, layer, record, origin, step)
    return layer


def _place(
    viewer: Any, layer: Any, record: ImageRecord, origin: tuple[float, float], step: float = 1.0
) -> None:
    """What is as before costs nothing: napari goes through all layers whenever one is moved."""
    where = geometry(viewer, record, origin)
    scale = tuple(step * s for s in where["scale"])
    if not np.allclose(layer.scale, scale):
        layer.scale = scale
    if not np.allclose(layer.translate, where["translate"]):
        layer.translate = where["translate"]


def refresh_box(layer: Any, box: Box) -> None:
    """Redraw only `box` (in the layer's own pixels) of a Labels layer whose array was changed."""
    kind = tag(layer).get("kind")
    if kind is not None:
        drawing.redraw(layer, kind, box)
    refresh = getattr(layer, "_partial_labels_refresh", None)
    if refresh is None or not layer.visible:
        layer.refresh(extent=False)
        return
    layer._updated_slice = layer._expand_updated_slice_for_contour(box.slices)
    if layer.contour == 0:
        view = layer._slice.image
        view.view[box.slices] = layer.colormap._data_to_texture(view.raw[box.slices])
    refresh()


def repaint_changed(layer: Any, data: NDArray[Any]) -> bool:
    """Bring a Labels layer to `data` by drawing only the box that differs; False if it cannot."""
    shown = layer.data
    same = isinstance(shown, np.ndarray) and shown.shape == data.shape
    if not same or shown.dtype != data.dtype or not shown.flags.writeable:
        return False
    box = Box.of_mask(shown != data)
    if not box.empty:
        shown[box.slices] = data[box.slices]
        refresh_box(layer, box)
    return True


def catch_up(layer: Any) -> None:
    """To be called before a Points layer whose data were changed is given colours or sizes.

    Of a hidden one napari still knows the points of when it was seen, and fails at those.
    """
    if not layer.visible:
        layer.set_view_slice()


def remove(viewer: Any, image: str, kind: str) -> None:
    """Take a layer of ours from the viewer, where it is there."""
    layer = find(viewer, image, kind)
    if layer is not None:
        viewer.layers.remove(layer)
