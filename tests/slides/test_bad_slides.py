"""Real slides as a broken copy leaves them: a clear word, never glass where tissue should be."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import tifffile

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box, Slide, open_image
from napari_noisyseg.store import Project

NAME = "CMU-1-Small-Region"
FILES = (f"{NAME}.svs", f"{NAME}_pyramid_DERIVED.tif", f"{NAME}_pyramid_DERIVED.ome.tif")


def whole(slide: Slide) -> None:
    """Read all of it."""
    for level in slide.levels:
        for y in range(0, level.shape[0], 1024):
            level.box(Box(y, 0, min(y + 1024, level.shape[0]), level.shape[1]))


def refused(path: Path) -> str:
    with pytest.raises(NoisySegError) as caught, open_image(path) as slide:
        whole(slide)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.95, 0.999])
def test_a_truncated_slide_is_incomplete(
    data_dir: Path, tmp_path: Path, name: str, share: float
) -> None:
    """Also where only its label is cut off, which nobody reads."""
    raw = (data_dir / "slides" / name).read_bytes()
    path = tmp_path / name
    path.write_bytes(raw[: int(share * len(raw))])
    assert re.search(
        r"is incomplete: it should go on to byte [\d,]+ .*copy it again", refused(path)
    )


@pytest.mark.parametrize("name", FILES)
def test_a_level_without_pixels_is_no_glass(data_dir: Path, tmp_path: Path, name: str) -> None:
    source = data_dir / "slides" / name
    with tifffile.TiffFile(source) as file:
        levels = [level.keyframe.tags["TileOffsets"] for level in file.series[0].levels]
        places = [(tag.valueoffset, 4 * tag.count) for tag in levels]
    for at, count in places:
        raw = bytearray(source.read_bytes())
        raw[at : at + count] = bytes(count)
        (tmp_path / name).write_bytes(raw)
        assert re.search("damaged", refused(tmp_path / name))


@pytest.mark.parametrize("name", FILES)
def test_a_tile_of_nothing_is_told_where_it_is(data_dir: Path, tmp_path: Path, name: str) -> None:
    source, raw = data_dir / "slides" / name, bytearray((data_dir / "slides" / name).read_bytes())
    with tifffile.TiffFile(source) as file:
        page = file.series[0].levels[0].keyframe
        start, count = page.dataoffsets[5], page.databytecounts[5]
    raw[start : start + count] = bytes(count)
    (tmp_path / name).write_bytes(raw)
    assert "cannot be read at x 0, y 0" in refused(tmp_path / name)


def test_a_missing_level_of_ome_zarr_is_named(data_dir: Path, tmp_path: Path) -> None:
    with (
        Project.create(tmp_path / "p.noisyseg") as project,
        open_image(data_dir / "slides" / f"{NAME}.svs") as slide,
    ):
        project.add_array(slide.read(Box(0, 0, 1200, 1200)), "i", 0.499)
    path = Path(shutil.copytree(tmp_path / "p.noisyseg" / "images" / "i", tmp_path / "i.ome.zarr"))
    with open_image(path) as slide:
        assert len(slide.levels) == 3
    shutil.rmtree(path / "1")
    assert "its level '1' is missing" in refused(path)


@pytest.mark.parametrize(
    ("across", "down"), [(96, 96), (300, 300), (50_902, 25_451), (0, 0), (2e9, 2e9)]
)
def test_a_size_of_pixels_that_cannot_be_is_none(
    data_dir: Path, tmp_path: Path, across: float, down: float
) -> None:
    """Dots per inch of office programs, and oblong pixels."""
    with open_image(data_dir / "slides" / f"{NAME}.svs") as slide:
        rgb = slide.read(Box(0, 0, 600, 600))
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, rgb, tile=(128, 128), photometric="rgb", metadata=None,
                     resolution=(across, down), resolutionunit="INCH")  # fmt: skip
    with open_image(path) as slide:
        assert slide.mpp is None
    with Project.create(tmp_path / "p.noisyseg") as project:
        assert project.add_image(path).mpp_assumed
