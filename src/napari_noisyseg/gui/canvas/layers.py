"""napari layers and the project's images: names, places, and finding them again.

A layer of ours is known by `layer.metadata["noisyseg"] = {"image": ..., "kind": ...}`, never by its
name, so renaming, hiding or deleting it by hand breaks nothing. Every layer takes scale, translate
and units from its image. Arrays and points are (y, x); boxes are level-0 pixels.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Image, Labels
from numpy.typing import NDArray

from napari_noisyseg import slides
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.gui.canvas import drawing, looks
from napari_noisyseg.gui.canvas.lazy import layer_data
from napari_noisyseg.gui.kinds import CALLED, RANK
from napari_noisyseg.slides import Box
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import ImageRecord

KEY = "noisyseg"
SEEN_THROUGH = frozenset({"additive", "minimum", "multiplicative"})
"""ways of blending that leave what lies below to be seen"""


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


def under(viewer: Any, position: Any) -> Any | None:
    """The image layer whose pixels are seen at a world position; None beside all images.

    What can be seen through (blended, or half clear) hides nothing.
    """
    for layer in reversed(images(viewer)):
        covers = layer.visible and layer.opacity >= 0.5 and str(layer.blending) not in SEEN_THROUGH
        if covers and _holds(layer, pixel(layer, position)):
            return layer
    return None


def pixel(layer: Any, position: Any) -> tuple[float, float]:
    """A world position as (y, x) in level-0 pixels of an image layer."""
    y, x = layer.world_to_data(position)[-2:]
    return float(y), float(x)


def _holds(layer: Any, place: tuple[float, float]) -> bool:
    height, width = _shape(layer)
    return -0.5 <= place[0] < height - 0.5 and -0.5 <= place[1] < width - 0.5


# --- image layers and the project ----------------------------------------------------------------


def source_path(layer: Any) -> Path | None:
    """The file a layer was read from, when it is still there."""
    path = getattr(getattr(layer, "source", None), "path", None) or tag(layer).get("path")
    found = Path(path) if path else None
    return found if found is not None and found.exists() else None


def file_name(name: str) -> str:
    """A layer's name as a file name that every system takes."""
    return re.sub(r'[<>:"/\\|?*\x00-\x1f]+', "_", name).strip(" .") or "untitled"


def may_write(folder: Path) -> bool:
    """Whether a project may be made in `folder`: writable, and not inside this package."""
    inside = Path(__file__).resolve().parents[2] in (folder.resolve(), *folder.resolve().parents)
    return not inside and os.access(folder, os.W_OK)


def level0(layer: Any) -> Any:
    """The full-resolution array of an Image layer, lazily."""
    return layer.data[0] if layer.multiscale else layer.data


def layer_mpp(layer: Any) -> float | None:
    """µm per pixel from a layer's scale and units; None when its units are plain pixels."""
    try:
        factor = float((1 * layer.units[-1]).to("micrometer").magnitude)
    except Exception:  # pint has one error class per way of not being a length
        return None
    return factor * float(layer.scale[-1])


def record_of(project: Project, layer: Any) -> ImageRecord | None:
    """The project's record of an Image layer: by its note, else by its file's content."""
    records = {record.name: record for record in project.images()}
    noted = image_name(layer)
    if noted in records:
        return records[noted]
    path = source_path(layer)
    if path is None or not records:
        return None
    same_size = [r for r in records.values() if (r.height, r.width) == _shape(layer)]
    if not same_size:
        return None
    sha = slides.content_hash(path)
    return next((record for record in same_size if record.sha == sha), None)


def add_to(project: Project, layer: Any, stated_mpp: float | None = None) -> ImageRecord:
    """Take an Image layer into the project: by its file where it has one, else its pixels."""
    taken = {record.name for record in project.images()}
    own = None if tag(layer).get("laid") else layer_mpp(layer)
    path, mpp = source_path(layer), own or stated_mpp
    if path is not None:
        try:
            return project.add_image(path, name=_free(path.stem, taken), mpp=mpp)
        except NoisySegError:
            if layer.multiscale:
                raise
    rgb = slides.to_rgb(np.asarray(level0(layer)), f"layer “{layer.name}”")
    return project.add_array(rgb, name=_free(file_name(layer.name), taken), mpp=mpp)


def _free(name: str, taken: Iterable[str]) -> str:
    names = [name, *(f"{name}-{n}" for n in range(2, 10_000))]
    return next(n for n in names if n not in set(taken))


def _shape(layer: Any) -> tuple[int, int]:
    height, width = level0(layer).shape[:2]
    return int(height), int(width)


# --- placing -------------------------------------------------------------------------------------


def place(viewer: Any, layer: Any, record: ImageRecord) -> None:
    """Give an image layer µm per pixel and units; what is seen on the canvas does not move.

    Layers that lay exactly on the image (a segmentation of it, say) move with it; those of the
    project's other images stay.
    """
    if layer_mpp(layer) is not None and np.isclose(layer.scale[-1], record.mpp):
        return
    layer.interpolation2d = "linear"
    old_scale, old_units = np.array(layer.scale), layer.units
    partners = [
        other
        for other in viewer.layers
        if other.ndim == 2
        and image_name(other) in (None, record.name)
        and np.allclose(other.scale, old_scale)
        and other.units == old_units
    ]
    ratio = record.mpp / old_scale[-1]
    camera = viewer.scene.camera
    center, zoom = np.array(camera.center), camera.zoom
    for other in partners:
        _stretch(other, ratio)
    camera.center, camera.zoom = tuple(center * ratio), zoom / ratio


def lay_beside(layer: Any, mpp: float) -> None:
    """Bring an image in plain pixels to the canvas of a project, which is in µm.

    The scale is a guess until the image is taken in: then its file, or a person, says it.
    """
    if layer_mpp(layer) is None and layer.rgb:
        _stretch(layer, mpp / layer.scale[-1])


def _stretch(layer: Any, ratio: float) -> None:
    """Give a layer µm; it is noted on a stranger's that its scale is not its own."""
    if not tag(layer).get("kind"):
        layer.metadata = {**layer.metadata, KEY: {**tag(layer), "laid": True}}
    layer.translate = np.array(layer.translate) * ratio
    layer.scale = np.array(layer.scale) * ratio
    layer.units = ("um", "um")


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
    mark(layer, record.name, kind, **more)
    rank, at = RANK[kind], len(viewer.layers)
    group = [
        (i, other) for i, other in enumerate(viewer.layers) if image_name(other) == record.name
    ]
    below = [i for i, other in group if RANK[tag(other)["kind"]] <= rank]
    if group:
        at = (below[-1] + 1) if below else group[0][0]
    selected = set(viewer.layers.selection)
    viewer.layers.insert(at, layer)
    if selected:
        viewer.layers.selection = selected
    return layer


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
    where = geometry(viewer, record, origin)
    layer.data = data
    scale = tuple(step * s for s in where["scale"])
    if not np.allclose(layer.scale, scale):
        layer.scale = scale
    if not np.allclose(layer.translate, where["translate"]):
        layer.translate = where["translate"]
    return layer


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
