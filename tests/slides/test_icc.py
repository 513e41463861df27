"""Colours by the profile in the file: those that the colour library itself makes of them."""

from __future__ import annotations

import io
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageCms

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box, open_image
from napari_noisyseg.store import Project

Tissue = tuple[NDArray[np.uint8], NDArray[np.int32]]
APERIO = "Aperio Image Library v11.2.1 \r\n512x512 [0,0 512x512] (128x128) JPEG/RGB Q=90|MPP = 0.25"


@pytest.fixture(scope="module")
def profile() -> bytes:
    """The ICC's own, whose table of colours is not that of plain sRGB."""
    pytest.importorskip("highdicom")
    found = resources.files("highdicom") / "_icc_profiles" / "sRGB_v4_ICC_preference.icc"
    return found.read_bytes()


def directly(rgb: NDArray[np.uint8], profile: bytes) -> NDArray[np.uint8]:
    own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    srgb, intent = ImageCms.createProfile("sRGB"), ImageCms.getDefaultIntent(own)
    return np.asarray(ImageCms.profileToProfile(Image.fromarray(rgb), own, srgb, intent))


def pyramid(path: Path, rgb: NDArray[np.uint8], profile: bytes | None) -> Path:
    options = {"tile": (128, 128), "photometric": "rgb", "resolutionunit": "CENTIMETER"}
    with tifffile.TiffWriter(path) as file:
        file.write(rgb, subifds=1, resolution=(40000, 40000), iccprofile=profile, **options)
        file.write(rgb[::2, ::2], subfiletype=1, resolution=(20000, 20000), **options)
    return path


def aperio(path: Path, rgb: NDArray[np.uint8], profile: bytes) -> Path:
    """As a scanner writes it; its label must never be read, nor its colours be told."""
    options = {"photometric": "rgb", "metadata": None}
    with tifffile.TiffWriter(path) as file:
        file.write(rgb, tile=(128, 128), compression="jpeg", description=APERIO,
                   iccprofile=profile, **options)  # fmt: skip
        file.write(rgb[:64, :64], description="Aperio Image Library v11.2.1 \r\nlabel 64x64",
                   subfiletype=1, rowsperstrip=64, **options)  # fmt: skip
    return path


def test_a_pyramid_is_corrected_at_every_level(
    tmp_path: Path, tnbc: Tissue, profile: bytes
) -> None:
    path = pyramid(tmp_path / "a.tif", tnbc[0], profile)
    with open_image(path) as slide:
        assert (slide.icc, len(slide.levels)) == ("", 2)
        assert np.array_equal(slide.read(Box(0, 0, 512, 512)), tnbc[0])
    with open_image(path, icc=True) as slide:
        assert slide.icc
        wanted = directly(tnbc[0], profile)
        assert np.abs(wanted.astype(int) - tnbc[0]).mean() > 1
        assert np.array_equal(slide.read(Box(10, 20, 300, 400)), wanted[10:300, 20:400])
        coarse = directly(np.ascontiguousarray(tnbc[0][::2, ::2]), profile)
        assert np.array_equal(slide.levels[1][:], coarse)
        # glass beside the slide is white all the same
        assert (slide.read(Box(-9, 0, 0, 9)) == 255).all()


@pytest.mark.parametrize("ending", ["png", "jpg", "tif"])
def test_a_picture_is_corrected(tmp_path: Path, tnbc: Tissue, profile: bytes, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    Image.fromarray(tnbc[0]).save(path, icc_profile=profile)
    with open_image(path) as slide, open_image(path, icc=True) as corrected:
        whole = Box(0, 0, 512, 512)
        assert np.array_equal(corrected.read(whole), directly(slide.read(whole), profile))


def test_a_scanner_s_slide_is_corrected(tmp_path: Path, tnbc: Tissue, profile: bytes) -> None:
    pytest.importorskip("openslide")
    path = aperio(tmp_path / "a.svs", tnbc[0], profile)
    with open_image(path) as slide, open_image(path, icc=True) as corrected:
        box = Box(5, 9, 200, 300)
        assert (slide.shape, slide.mpp) == ((512, 512), 0.25)
        assert np.array_equal(corrected.read(box), directly(slide.read(box), profile))


def test_a_file_without_a_profile_stays_as_it_is(tmp_path: Path, tnbc: Tissue) -> None:
    with open_image(pyramid(tmp_path / "a.tif", tnbc[0], None), icc=True) as slide:
        assert slide.icc == ""
        assert np.array_equal(slide.read(Box(0, 0, 512, 512)), tnbc[0])


def test_a_bad_profile_is_told(tmp_path: Path, tnbc: Tissue, profile: bytes) -> None:
    grey = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    for wrong, words in ((profile[:200], "damaged"), (b"no profile", "damaged"), (grey, "LAB|Lab")):
        path = pyramid(tmp_path / "a.tif", tnbc[0], wrong)
        with pytest.raises(NoisySegError, match=f"colour profile .*({words})"):
            open_image(path, icc=True)
        open_image(path).close()


def test_a_project_keeps_it_for_each_image(tmp_path: Path, tnbc: Tissue, profile: bytes) -> None:
    linked = pyramid(tmp_path / "linked.tif", tnbc[0], profile)
    copied = tmp_path / "copied.png"
    Image.fromarray(tnbc[0]).save(copied, icc_profile=profile)
    wanted, whole = directly(tnbc[0], profile), Box(0, 0, 512, 512)
    with Project.create(tmp_path / "p.noisyseg") as project:
        for path in (linked, copied):
            assert project.add_image(path, icc=True).icc
        assert project.add_image(linked, name="plain").icc == ""
    with Project.open(tmp_path / "p.noisyseg", write=False) as project:
        for name in ("linked", "copied"):
            assert project.image(name).icc
            with project.pixels(name) as slide:
                assert np.array_equal(slide.read(whole), wanted)
        with project.pixels("plain") as slide:
            assert np.array_equal(slide.read(whole), tnbc[0])
