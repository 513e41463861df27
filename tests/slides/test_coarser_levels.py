"""Levels that are reckoned: the same pixels, whichever part of them is looked at."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from napari_noisyseg.slides import Box, Level, coarser, open_image
from napari_noisyseg.slides.coarser import Coarser, halved, lacks_levels

Tissue = tuple[NDArray[np.uint8], NDArray[np.int32]]


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    height=st.integers(33, 512), width=st.integers(33, 512), number=st.integers(0, 2),
    corners=st.tuples(*[st.integers(0, 255)] * 4),
)  # fmt: skip
def test_a_part_is_cut_from_the_whole(
    tnbc: Tissue,
    monkeypatch: pytest.MonkeyPatch,
    height: int,
    width: int,
    number: int,
    corners: tuple[int, int, int, int],
) -> None:
    monkeypatch.setattr(coarser, "SMALL", 32)
    monkeypatch.setattr(coarser, "BLOCK", 64)
    rgb = tnbc[0][:height, :width]
    levels = Coarser(Level(height, width, lambda box: rgb[box.slices], "tissue"), "tissue").levels
    number = min(number, len(levels) - 1)
    whole = rgb
    for _ in range(number + 1):
        whole = halved(whole)
    assert levels[number].shape == whole.shape
    y, x = sorted(corners[:2]), sorted(corners[2:])
    box = Box(y[0], x[0], y[1] + 1, x[1] + 1).clip(whole.shape)
    assert np.array_equal(levels[number].box(box), whole[box.slices])


def test_a_slide_too_large_to_be_held_opens_at_once(tmp_path: Path, tnbc: Tissue) -> None:
    """100,000 x 80,000 pixels in one level; a pyramid was asked for before."""
    side, rows, columns = 512, 157, 196
    path = tmp_path / "flat.tif"

    def tiles():
        for n in range(rows * columns):
            yield tnbc[0] if n == 0 else None

    tifffile.imwrite(
        path, tiles(), shape=(80_000, 100_000, 3), dtype=np.uint8, tile=(side, side), bigtiff=True,
        photometric="rgb", compression="zlib", metadata=None,
    )  # fmt: skip
    began = time.process_time()
    with open_image(path) as slide:
        assert (slide.shape, lacks_levels(slide)) == ((80_000, 100_000), True)
        levels = Coarser(slide.levels[0], "flat").levels
        assert (np.asarray(levels[-1]) == coarser.UNSEEN).all()
        near = levels[0][:256, :256]
        assert np.array_equal(near, halved(tnbc[0]))
        assert time.process_time() - began < 2
