"""Which reader a file needs."""

from __future__ import annotations

from pathlib import Path

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import openslides
from napari_noisyseg.slides.beginning import TIFF_STARTS, file_start
from napari_noisyseg.slides.ome_zarr import open_ome_zarr
from napari_noisyseg.slides.openslides import open_openslide
from napari_noisyseg.slides.plain import open_plain
from napari_noisyseg.slides.slide import Slide
from napari_noisyseg.slides.tiff import is_of_scanner, open_tiff
from napari_noisyseg.slides.tiff_pages import check_pages

PLAIN_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
TIFF_SUFFIXES = (".tif", ".tiff", ".btf", ".tf8")
IMAGE_SUFFIXES = (*PLAIN_SUFFIXES, *TIFF_SUFFIXES, *openslides.SUFFIXES, ".zarr")
"""Endings, in lower case, of what `open_image` reads; for filtering folders and file dialogues."""


def open_image(path: Path, channel: int | None = None) -> Slide:
    """Any image that can be read, as one lazy RGB pyramid; the caller closes it.

    channel: which channel of fluorescence to show (1 the first), stretched over its own range; for
    plain images and TIFF. A file's beginning decides, not its name; slides of scanner makers go to
    OpenSlide. Raises `NoisySegError` saying what is wrong with the file and how to mend it; nothing
    is changed.
    """
    path = Path(path)
    if channel is not None and (path.is_dir() or path.suffix.lower() in openslides.SUFFIXES):
        raise NoisySegError(
            f"{path}: --channel is for plain images and TIFF; save the channel that shows the "
            "nuclei alone",
            window=f"{path}: its channels cannot be told apart here; save the channel that shows "
            "the nuclei alone",
        )
    if path.is_dir():
        return open_ome_zarr(path)
    start = file_start(path)
    if start.startswith(TIFF_STARTS):
        check_pages(path)
    if path.suffix.lower() in openslides.SUFFIXES:
        return open_openslide(path)
    if start.startswith(TIFF_STARTS):
        scanned = channel is None and is_of_scanner(path)
        return open_openslide(path) if scanned else open_tiff(path, channel)
    return open_plain(path, channel)
