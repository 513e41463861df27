"""Label images in OME-Zarr, 0.5 and 0.4, and what is said of their numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides.label_images import as_int32
from napari_noisyseg.slides.limits import check_labelled
from napari_noisyseg.slides.ome_zarr import checked
from napari_noisyseg.slides.regular_store import RegularStore

PREFERRED = "nuclei"


def read_label_group(path: Path) -> tuple[NDArray[np.int32], Mapping[str, Any]]:
    """The labels (H, W) of an OME-Zarr folder, and its `image-label` metadata.

    The folder is an image with labels, or a label image itself. Raises `NoisySegError` for what is
    none, and where there are several of which none is named `nuclei`.
    """
    try:
        group = zarr.open_group(RegularStore(path, read_only=True), mode="r")
        return _read(_label_group(group, path), path)
    except NoisySegError:
        raise
    # strangers' metadata breaks zarr in ways without number
    except Exception as error:
        raise NoisySegError(
            f"{path} holds no OME-Zarr labels that can be read ({error}): give the image's folder, "
            "with its zarr.json or .zattrs"
        ) from error


def _ome(group: zarr.Group) -> Mapping[str, Any]:
    """The metadata, which 0.5 has under a name of its own."""
    ome: Any = group.attrs.get("ome", dict(group.attrs))
    return ome if isinstance(ome, Mapping) else {}


def _label_group(group: zarr.Group, path: Path) -> zarr.Group:
    if "image-label" in _ome(group):
        return group
    listed: Any = _ome(group["labels"]).get("labels", []) if "labels" in group else []  # type: ignore[arg-type]
    names: Sequence[str] = [str(name) for name in listed]
    if not names:
        raise NoisySegError(f"{path} is an image without labels: nothing was imported")
    if len(names) > 1 and PREFERRED not in names:
        raise NoisySegError(
            f"{path} holds several label images ({', '.join(names[:5])}): give the folder of one "
            f"of them, {path / 'labels' / names[0]}"
        )
    found = group[f"labels/{names[0] if len(names) == 1 else PREFERRED}"]
    assert isinstance(found, zarr.Group)
    return found


def _read(group: zarr.Group, path: Path) -> tuple[NDArray[np.int32], Mapping[str, Any]]:
    ome = _ome(group)
    multiscale = ome["multiscales"][0]
    axes = [a["name"] if isinstance(a, Mapping) else str(a) for a in multiscale["axes"]]
    array = checked(group[multiscale["datasets"][0]["path"]], axes, path)
    height, width = array.shape[axes.index("y")], array.shape[axes.index("x")]
    if array.size != height * width:
        raise NoisySegError(f"{path} has labels in several channels: one is needed")
    check_labelled(path, height, width)
    labels = np.asarray(array[:]).reshape(height, width)
    if axes.index("y") > axes.index("x"):
        labels = labels.reshape(width, height).T
    about = ome.get("image-label")
    return as_int32(labels, path), about if isinstance(about, Mapping) else {}
