"""File ▸ Save, for nuclei: a label image as TIFF or QuPath GeoJSON, points as CSV."""

from __future__ import annotations

import csv
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.measure import regionprops

from napari_noisyseg.exchange import geojson
from napari_noisyseg.exchange.cells import cell
from napari_noisyseg.exchange.labels import write_labels as write_tiff
from napari_noisyseg.exchange.outlines import trace


def write_labels(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """A Labels layer: .tif keeps the numbers, .geojson gives QuPath one detection a nucleus."""
    labels = np.asarray(data[0] if attributes.get("multiscale") else data)
    if path.endswith(".geojson"):
        document = {"type": "FeatureCollection", "features": list(_features(labels))}
        Path(path).write_text(json.dumps(document), encoding="utf-8")
    else:
        units = str((attributes.get("units") or ("pixel",))[-1])
        mpp = float(attributes["scale"][-1]) if units in ("micrometer", "um", "µm") else None
        write_tiff(Path(path), labels, mpp)
    return [path]


def write_points(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """A Points layer as CSV: x, y in level-0 pixels, and the class where there is one."""
    features = attributes.get("features")
    classes = list(features["class"]) if features is not None and "class" in features else None
    with Path(path).open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["x", "y", *(["class"] if classes is not None else [])])
        for number, place in enumerate(np.asarray(data)):
            named = [cell(str(classes[number] or ""))] if classes is not None else []
            rows.writerow([f"{place[-1]:g}", f"{place[-2]:g}", *named])
    return [path]


def _features(labels: NDArray[Any]) -> Iterator[dict[str, Any]]:
    for region in regionprops(labels):
        polygons = trace(region.image, (region.bbox[0], region.bbox[1]))
        identity = str(uuid.uuid5(uuid.NAMESPACE_OID, f"label {region.label}"))
        yield geojson.feature(polygons, identity, None, {}, {"label": str(region.label)})
