"""Nuclei as QuPath's detections in GeoJSON, written piece by piece."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from json.encoder import encode_basestring
from math import isfinite
from pathlib import Path
from typing import NamedTuple

import numpy as np

from napari_noisyseg.exchange import geojson
from napari_noisyseg.exchange.ahead import ahead
from napari_noisyseg.exchange.marks import Command, mark
from napari_noisyseg.exchange.nuclei import ExportedImage
from napari_noisyseg.exchange.outlines import trace
from napari_noisyseg.exchange.rings import rings_of, texts_of
from napari_noisyseg.store import Packed, State

NO_COLOR = "#999999"


def generator(command: Command) -> str:
    """A member of the collection that GeoJSON readers ignore: which command wrote it."""
    return f'"generator": "{mark(command)}"'


class _Shaped(NamedTuple):
    """Nuclei with their geometries as GeoJSON has them, and their areas in µm²."""

    nuclei: Packed
    geometries: list[bytes]
    areas: list[float]


def write_detections(image: ExportedImage, path: Path) -> None:
    """All nuclei, one on each line, in order of serial."""
    colors = {c.name: c.color for c in image.project.nuclei.classes()}
    comments = image.project.nuclei.comments(image.record.name)
    with path.open("wb") as file:
        file.write(f'{{"type": "FeatureCollection", {generator("export")}, "features": ['.encode())
        between = b"\n"
        # some are traced while those before are put into words
        for shaped in ahead(partial(_shaped, image.record.mpp), image.in_order()):
            file.write(between)
            file.write(_features(shaped, image, colors, comments))
            between = b",\n"
        file.write(b"\n]}\n")


def _shaped(mpp: float, nuclei: Packed) -> _Shaped:
    rings = rings_of(nuclei)
    geometries = texts_of(rings)
    for k in np.flatnonzero(rings.counts == 0).tolist():
        geometries[k] = _others(nuclei, k)
    return _Shaped(nuclei, geometries, (rings.areas * mpp**2).tolist())


def _features(
    shaped: _Shaped,
    image: ExportedImage,
    colors: Mapping[str, str],
    comments: Mapping[str, str],
) -> bytes:
    """The lines of some nuclei."""
    nuclei = shaped.nuclei
    classes = {name: _classification(name, colors) for name in set(nuclei.classes)}
    told = {kind: _told(*kind) for kind in set(zip(nuclei.states, nuclei.runs, strict=True))}
    said = {id: b', "comment": ' + _text(words) for id, words in comments.items()}
    ends = [told[kind] for kind in zip(nuclei.states, nuclei.runs, strict=True)]
    if said:
        ends = [end + said.get(id, b"") for end, id in zip(ends, nuclei.ids, strict=True)]
    columns = (
        _texts(nuclei.ids), shaped.geometries, map(classes.__getitem__, nuclei.classes),
        shaped.areas, map(_score, nuclei.scores), nuclei.serials, ends,
    )  # fmt: skip
    # filled in, as `json.dumps` takes longer over a nucleus than all the rest together
    line = _line(image.record.name)
    return b",\n".join([line % values for values in zip(*columns, strict=True)])


def _texts(words: Sequence[str]) -> list[bytes]:
    """`_text` of each; of plain letters and digits, as ids have them, all at once."""
    letters = "".join(words).replace("-", "")
    if letters.isascii() and letters.isalnum():
        return ('"' + '"\n"'.join(words) + '"').encode().split(b"\n")
    return [_text(one) for one in words]


def _line(image: str) -> bytes:
    """A feature as `geojson.feature` makes it, with places for what differs between nuclei."""
    return (
        b'{"type": "Feature", "id": %b, "geometry": %b, "properties": {"objectType": "detection"%b,'
        b' "measurements": {"Area \xc2\xb5m^2": %r%b}, "metadata": {"image": '
        + _text(image).replace(b"%", b"%%")
        + b', "label": "%d", %b}}}'
    )


def _text(words: str) -> bytes:
    return encode_basestring(words).encode()


def _score(score: float | None) -> bytes:
    return b"" if score is None or not isfinite(score) else b', "Score": %r' % score


def _told(state: State, run: str | None) -> bytes:
    by = b"" if run is None else b', "run": ' + _text(run)
    return b'"state": ' + _text(state) + by


def _classification(name: str | None, colors: Mapping[str, str]) -> bytes:
    """The member that names a class, with the comma before it."""
    if name is None:
        return b""
    color = colors.get(name, NO_COLOR)
    rgb = [int(color[k : k + 2], 16) for k in (1, 3, 5)]
    text = json.dumps({"name": name, "color": rgb}, ensure_ascii=False)
    return b', "classification": ' + text.encode()


def _others(nuclei: Packed, row: int) -> bytes:
    """The geometry of a nucleus that is not one simple ring."""
    outline = nuclei.outline(row)
    return json.dumps(geojson.geometry(trace(outline.mask, outline.box.origin))).encode()
