"""Pieces of XML for our own writers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.sax.saxutils import quoteattr

import numpy as np

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.exchange.marks import MADE_BY
from napari_noisyseg.exchange.outlines import Ring

HEAD = f'<?xml version="1.0" encoding="UTF-8"?>\n<!-- {MADE_BY} -->\n'
MAX_VERTICES = 5_000_000
"""Of a file: a hundred thousand nuclei."""
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def element(name: str, attributes: Mapping[str, object], close: bool = False) -> str:
    """An opening tag; `close` closes it at once. Letters that XML cannot hold are removed."""
    inside = "".join(f" {k}={quoteattr(_NO_XML.sub('', str(v)))}" for k, v in attributes.items())
    return f"<{name}{inside}{'/' if close else ''}>"


def number(value: float) -> str:
    """The shortest text that gives back a number exactly."""
    return str(int(value)) if value == int(value) else repr(value)


def place(attributes: Mapping[str, str], where: str) -> tuple[float, float]:
    """X and Y of an element. Raises `NoisySegError` where they are not in an image."""
    try:
        x, y = float(attributes["X"]), float(attributes["Y"])
    except (KeyError, ValueError):
        raise NoisySegError(f"{where} has a vertex without numbers for X and Y") from None
    # also false if one of them is not a number
    if not (abs(x) <= 1e8 and abs(y) <= 1e8):
        raise NoisySegError(f"{where} has coordinates that are not in an image")
    return x, y


def closed(vertices: list[tuple[float, float]]) -> Ring:
    """The ring of vertices, the first repeated at the end."""
    ring = np.array(vertices, float).reshape(-1, 2)
    return ring if (ring[0] == ring[-1]).all() and len(ring) > 1 else np.vstack([ring, ring[:1]])
