"""A run's picture of its present state as layers over the field that it learns from."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.events import Previewed
from napari_noisyseg.gui import layers
from napari_noisyseg.store.records import ImageRecord

MAPS = ("probability", "uncertainty", "weights")


def read_preview(folder: Path, event: Previewed) -> dict[str, NDArray[Any]]:
    """The maps of a preview by name, each (h, w); empty when a later picture has taken its place.

    Nothing is unpickled: a picture can come from a stranger's project.
    """
    try:
        with np.load(folder / event.path, allow_pickle=False) as stored:
            return {
                name: stored[name].astype(np.float32 if name in MAPS else np.int32)
                for name in stored.files
            }
    except (OSError, ValueError, KeyError, BadZipFile):
        return {}


def show_map(
    viewer: Any, record: ImageRecord, event: Previewed, name: str, values: NDArray[Any]
) -> None:
    """Show one map as `NAME · probability`, `NAME · refined`, ...

    A layer that a person has hidden stays hidden and is left as it is.
    """
    found = layers.find(viewer, record.name, name)
    if found is not None and not found.visible:
        return
    if name in MAPS:
        layer = layers.show_map(viewer, record, name, values)
    elif name == "refined":
        layer = layers.show_labels(viewer, record, name, values)
    else:
        return
    _place(viewer, layer, record, event)


def _place(viewer: Any, layer: Any, record: ImageRecord, event: Previewed) -> None:
    where = layers.geometry(viewer, record, event.origin)
    scale = tuple(event.scale * s for s in where["scale"])
    if not np.allclose(layer.scale, scale):
        layer.scale = scale
    if not np.allclose(layer.translate, where["translate"]):
        layer.translate = where["translate"]
