"""HoVer-Net JSON, also read by TIAToolbox: a contour, box and type for each nucleus."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from napari_noisyseg import bounded_json
from napari_noisyseg.bounded_json import WRONG
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.exchange.formats.contours import contour_of, draw, ring_around
from napari_noisyseg.exchange.formats.format import Format, has_our_mark, per_image
from napari_noisyseg.exchange.formats.rows import (
    Row,
    check_vertices,
    color_of,
    colors,
    ring_of,
    rows,
    told_shape,
)
from napari_noisyseg.exchange.marks import MADE_BY
from napari_noisyseg.exchange.nuclei import ExportedImage
from napari_noisyseg.exchange.shapes import Shape

ENDING = ".json"
UM_AT_1X = 10
"""µm of a pixel at magnification 1."""


# --- writing ---------------------------------------------------------------------------------


def _write(image: ExportedImage, path: Path) -> None:
    pens = colors(image)
    types = {name: k for k, name in enumerate(pens, start=1)}
    legend = {str(k): [name, list(pens[name])] for name, k in types.items()}
    about = {
        "generator": MADE_BY,
        "mag": round(UM_AT_1X / image.record.mpp, 4),
        "mpp": image.record.mpp,
        "type_info": legend,
    }
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(f'{json.dumps(about, ensure_ascii=False)[:-1]}, "nuc": {{')
        between = "\n"
        for row in rows(image):
            nucleus = json.dumps(_nucleus(row, types), ensure_ascii=False, allow_nan=False)
            file.write(f'{between}"{row.serial}": {nucleus}')
            between = ",\n"
        file.write("\n}}\n")


def _nucleus(row: Row, types: Mapping[str, int]) -> dict[str, Any]:
    box, told = row.box, row.told()
    # the middle of the whole nucleus, though only its largest part is written
    y, x = (np.argwhere(row.outline.mask).mean(axis=0) + box.origin).tolist()
    return {
        "bbox": [[box.y0, box.x0], [box.y1, box.x1]],
        "centroid": [x, y],
        "contour": contour_of(row.outline).tolist(),
        "type_prob": float(told["score"]) if "score" in told else None,
        "type": 0 if row.class_name is None else types[row.class_name],
        "about": told,
    }


# --- reading ---------------------------------------------------------------------------------


def read(path: Path, image: str) -> Sequence[Shape]:
    """Every nucleus. Raises `NoisySegError` naming the one that is wrong."""
    document = bounded_json.read(path)
    nuclei = document.get("nuc", document) if isinstance(document, dict) else None
    if not isinstance(nuclei, dict) or not all(isinstance(n, dict) for n in nuclei.values()):
        raise NoisySegError(f"{path} is JSON but not from HoVer-Net: it has no nuclei under “nuc”")
    legend = document.get("type_info")
    legend = legend if isinstance(legend, dict) else {}
    found = [_shape(n, legend, f"{path}, nucleus {key}") for key, n in nuclei.items()]
    check_vertices((ring for s in found for p in s.polygons for ring in p), path)
    return found


def _shape(nucleus: Mapping[str, Any], legend: Mapping[str, Any], where: str) -> Shape:
    try:
        given = nucleus["contour"]
        # a contour of one or two pixels is a point or a line
        given = given + given[:1] * max(0, 3 - len(given)) if given else given
        contour = ring_of(given, where)
        if (contour[0] == contour[-1]).all():
            contour = contour[:-1]
        name, color = _class(nucleus.get("type"), legend)
        about = nucleus.get("about") or {}
        told = {str(k): str(v) for k, v in about.items()}
        if nucleus.get("type_prob") is not None:
            told.setdefault("score", str(nucleus["type_prob"]))
    except WRONG as error:
        raise NoisySegError(f"{where} is not a nucleus of HoVer-Net ({error!r})") from error
    shape = told_shape([(ring_around(contour),)], where, name, color, told)
    return replace(shape, role="nucleus", draw=partial(draw, contour))


def _class(number: Any, legend: Mapping[str, Any]) -> tuple[str | None, Any]:
    """Name and colour of a type: by the legend, else its number; 0 is none."""
    if number in (None, 0):
        return None, None
    entry = legend.get(str(number))
    if isinstance(entry, list) and len(entry) == 2:
        return str(entry[0]), color_of(entry[1])
    return f"type {number}", None


FORMAT = Format(
    name="hovernet",
    title="HoVer-Net JSON",
    holds="contours, boxes, centres and types",
    loses="Holes are filled, and of a nucleus in several parts only the largest is written.",
    ending=ENDING,
    write=per_image(ENDING, _write),
    shapes=read,
    is_ours=has_our_mark,
    marks=(b'"nuc"', b'"contour"'),
)
