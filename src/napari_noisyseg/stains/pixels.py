"""The hematoxylin of very many single pixels."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.stains.deconvolution import FIXED, density_tables

F32 = NDArray[np.float32]
CACHED = 2**14
"""pixels that are worked with at a time"""


class _Tables(NamedTuple):
    """Optical densities along hematoxylin (real) and eosin (imaginary): of red and green together,
    (65536,), and of blue, (256,); the cosine of the two stains, and what makes up for it.
    """

    red_green: NDArray[np.complex64]
    blue: NDArray[np.complex64]
    cosine: np.float32
    scale: np.float32


@cache
def _tables() -> _Tables:
    tables, w = density_tables(FIXED.x0), FIXED.W.astype(np.float32)
    cosine = np.float32(w[:, 0] @ w[:, 1])
    red, green, blue = (
        (w[c, 0] * tables[c] + 1j * (w[c, 1] * tables[c])).astype(np.complex64) for c in range(3)
    )
    pairs = (red[:, None] + green).ravel()
    return _Tables(pairs, blue, cosine, np.float32(1.0) / (1 - cosine * cosine))


def hematoxylin_of(rgb: NDArray[np.uint8], places: NDArray[np.integer]) -> F32:
    """`densities` of hematoxylin by the fixed vectors at some pixels, float32 (n,).

    rgb: uint8 (h, w, 3); places: of the pixels in it, row by row, (n,). The same to the bit, and
    quicker: two channels are looked up at once.
    """
    flat, found = rgb.ravel(), np.empty(len(places), np.float32)
    for begin in range(0, len(places), CACHED):
        at = 3 * places[begin : begin + CACHED].astype(np.intp)
        _look_up(flat, at, found[begin : begin + CACHED])
    return found


def _look_up(flat: NDArray[np.uint8], at: NDArray[np.intp], out: F32) -> None:
    """The densities of the pixels whose red lies at `at`."""
    red_green, blue, cosine, scale = _tables()
    pairs = flat.take(at).astype(np.intp)
    pairs <<= 8
    pairs |= flat.take(at + 1)
    both = red_green.take(pairs)
    both += blue.take(flat.take(at + 2))
    h = both.real.copy()
    np.multiply(cosine, both.imag, out=out)
    np.subtract(h, out, out=out)
    out *= scale
    # where there is less than none of eosin, hematoxylin alone is fitted; that is then the lesser
    np.minimum(out, h, out=out)
    np.maximum(out, 0, out=out)
