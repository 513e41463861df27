"""QuPath GeoJSON: nuclei as detections, one on each line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from napari_noisyseg.exchange import geojson
from napari_noisyseg.exchange.detections import write_detections
from napari_noisyseg.exchange.formats.format import Format, has_our_mark, per_image
from napari_noisyseg.exchange.shapes import Shape

ENDING = ".geojson"


def _read(path: Path, image: str) -> Sequence[Shape]:
    return geojson.read(path)


FORMAT = Format(
    name="geojson",
    title="QuPath GeoJSON",
    holds="outlines with class, score and state",
    ending=ENDING,
    other_endings=(".json",),
    write=per_image(ENDING, write_detections),
    shapes=_read,
    is_ours=has_our_mark,
    marks=(b'"FeatureCollection"', b'"geometry"'),
)
