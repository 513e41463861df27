"""Nuclei of an image outside any project, as outlines for QuPath."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from napari_noisyseg.exchange import geojson
from napari_noisyseg.exchange.detections import generator
from napari_noisyseg.exchange.labels import written_whole
from napari_noisyseg.exchange.outlines import trace

NAMES = uuid.UUID("5d9a6d0e-6a0c-4c0e-9f53-2f0f7a6b1c11")
"""The name space of ids: the same file, predicted again, gives the same ids."""


def write_outlines(path: Path, labels: NDArray[np.int32], image: str) -> None:
    """Every nucleus of labels (H, W) as a detection; whole or not at all. `JobError`."""
    with written_whole(path) as partial, partial.open("w", encoding="utf-8", newline="\n") as file:
        file.write(f'{{"type": "FeatureCollection", {generator("predict")}, "features": [')
        between = "\n"
        for label, box in enumerate(ndi.find_objects(labels), start=1):
            if box is None:
                continue
            polygons = trace(labels[box] == label, (box[0].start, box[1].start))
            name = str(uuid.uuid5(NAMES, f"{image} {label}"))
            about = {"image": image, "label": str(label)}
            feature = geojson.feature(polygons, name, None, {}, about)
            file.write(between + json.dumps(feature, ensure_ascii=False, allow_nan=False))
            between = ",\n"
        file.write("\n]}\n")
