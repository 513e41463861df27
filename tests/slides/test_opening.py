from __future__ import annotations

import contextlib
import os
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box, open_image

PIXELS = np.random.default_rng(5).integers(0, 256, (40, 50, 3), dtype=np.uint8)
WHOLE = Box(0, 0, 40, 50)


def refused(path: Path) -> str:
    with pytest.raises(NoisySegError) as caught:
        open_image(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", ["a.png", "ü ber 核.png", "a.bmp", "a.tif", "weiß und rot.tiff"])
def test_plain_images_give_their_pixels(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "Ordner mit Ümlaut"
    folder.mkdir()
    Image.fromarray(PIXELS).save(folder / name)
    with open_image(folder / name) as slide:
        assert (slide.shape, slide.mpp, slide.is_pyramid) == ((40, 50), None, False)
        assert slide.path == folder / name
        assert np.array_equal(slide.read(WHOLE), PIXELS)


def test_the_beginning_of_a_file_decides_not_its_name(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.tif")
    tifffile.imwrite(tmp_path / "b.png", PIXELS)
    for name in ("a.tif", "b.png"):
        assert np.array_equal(open_image(tmp_path / name).read(WHOLE), PIXELS)


def test_jpeg_is_read(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).resize((500, 400)).save(tmp_path / "a.jpg", quality=95)
    read = open_image(tmp_path / "a.jpg").read(Box(0, 0, 400, 500)).astype(int)
    wanted = np.asarray(Image.fromarray(PIXELS).resize((500, 400))).astype(int)
    assert np.abs(read - wanted).mean() < 8


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "CMYK", "1"])
def test_other_colours_are_converted(tmp_path: Path, mode: str) -> None:
    ending = ".tif" if mode == "CMYK" else ".png"
    image = Image.fromarray(PIXELS).convert(mode)
    image.save(tmp_path / f"a{ending}")
    wanted = np.asarray(image.convert("RGB"))
    read = open_image(tmp_path / f"a{ending}").read(WHOLE)
    assert np.abs(read.astype(int) - wanted).max() <= 1


def test_transparency_is_laid_on_white(tmp_path: Path) -> None:
    transparent = np.dstack([PIXELS, np.zeros((40, 50), np.uint8)])
    Image.fromarray(transparent).save(tmp_path / "a.png")
    tifffile.imwrite(
        tmp_path / "a.tif", transparent, photometric="rgb", extrasamples=["unassalpha"]
    )
    for name in ("a.png", "a.tif"):
        assert (open_image(tmp_path / name).read(WHOLE) == 255).all()


def test_a_transparent_palette_colour_is_white(tmp_path: Path) -> None:
    image = Image.fromarray(np.zeros((40, 50), np.uint8)).convert("P")
    image.save(tmp_path / "a.png", transparency=0)
    assert (open_image(tmp_path / "a.png").read(WHOLE) == 255).all()


def test_resolution_counts_only_when_it_is_a_microscopes(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.png", dpi=(72, 72))
    Image.fromarray(PIXELS).save(tmp_path / "b.png", dpi=(101_600, 101_600))
    assert open_image(tmp_path / "a.png").mpp is None
    assert open_image(tmp_path / "b.png").mpp == pytest.approx(0.25, rel=1e-4)


def test_16_bit_grey_is_refused_as_fluorescence(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 4), 3000, np.uint16)).save(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "a.tif", np.full((4, 4), 3000, np.uint16))
    assert "fluorescence" in refused(tmp_path / "a.png")
    assert "fluorescence" in refused(tmp_path / "a.tif")


@pytest.mark.skipif(os.name != "posix", reason="names are bytes there alone")
def test_a_name_of_an_old_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"M\xfcller.png")
    try:
        Image.fromarray(PIXELS).save(path, "png")
    except OSError:
        pytest.skip("the disk takes only UTF-8")
    assert "rename the file" in refused(path)


def test_missing_empty_and_foreign_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "notes.png").write_text("no image at all, just words")
    (tmp_path / "folder").mkdir()
    assert "there is no file" in refused(tmp_path / "gone.png")
    assert "is empty" in refused(tmp_path / "empty.png")
    assert "not an image that can be read" in refused(tmp_path / "notes.png")
    assert "OME-Zarr" in refused(tmp_path / "folder")


@pytest.mark.parametrize("kind", ["png", "jpg", "bmp", "tif"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
def test_truncated_files_are_refused(tmp_path: Path, kind: str, share: float) -> None:
    path = tmp_path / f"a.{kind}"
    Image.fromarray(PIXELS).resize((200, 150)).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    refused(path)


@pytest.mark.parametrize("kind", ["png", "tif"])
def test_damaged_files_never_show_a_traceback(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    Image.fromarray(PIXELS).save(path)
    whole = path.read_bytes()
    generator = np.random.default_rng(1)
    for _ in range(60):
        broken = bytearray(whole)
        for at in generator.integers(0, min(400, len(whole)), 6):
            broken[at] = generator.integers(0, 256)
        path.write_bytes(broken)
        # any other exception fails the test
        with contextlib.suppress(NoisySegError):
            open_image(path).read(WHOLE)


def test_an_animation_is_refused(tmp_path: Path) -> None:
    frames = [Image.fromarray(PIXELS), Image.fromarray(255 - PIXELS)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    assert "animation" in refused(tmp_path / "a.png")


def png_claiming(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


@pytest.mark.parametrize("side", [14_000, 60_000, 1_000_000])
def test_a_png_that_claims_too_much_is_refused_at_once(tmp_path: Path, side: int) -> None:
    (tmp_path / "bomb.png").write_bytes(png_claiming(side, side))
    refused(tmp_path / "bomb.png")


def test_a_png_may_be_larger_than_what_pillow_warns_of(tmp_path: Path) -> None:
    (tmp_path / "large.png").write_bytes(png_claiming(10_000, 10_000))
    # believed, so decoding begins and finds it incomplete; a warning would be an error here
    assert "damaged or incomplete" in refused(tmp_path / "large.png")


def test_opening_changes_nothing(tmp_path: Path, data_dir: Path) -> None:
    copy = tmp_path / "a.svs"
    shutil.copy(data_dir / "slides" / "CMU-1-Small-Region.svs", copy)
    before = (copy.stat().st_mtime_ns, copy.read_bytes())
    open_image(copy).close()
    assert (copy.stat().st_mtime_ns, copy.read_bytes()) == before
    assert list(tmp_path.iterdir()) == [copy]
