"""Which reader a file needs."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import openslides, plain, tiff
from napari_noisyseg.slides.beginning import TIFF_STARTS, file_start
from napari_noisyseg.slides.icc import in_srgb
from napari_noisyseg.slides.ome_zarr import open_ome_zarr
from napari_noisyseg.slides.openslides import open_openslide
from napari_noisyseg.slides.plain import open_plain
from napari_noisyseg.slides.slide import Slide
from napari_noisyseg.slides.tiff import is_of_scanner, open_tiff
from napari_noisyseg.slides.tiff_pages import check_pages, check_whole

PLAIN_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
TIFF_SUFFIXES = (".tif", ".tiff", ".btf", ".tf8")
IMAGE_SUFFIXES = (*PLAIN_SUFFIXES, *TIFF_SUFFIXES, *openslides.SUFFIXES, ".zarr")
"""Endings, in lower case, of what `open_image` reads; for filtering folders and file dialogues."""


Kind = Literal["zarr", "slide", "tiff", "plain"]


def open_image(path: Path, channel: int | None = None, icc: bool = False) -> Slide:
    """Any image that can be read, as one lazy RGB pyramid; the caller closes it.

    channel: which channel of fluorescence to show (1 the first), stretched over its own range; for
    plain images and TIFF. icc: bring colours to sRGB by the profile in the file; where it has none
    they stay, and `Slide.icc` is "". A file's beginning decides, not its name; slides of scanner
    makers go to OpenSlide. Raises `NoisySegError` saying what is wrong with the file and how to
    mend it; nothing is changed.
    """
    path = Path(path)
    _check_name(path)
    if icc and channel is not None:
        raise NoisySegError(f"{path}: fluorescence (--channel) has no colours to correct (--icc)")
    kind = _kind(path, channel)
    slide = _opened(path, kind, channel)
    slide.channel = channel
    try:
        return in_srgb(slide, _profile(path, kind)) if icc else slide
    except BaseException:
        slide.close()
        raise


def _check_name(path: Path) -> None:
    """Refuse names that no table, database or JSON can hold: of old archives, mostly."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise NoisySegError(
            f"{path}: this name has letters that are not in UTF-8: rename the file, or its folder"
        ) from None


def _kind(path: Path, channel: int | None) -> Kind:
    """Which reader a file needs; NoisySegError for what no reader could follow to its end."""
    if channel is not None and (path.is_dir() or path.suffix.lower() in openslides.SUFFIXES):
        raise NoisySegError(
            f"{path}: --channel is for plain images and TIFF; save the channel that shows the "
            "nuclei alone",
            window=f"{path}: its channels cannot be told apart here; save the channel that shows "
            "the nuclei alone",
        )
    if path.is_dir():
        return "zarr"
    start = file_start(path)
    if start.startswith(TIFF_STARTS):
        check_pages(path)
    if path.suffix.lower() in openslides.SUFFIXES:
        return "slide"
    if start.startswith(TIFF_STARTS):
        return "slide" if channel is None and is_of_scanner(path) else "tiff"
    return "plain"


def _opened(path: Path, kind: Kind, channel: int | None) -> Slide:
    if kind == "zarr":
        return open_ome_zarr(path)
    if kind == "slide":
        if file_start(path).startswith(TIFF_STARTS):
            check_whole(path)
        return open_openslide(path)
    return open_tiff(path, channel) if kind == "tiff" else open_plain(path, channel)


def _profile(path: Path, kind: Kind) -> bytes:
    """The colour profile in a file, b"" for none."""
    if kind == "zarr":
        return b""
    readers = {"slide": openslides.profile_of, "tiff": tiff.profile_of, "plain": plain.profile_of}
    return readers[kind](path)
