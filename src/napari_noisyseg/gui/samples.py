"""File ▸ Open Sample ▸ NoisySeg."""

from __future__ import annotations

from pathlib import Path

from napari_noisyseg import samples
from napari_noisyseg.exchange import csv_points
from napari_noisyseg.gui.canvas.lazy import LayerData, layer_data
from napari_noisyseg.slides import open_image, read_labels


def field() -> list[LayerData]:
    """A labelled field of breast cancer, its nuclei as points and as outlines."""
    mpp = samples.FIELD_MPP
    place = {"scale": (mpp, mpp), "units": ("um", "um")}
    pixels, keywords, kind = layer_data(open_image(samples.FIELD), "TNBC field")
    points = csv_points.read(samples.FIELD_POINTS).points
    return [
        (pixels, {**keywords, **place, "metadata": _from(samples.FIELD)}, kind),
        (
            read_labels(samples.FIELD_NUCLEI),
            {**place, "name": "TNBC nuclei (drawn by experts)", "visible": False},
            "labels",
        ),
        (points, {**place, "name": "TNBC points", "size": 12, "face_color": "#ffe14d"}, "points"),
    ]


def slide() -> list[LayerData]:
    """A small region of an Aperio slide."""
    pixels, keywords, kind = layer_data(open_image(samples.SLIDE))
    return [(pixels, {**keywords, "metadata": _from(samples.SLIDE)}, kind)]


def _from(path: Path) -> dict[str, dict[str, str]]:
    """Metadata that tells the session which file an image came from."""
    return {"noisyseg": {"path": str(path)}}
