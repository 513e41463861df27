"""`slide-predict`: what a border of tiles cuts is seen; an edge of the tissue is no cut."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_noisyseg.benchmarks.slides import _cut

TILES = (256, 512)


def test_what_a_border_cuts_is_counted(tnbc: tuple[Any, Any]) -> None:
    whole = tnbc[1]
    cut = whole.copy()
    cut[256:][cut[256:] > 0] += 1000
    across = set(whole[255][whole[255] > 0]) & set(whole[256][whole[256] > 0])
    assert _cut(whole, whole, TILES) == 0
    assert 0 < _cut(cut, whole, TILES) <= len(across)
    assert _cut(cut, cut, TILES) == 0, "larger tiles, without a border there, see two as well"
    assert _cut(cut.T, whole.T, TILES) == _cut(cut, whole, TILES)
    assert _cut(np.zeros_like(whole), whole, TILES) == 0
