"""Pale and dark slides are brought to one level of hematoxylin."""

from __future__ import annotations

import numpy as np
import pytest

from napari_noisyseg import stains


def paler(rgb: np.ndarray, share: float) -> np.ndarray:
    """The same tissue with `share` of its stain (Beer-Lambert)."""
    return np.rint(255 * (np.maximum(rgb, 1) / 255.0) ** share).astype(np.uint8)


@pytest.mark.parametrize("share", [0.5, 0.7, 1.4])
def test_the_same_tissue_looks_the_same_whatever_its_stain(tnbc, share: float) -> None:
    rgb, labels = tnbc
    other = paler(rgb, share)
    levelled = [stains.hematoxylin(x, stains.levelled(x, stains.FIXED)) for x in (rgb, other)]
    plain = [stains.hematoxylin(x) for x in (rgb, other)]
    inside = labels > 0
    apart = abs(levelled[0][inside].mean() - levelled[1][inside].mean())
    assert apart < 0.03
    assert apart < abs(plain[0][inside].mean() - plain[1][inside].mean()) / 2


@pytest.mark.parametrize("value", [255, 0, 128])
def test_without_tissue_nothing_changes(value: int) -> None:
    blank = np.full((64, 64, 3), value, np.uint8)
    strength = stains.levelled(blank, stains.FIXED).strength
    assert 0.5 <= strength <= 4
    assert np.isfinite(stains.hematoxylin(blank, stains.levelled(blank, stains.FIXED))).all()


def test_white_is_left_alone() -> None:
    assert stains.levelled(np.full((64, 64, 3), 255, np.uint8), stains.FIXED) is stains.FIXED
