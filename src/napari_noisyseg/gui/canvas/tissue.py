"""Image layers, a project's or a stranger's: their pixels, files and resolution.

Places and shapes are (y, x) in level-0 pixels.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from napari_noisyseg import slides
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.gui.canvas.layers import image_name, images, tag
from napari_noisyseg.gui.canvas.lazy import KEY
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import ImageRecord

SEEN_THROUGH = frozenset({"additive", "minimum", "multiplicative"})
"""ways of blending that leave what lies below to be seen"""


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


def state_mpp(layer: Any, mpp: float) -> None:
    """Note on an image layer that is in no project yet what a person says of its resolution."""
    layer.metadata = {**layer.metadata, KEY: {**tag(layer), "stated": mpp}}


def own_mpp(layer: Any) -> float | None:
    """µm per pixel of an image that is in no project yet, as a person or its layer says it."""
    known = tag(layer)
    stated: float | None = known.get("stated")
    return stated or (None if known.get("laid") else layer_mpp(layer))


def add_to(project: Project, layer: Any) -> ImageRecord:
    """Take an Image layer into the project: by its file where it has one, else its pixels."""
    taken = {record.name for record in project.images()}
    path, mpp = source_path(layer), own_mpp(layer)
    if path is not None:
        try:
            icc = bool(tag(layer).get("icc"))
            name = _free(slides.name_of(path), taken)
            return project.add_image(path, name=name, mpp=mpp, icc=icc)
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


# --- resolution ----------------------------------------------------------------------------------


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
