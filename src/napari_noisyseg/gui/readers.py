"""What napari opens through us: slides as lazy pyramids, and projects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from napari import current_viewer
from napari.settings import get_settings

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.exchange.importing import import_drawn
from napari_noisyseg.gui.bringing import bring_in
from napari_noisyseg.gui.canvas.lazy import LayerData, layer_data
from napari_noisyseg.gui.session import SUFFIX, session_of
from napari_noisyseg.gui.settings import setting
from napari_noisyseg.slides import is_colour, open_image

__all__ = [
    "get_reader",
    "layer_data",
    "prefer_us_for_slides",
    "read_annotation",
    "read_project",
    "read_slide",
]

PLUGIN = "napari-noisyseg"
SLIDES = ("svs", "ndpi", "mrxs", "scn", "bif", "svslide", "vms", "vmu")
"""Endings that are of scanners alone."""
OME_TIFF = (".ome.tif", ".ome.tiff")
"""Any microscope's: ours only where a file is a picture in colours."""
ANNOTATION = (".geojson", ".xml")
"""Endings of annotation that no picture or table has: such a file may be dropped on the window."""
OF_OTHERS = (".dcm", ".zarr")
"""Of many programs: ours only where there is a slide or a picture in it. What is named as an image
of OME-Zarr is taken at its word, so that it is said what is wrong with it."""


def get_reader(path: str | Sequence[str]) -> Callable[[Any], list[LayerData]] | None:
    """The reader for a slide or a project; None for a stack, or for what others show better."""
    if not isinstance(path, str):
        return None
    if path.rstrip("/\\").endswith(SUFFIX):
        return read_project
    if path.lower().endswith(ANNOTATION):
        return read_annotation
    return None if _declined(path) else read_slide


def _declined(path: str) -> bool:
    """Whether a file with an ending that others have as well is none that we show best."""
    name = path.lower().rstrip("/\\")
    if name.endswith(OF_OTHERS) and not name.endswith(".ome.zarr"):
        try:
            open_image(Path(path)).close()
        except NoisySegError:
            return True
        return False
    return name.endswith(OME_TIFF) and not is_colour(Path(path))


def read_slide(path: str) -> list[LayerData]:
    """An image as napari layer data: lazy, in µm where the file knows its resolution."""
    return [layer_data(open_image(Path(path), icc=setting("slides", "icc", False)))]


def read_project(path: str) -> list[LayerData]:
    """Open a project in the viewer at hand; its layers are put there by the session."""
    viewer = current_viewer()
    if viewer is not None:
        session = session_of(viewer)
        with session.guard():
            session.open(Path(path))
    return [(None,)]  # type: ignore[list-item]  # npe2's word for "read, and nothing to add"


def read_annotation(path: str) -> list[LayerData]:
    """Take a file of annotation that was dropped into the image in front of the viewer at hand."""
    viewer = current_viewer()
    if viewer is not None:
        # its outlines as rough masks, else its points
        bring_in(session_of(viewer), Path(path), import_drawn)
    return [(None,)]  # type: ignore[list-item]  # npe2's word for "read, and nothing to add"


def prefer_us_for_slides() -> None:
    """Have scanner slides opened by us where the person has chosen no other reader.

    OME-TIFF is given back: an earlier version of ours took it, fluorescence and all.
    """
    plugins = get_settings().plugins
    before = plugins.extension2reader
    taken = {f"*{suffix}" for suffix in OME_TIFF}
    kept = {k: v for k, v in before.items() if not (k in taken and v == PLUGIN)}
    after = {**{f"*.{suffix}": PLUGIN for suffix in SLIDES}, **kept}
    if after != before:
        plugins.extension2reader = after
