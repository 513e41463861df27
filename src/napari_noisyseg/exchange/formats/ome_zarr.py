"""OME-Zarr 0.5: the label pyramid beside its image, and a table of what is known of each number.

0.4 is read too. Images of more than `WHOLE_PIXELS` are not copied: their labels go out alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from napari_noisyseg import __version__, bounded_json
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.exchange.formats.format import Format, per_image
from napari_noisyseg.exchange.formats.labels import WHOLE_PIXELS
from napari_noisyseg.exchange.formats.rows import UNNAMED, colors, rows
from napari_noisyseg.exchange.labels import TILE, tile_boxes
from napari_noisyseg.exchange.marks import MADE_BY
from napari_noisyseg.exchange.nuclei import ExportedImage
from napari_noisyseg.exchange.shapes import Color, LabelFile
from napari_noisyseg.slides import Box
from napari_noisyseg.slides.coarser import halvings
from napari_noisyseg.slides.ome_zarr_labels import PREFERRED, read_label_group
from napari_noisyseg.store import pyramid
from napari_noisyseg.store.arrays import write_group
from napari_noisyseg.store.pyramid import Geometry

ENDING = ".ome.zarr"
CREATOR = {"name": MADE_BY.split()[0], "version": __version__}
OPAQUE = 255


# --- writing ---------------------------------------------------------------------------------


def _write(image: ExportedImage, path: Path) -> None:
    height, width = image.shape
    geometry = Geometry(height, width, image.record.mpp, halvings(height, width))
    if height * width > WHOLE_PIXELS:
        _write_labels(image, path, geometry, {})
        return
    ome = pyramid.multiscales(image.record.name, geometry, channels=True) | {
        "omero": _omero(),
        "_creator": CREATOR,
    }
    pyramid.create(path, geometry, np.dtype(np.uint8), {"ome": ome})
    with image.project.pixels(image.record.name) as slide:
        pyramid.write_image(path, geometry, slide.read(Box(0, 0, height, width)))
    write_group(path / "labels", {"ome": {"version": "0.5", "labels": [PREFERRED]}})
    place = path / "labels" / PREFERRED
    _write_labels(image, place, geometry, {"source": {"image": "../../"}})


def _omero() -> dict[str, Any]:
    """How viewers show the three channels: as the colours that they are."""
    window = {"min": 0, "max": OPAQUE, "start": 0, "end": OPAQUE}
    pens = {"red": "FF0000", "green": "00FF00", "blue": "0000FF"}
    return {
        "channels": [
            {"label": name, "color": color, "window": window, "active": True}
            for name, color in pens.items()
        ]
    }


def _write_labels(
    image: ExportedImage, place: Path, geometry: Geometry, source: Mapping[str, Any]
) -> None:
    about = {"version": "0.5", **_table(image), **source}
    ome = pyramid.multiscales(PREFERRED, geometry, channels=False) | {
        "image-label": about,
        "_creator": CREATOR,
    }
    pyramid.create(place, geometry, np.dtype(np.int32), {"ome": ome})
    for box, nuclei in zip(tile_boxes(image.shape), image.by_tile(), strict=True):
        if nuclei:
            tile = np.zeros((TILE, TILE), np.int32)
            for nucleus in nuclei:
                nucleus.outline.paste(tile, box, nucleus.serial)
            pyramid.write_labels(place, geometry, box, tile[: box.height, : box.width])


def _table(image: ExportedImage) -> dict[str, Any]:
    """`colors` (those of the classes) and `properties` of all nuclei."""
    pens, area = colors(image), image.record.mpp**2
    shown, table = [], []
    for row in rows(image):
        entry: dict[str, Any] = {"label-value": row.serial} | row.told()
        del entry["label"]
        if "score" in entry:
            entry["score"] = row.score
        entry["area_um2"] = row.area * area
        if row.class_name is not None:
            entry["class"] = row.class_name
        # readers ask for a colour of every number that the table has
        color = [*pens.get(row.class_name or "", UNNAMED), OPAQUE]
        shown.append({"label-value": row.serial, "rgba": color})
        table.append(entry)
    return {"colors": shown, "properties": table}


def _is_ours(path: Path) -> bool:
    try:
        found = bounded_json.read_record(path / "zarr.json")
        return bool(found["attributes"]["ome"]["_creator"]["name"] == CREATOR["name"])
    # it cannot be read, so it is not ours
    except (NoisySegError, *bounded_json.WRONG):
        return False


# --- reading ---------------------------------------------------------------------------------


def read(path: Path) -> LabelFile:
    """The labels with the classes in their table. Raises `NoisySegError`."""
    labels, about = read_label_group(path)
    try:
        classes = {
            int(entry["label-value"]): str(entry["class"]).strip()
            for entry in about.get("properties") or ()
            if isinstance(entry.get("class"), str) and entry["class"].strip()
        }
        colors: dict[str, Color] = {}
        for entry in about.get("colors") or ():
            name = classes.get(int(entry["label-value"]))
            rgba = [min(max(int(v), 0), OPAQUE) for v in entry.get("rgba") or ()]
            if name is not None and len(rgba) >= 3:
                colors.setdefault(name, (rgba[0], rgba[1], rgba[2]))
        json.dumps([*classes.values()], ensure_ascii=False).encode()
    except (*bounded_json.WRONG, UnicodeError) as error:
        raise NoisySegError(
            f"{path}: its label names or colours cannot be read ({error})"
        ) from error
    return LabelFile(labels, classes, colors)


FORMAT = Format(
    name="ome-zarr",
    title="OME-Zarr",
    holds="label pyramid beside its image, with a table of class, score and state",
    loses="Where nuclei overlap, a pixel is of one of them.",
    ending=ENDING,
    other_endings=(".zarr",),
    write=per_image(ENDING, _write),
    labels=read,
    is_ours=_is_ours,
    is_folder=True,
)
