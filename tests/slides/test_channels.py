"""Fluorescence: which channel shows the nuclei is asked, never guessed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box, open_image

RAMP = np.arange(40 * 50, dtype=np.uint16).reshape(40, 50)
CHANNELS = np.stack([RAMP * 2, 5000 - RAMP, np.full_like(RAMP, 700)])
"""The first grows brighter to the right and below, the second darker, the third is blank."""


def grey(path: Path, channel: int | None = None) -> np.ndarray:
    with open_image(path, channel) as slide:
        pixels = slide.read(Box(0, 0, *slide.shape))
    assert (pixels == pixels[..., :1]).all()
    return pixels[..., 0]


@pytest.mark.parametrize(
    ("ending", "options", "name"),
    [
        (".ome.tif", {"metadata": {"axes": "CYX", "Channel": {"Name": ["DAPI", "GFP", "?"]}}},
         "1 DAPI, 2 GFP"),
        (".tif", {"imagej": True, "metadata": {"axes": "CYX", "Labels": ["DAPI", "GFP", "?"]}},
         "1 DAPI, 2 GFP"),
    ],
)  # fmt: skip
def test_the_channel_is_asked_for_by_name(
    tmp_path: Path, ending: str, options: dict, name: str
) -> None:
    path = tmp_path / f"cells{ending}"
    tifffile.imwrite(path, CHANNELS, photometric="minisblack", **options)
    with pytest.raises(NoisySegError, match=rf"3 channels.*{name}.*--channel 1 to 3"):
        open_image(path)
    first, second = grey(path, 1), grey(path, 2)
    assert (first[0, 0], first[-1, -1]) == (0, 255)
    assert (second[0, 0], second[-1, -1]) == (255, 0)
    assert not grey(path, 3).any()
    with pytest.raises(NoisySegError, match="there is no --channel 4"):
        open_image(path, 4)


@pytest.mark.parametrize("count", [2, 4, 5])
def test_channels_of_8_bits_are_no_colours(tmp_path: Path, count: int) -> None:
    planes = np.stack([(RAMP // 8).astype(np.uint8)] * count)
    path = tmp_path / "cells.ome.tif"
    tifffile.imwrite(path, planes, photometric="minisblack", metadata={"axes": "CYX"})
    with pytest.raises(NoisySegError, match=f"{count} channels.*--channel 1 to {count}"):
        open_image(path)
    assert grey(path, 2)[-1, -1] == 255


def test_one_channel_is_stretched_when_it_is_asked_for(tmp_path: Path) -> None:
    Image.fromarray(RAMP + 300).save(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "a.tif", RAMP + 300)
    for name in ("a.png", "a.tif"):
        with pytest.raises(NoisySegError, match="--channel 1"):
            open_image(tmp_path / name)
        seen = grey(tmp_path / name, 1)
        assert np.abs(seen.astype(int) - np.rint(RAMP * 255.0 / RAMP.max())).max() <= 1


def test_few_bright_pixels_do_not_darken_the_rest(tmp_path: Path) -> None:
    pixels = RAMP.copy()
    pixels[3, 4] = 60_000
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    assert grey(tmp_path / "a.tif", 1)[-1, -1] > 250


def test_colours_of_12_bits_may_be_channels(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.moveaxis(CHANNELS, 0, -1) // 2, photometric="rgb")
    with pytest.raises(NoisySegError, match="--channel 1 to 3"):
        open_image(path)
    assert grey(path, 1)[-1, -1] == 255


def test_folders_and_slides_have_no_choice(tmp_path: Path) -> None:
    (tmp_path / "a.ome.zarr").mkdir()
    (tmp_path / "a.svs").touch()
    for name in ("a.ome.zarr", "a.svs"):
        with pytest.raises(NoisySegError, match=r"--channel is for plain images"):
            open_image(tmp_path / name, 1)
