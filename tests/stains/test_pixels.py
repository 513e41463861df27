"""The hematoxylin of single pixels is that of the whole image, for every colour there is."""

from __future__ import annotations

import numpy as np

from napari_noisyseg.stains.deconvolution import FIXED, densities
from napari_noisyseg.stains.pixels import hematoxylin_of


def test_every_colour_has_the_same_density_to_the_bit() -> None:
    places = np.arange(2**20, dtype=np.int32)
    for begin in range(0, 2**24, 2**20):
        code = np.arange(begin, begin + 2**20).reshape(1024, 1024)
        rgb = np.stack([code >> 16, code >> 8 & 255, code & 255], axis=-1).astype(np.uint8)
        assert np.array_equal(hematoxylin_of(rgb, places), densities(rgb, FIXED)[0].ravel())


def test_any_pixels_in_any_order() -> None:
    rgb = np.random.default_rng(1).integers(0, 256, (60, 70, 3), np.uint8)
    places = np.random.default_rng(2).permutation(60 * 70)[:900]
    assert np.array_equal(hematoxylin_of(rgb, places), densities(rgb, FIXED)[0].ravel()[places])
    assert len(hematoxylin_of(rgb, places[:0])) == 0
