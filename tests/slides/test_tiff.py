from __future__ import annotations

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box, open_image

PIXELS = np.random.default_rng(5).integers(0, 256, (96, 128, 3), dtype=np.uint8)
WHOLE = Box(0, 0, 96, 128)


def refused(path: Path) -> str:
    with pytest.raises(NoisySegError) as caught:
        open_image(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def read(path: Path) -> np.ndarray:
    with open_image(path) as slide:
        return slide.read(WHOLE)


@pytest.mark.parametrize("name", ["", ".ome"])
def test_a_real_pyramid_is_read_level_by_level(data_dir: Path, name: str) -> None:
    path = data_dir / "slides" / f"CMU-1-Small-Region_pyramid_DERIVED{name}.tif"
    with open_image(path) as slide, tifffile.TiffFile(path) as file:
        assert (slide.shape, slide.mpp, slide.is_pyramid) == ((2967, 2220), 0.499, True)
        assert slide.downsamples == pytest.approx((1, 2, 4, 8), rel=3e-3)
        for level, wanted in zip(slide.levels, file.series[0].levels, strict=True):
            assert np.array_equal(level[100:200, 50:90], wanted.asarray()[100:200, 50:90])


def test_a_pyramid_opens_and_shows_in_well_under_a_second(data_dir: Path, pace: float) -> None:
    path = data_dir / "slides" / "CMU-1-Small-Region_pyramid_DERIVED.ome.tif"
    open_image(path).close()
    start = time.thread_time()
    with open_image(path) as slide:
        slide.levels[-1][:]
    assert time.thread_time() - start < 100 * pace


@pytest.mark.parametrize("declared", [True, False])
def test_pages_that_halve_are_a_pyramid(tmp_path: Path, declared: bool) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for step in (1, 2, 4):
            writer.write(
                PIXELS[::step, ::step],
                tile=(16, 16),
                photometric="rgb",
                metadata=None,
                subfiletype=int(declared and step > 1),
            )
    with open_image(tmp_path / "a.tif") as slide:
        assert slide.downsamples == (1, 2, 4)
        assert np.array_equal(slide.levels[2][:], PIXELS[::4, ::4])
        assert np.array_equal(slide.read(Box(3, 5, 70, 80)), PIXELS[3:70, 5:80])


@pytest.mark.parametrize("same", [True, False])
def test_pages_that_are_no_pyramid_are_refused_and_counted(tmp_path: Path, same: bool) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for n in range(3):
            writer.write(PIXELS[: 96 if same else 96 - 5 * n], photometric="rgb", metadata=None)
    assert "3 pages" in refused(tmp_path / "a.tif")


def test_volumes_are_refused(tmp_path: Path) -> None:
    stack = np.stack([PIXELS] * 4)
    tifffile.imwrite(tmp_path / "z.ome.tif", stack, photometric="rgb", metadata={"axes": "ZYXS"})
    assert "4 pages of 128 x 96 pixels" in refused(tmp_path / "z.ome.tif")


def test_label_and_macro_pictures_are_passed_over(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as writer:
        writer.write(PIXELS[:20, :20], photometric="rgb", metadata={"Name": "label image"})
        writer.write(PIXELS, photometric="rgb", metadata={"Name": "macrophages"})
        writer.write(PIXELS[:20, :30], photometric="rgb", metadata={"Name": "Macro"})
    assert np.array_equal(read(tmp_path / "a.ome.tif"), PIXELS)


def test_only_one_file_is_read(tmp_path: Path) -> None:
    """OME-XML may name further files anywhere; none of them is opened."""
    tifffile.imwrite(tmp_path / "other.ome.tif", 255 - PIXELS, photometric="rgb")
    with tifffile.TiffFile(tmp_path / "other.ome.tif") as file:
        uuid = file.ome_metadata.split('UUID="')[1].split('"')[0]
    tifffile.imwrite(tmp_path / "a.ome.tif", PIXELS, photometric="rgb")
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as file:
        own = file.ome_metadata.split('UUID="')[1].split('"')[0]
        xml = file.ome_metadata.replace("a.ome.tif", "other.ome.tif").replace(own, uuid)
    tifffile.tiffcomment(tmp_path / "a.ome.tif", xml.encode())
    with contextlib.suppress(NoisySegError):
        assert not np.array_equal(read(tmp_path / "a.ome.tif"), 255 - PIXELS)


def test_planar_and_channel_first_colours_are_put_last(tmp_path: Path) -> None:
    planar = PIXELS.transpose(2, 0, 1).copy()
    tifffile.imwrite(tmp_path / "a.tif", planar, photometric="rgb", planarconfig="separate")
    tifffile.imwrite(
        tmp_path / "b.ome.tif", planar, photometric="minisblack", metadata={"axes": "CYX"}
    )
    assert np.array_equal(read(tmp_path / "a.tif"), PIXELS)
    assert np.array_equal(read(tmp_path / "b.ome.tif"), PIXELS)


def test_16_bit_colours_are_scaled_alike_in_every_tile(tmp_path: Path) -> None:
    sixteen = PIXELS.astype(np.uint16) * 257
    sixteen[:16, :16] = 300  # dark: on its own this tile would not tell its range
    tifffile.imwrite(tmp_path / "a.tif", sixteen, photometric="rgb")
    with tifffile.TiffWriter(tmp_path / "b.tif") as writer:
        for step in (1, 2):
            writer.write(sixteen[::step, ::step], tile=(16, 16), photometric="rgb", metadata=None)
    for name in ("a.tif", "b.tif"):
        pixels = read(tmp_path / name)
        assert (pixels[:16, :16] == 1).all()
        assert np.array_equal(pixels[16:], PIXELS[16:])
    with open_image(tmp_path / "b.tif") as slide:
        assert (slide.levels[0][:16, :16] == 1).all()


def test_palettes_and_inverted_grey_are_converted(tmp_path: Path) -> None:
    colours = np.random.default_rng(1).integers(0, 65536, (3, 256), dtype=np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", PIXELS[..., 0], photometric="palette", colormap=colours)
    assert np.array_equal(read(tmp_path / "a.tif"), (colours >> 8).T[PIXELS[..., 0]])
    tifffile.imwrite(tmp_path / "b.tif", PIXELS[..., 0], photometric="miniswhite")
    assert np.array_equal(read(tmp_path / "b.tif")[..., 1], 255 - PIXELS[..., 0])


def test_premultiplied_transparency_is_laid_on_white(tmp_path: Path) -> None:
    half = np.full((96, 128, 4), 128, np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", half, photometric="rgb", extrasamples=["assocalpha"])
    assert (read(tmp_path / "a.tif") == 255).all()


def test_a_fourth_channel_of_no_stated_meaning_is_left_out(tmp_path: Path) -> None:
    four = np.dstack([PIXELS, PIXELS[..., :1]])
    tifffile.imwrite(tmp_path / "a.tif", four, photometric="rgb", extrasamples=["unspecified"])
    assert np.array_equal(read(tmp_path / "a.tif"), PIXELS)


@pytest.mark.parametrize(
    ("pixels", "options", "said"),
    [
        (PIXELS[..., 0] > 9, {}, "mask"),
        (PIXELS.astype(np.float32), {"photometric": "rgb"}, "decimal numbers"),
        (PIXELS, {"photometric": "cielab"}, "CIELAB"),
        (np.zeros((96, 128, 6), np.uint8), {"planarconfig": "contig"}, "channels"),
        (np.zeros((96, 128, 2), np.uint16), {"planarconfig": "contig"}, "fluorescence"),
    ],
)
def test_what_has_no_plain_meaning_is_refused(
    tmp_path: Path, pixels: np.ndarray, options: dict[str, str], said: str
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", pixels, **options)
    assert said in refused(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("options", "mpp"),
    [
        ({"resolution": (40_000, 40_000), "resolutionunit": "CENTIMETER"}, 0.25),
        ({"resolution": (101_600, 101_600), "resolutionunit": "INCH"}, 0.25),
        ({"resolution": (300, 300), "resolutionunit": "INCH"}, None),
        ({"resolution": (40_000, 20_000), "resolutionunit": "CENTIMETER"}, None),
        ({"resolution": (4, 4), "resolutionunit": "NONE"}, None),
        ({"resolution": (0, 0), "resolutionunit": "CENTIMETER"}, None),
        ({"imagej": True, "resolution": (2, 2), "metadata": {"unit": "um"}}, 0.5),
        ({"imagej": True, "resolution": (2, 2), "metadata": {"unit": "pixel"}}, None),
    ],
)
def test_resolution_counts_only_when_it_is_a_microscopes(
    tmp_path: Path, options: dict[str, object], mpp: float | None
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, **({"photometric": "rgb"} | options))
    assert open_image(tmp_path / "a.tif").mpp == (mpp if mpp is None else pytest.approx(mpp))


@pytest.mark.parametrize(
    ("size", "unit", "mpp"), [(0.25, "µm", 0.25), (250, "nm", 0.25), (25, "µm", None)]
)
def test_ome_physical_sizes_are_read(
    tmp_path: Path, size: float, unit: str, mpp: float | None
) -> None:
    metadata = {"PhysicalSizeX": size, "PhysicalSizeY": size}
    metadata |= {"PhysicalSizeXUnit": unit, "PhysicalSizeYUnit": unit}
    tifffile.imwrite(tmp_path / "a.ome.tif", PIXELS, photometric="rgb", metadata=metadata)
    assert open_image(tmp_path / "a.ome.tif").mpp == (mpp if mpp is None else pytest.approx(mpp))


@pytest.mark.parametrize("tiled", [True, False])
def test_a_header_that_claims_too_much_is_refused_at_once(
    tmp_path: Path, tiled: bool, pace: float
) -> None:
    path = tmp_path / "bomb.tif"
    options = {"tile": (96, 128)} if tiled else {"rowsperstrip": 96}
    tifffile.imwrite(path, PIXELS, photometric="rgb", metadata=None, **options)
    with tifffile.TiffFile(path, mode="r+") as file:
        for tag in ("ImageWidth", "ImageLength"):
            file.pages[0].tags[tag].overwrite(1_000_000)
    start = time.thread_time()
    assert "1000000 x 1000000" in refused(path)
    assert time.thread_time() - start < 200 * pace


def test_a_pyramid_cut_short_is_refused(tmp_path: Path, data_dir: Path) -> None:
    whole = (data_dir / "slides" / "CMU-1-Small-Region_pyramid_DERIVED.ome.tif").read_bytes()
    (tmp_path / "a.ome.tif").write_bytes(whole[:-3000])
    assert "incomplete" in refused(tmp_path / "a.ome.tif")


def test_a_large_tiled_image_is_read_in_place(tmp_path: Path) -> None:
    """Sparse: 4 of its 6,400 tiles exist; the others are glass."""
    path = tmp_path / "large.tif"
    tile = np.full((64, 64, 3), 7, np.uint8)
    tiles = iter([tile] * 4 + [None] * (6400 - 4))
    tifffile.imwrite(
        path,
        tiles,
        shape=(5120, 5120, 3),
        dtype=np.uint8,
        tile=(64, 64),
        photometric="rgb",
        compression="zlib",
        metadata=None,
    )
    with open_image(path) as slide:
        assert slide.is_pyramid
        pixels = slide.read(Box(60, 250, 70, 260))
    assert (pixels[:4, :6] == 7).all()
    assert (pixels[4:] == 255).all()


@pytest.mark.parametrize("name", ["pyramid_DERIVED.tif", "pyramid_DERIVED.ome.tif"])
def test_several_threads_may_read(data_dir: Path, name: str) -> None:
    with open_image(data_dir / "slides" / f"CMU-1-Small-Region_{name}") as slide:
        boxes = [Box(y, x, y + 300, x + 300) for y in range(0, 2600, 400) for x in (0, 900, 1800)]
        alone = [slide.read(box) for box in boxes]
        with ThreadPoolExecutor(4) as threads:
            together = list(threads.map(slide.read, boxes))
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


def test_a_slide_that_was_closed_says_so(data_dir: Path) -> None:
    slide = open_image(data_dir / "slides" / "CMU-1-Small-Region_pyramid_DERIVED.tif")
    slide.close()
    slide.close()
    with pytest.raises(NoisySegError, match=r"cannot be read at x 0, y 0 \(it was closed\)"):
        slide.read(Box(0, 0, 10, 10))
