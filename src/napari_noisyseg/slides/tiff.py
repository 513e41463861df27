"""TIFF and OME-TIFF, plain or pyramidal, through tifffile."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides.box import Box
from napari_noisyseg.slides.channels import (
    check_single,
    chosen,
    is_fluorescence,
    names_of,
    which,
)
from napari_noisyseg.slides.colour import in_strips
from napari_noisyseg.slides.icc import LARGEST, TAG
from napari_noisyseg.slides.level import Level, Pixels
from napari_noisyseg.slides.limits import check_decodable
from napari_noisyseg.slides.slide import Slide, from_array
from napari_noisyseg.slides.tiff_colour import converter
from napari_noisyseg.slides.tiff_mpp import mpp_of
from napari_noisyseg.slides.tiff_pages import open_pages

LAZY_PIXELS = 25_000_000
"""A tiled image of one level is read in place from this size on."""

ASSOCIATED = {"label", "macro", "thumbnail", "overview"}
OF_SCANNERS = ("svs", "ndpi", "scn", "bif", "philips")

# what tifffile has to say goes into our errors; without a handler it would go to stderr
logging.getLogger("tifffile").addHandler(logging.NullHandler())


def is_of_scanner(path: Path) -> bool:
    """Whether a TIFF file, however it is named, is a scanner maker's slide."""
    try:
        with open_pages(path) as file:
            return any(getattr(file, f"is_{name}") for name in OF_SCANNERS)
    # asked before it is known to be a TIFF at all; opening it says what is wrong
    except Exception:
        return False


def is_colour(path: Path) -> bool:
    """Whether the file's header tells of one picture in red, green and blue; decodes nothing."""
    try:
        with open_pages(path) as file:
            page = _image_of(file, path).keyframe
            return page.samplesperpixel in (3, 4) and page.dtype in (np.uint8, np.uint16)
    # asked of files that other readers may open; they say what is wrong
    except Exception:
        return False


def open_tiff(path: Path, channel: int | None = None) -> Slide:
    """The image as a lazy pyramid if it is one, else decoded; `NoisySegError` says what is off.

    channel: which channel of fluorescence to take, 1 the first.
    """
    file = _opened(path)
    try:
        slide = _slide(file, path) if channel is None else _channel(file, path, channel)
    except NoisySegError:
        file.close()
        raise
    # damaged files break the parser and the decoders in ways without number
    except Exception as error:
        file.close()
        raise NoisySegError(
            f"{path} is damaged or incomplete ({error}): copy it again or save it again"
        ) from error
    if not slide.is_pyramid:
        file.close()
    return slide


def profile_of(path: Path) -> bytes:
    """The colour profile of the image, b"" for none."""
    with _opened(path) as file:
        tag = _image_of(file, path).keyframe.tags.get(TAG)
        if tag is None or tag.count > LARGEST:
            return b""
        return bytes(tag.value)


def _opened(path: Path) -> Any:
    try:
        return open_pages(path)
    except NoisySegError:
        raise
    except Exception as error:
        raise NoisySegError(
            f"{path} is not a TIFF that can be read ({error}): copy it again or save it again"
        ) from error


def _slide(file: Any, path: Path) -> Slide:
    series = _image_of(file, path)
    if is_fluorescence(series):
        raise which(str(path), series.shape[series.axes.index("C")], names_of(file))
    levels = list(series.levels)
    for level in levels:
        _check_complete(level, file.filehandle.size, path)
    page = series.keyframe
    mpp = mpp_of(file, page)
    height, width = _size(series)
    if len(levels) == 1 and not (page.is_tiled and height * width > LAZY_PIXELS):
        check_decodable(height, width, str(path), _bytes(series))
        pixels = _channels_last(series.asarray(), series.axes)
        slide = from_array(in_strips(converter(page, pixels, path), pixels), mpp, path.name)
        slide.path = path
        return slide
    coarse = None
    if page.bitspersample > 8:
        # the range of its colours is looked for in all of the coarsest level
        check_decodable(*_size(levels[-1]), str(path), _bytes(series))
        coarse = _channels_last(levels[-1].asarray(), series.axes)
    convert = converter(page, coarse, path)
    lazy = [_level(series, n, convert, path) for n in range(len(levels))]
    return Slide(path, lazy, mpp, is_pyramid=True, close=file.close)


def _channel(file: Any, path: Path, channel: int) -> Slide:
    """One channel of a plain image, decoded."""
    series = _image_of(file, path)
    check_single(path, series)
    _check_complete(series.levels[0], file.filehandle.size, path)
    check_decodable(*_size(series), str(path), _bytes(series))
    pixels = _channels_last(series.asarray(), series.axes)
    slide = from_array(chosen(pixels, channel, str(path)), mpp_of(file, series.keyframe), path.name)
    slide.path = path
    return slide


def _image_of(file: Any, path: Path) -> Any:
    """The one image in the file; refuses stacks and collections, naming how many there are."""
    found = list(file.series)
    if len(found) > 1:
        found = [s for s in found if not (_is_associated(s.name) or s.keyframe.is_reduced)]
    if not found:
        raise NoisySegError(f"{path} holds no image: give a PNG, JPEG or TIFF of tissue")
    if len(found) > 1:
        sizes = ", ".join("{1} x {0}".format(*_size(s)) for s in found[:4])
        raise _many(path, f"{len(found)} pages ({sizes}{' ...' if len(found) > 4 else ''} pixels)")
    check_axes(found[0], path)
    return found[0]


def _is_associated(name: str) -> bool:
    """Whether a series is a picture of the glass or its label, which can name the patient."""
    return not ASSOCIATED.isdisjoint(name.lower().replace("_", " ").split())


def check_axes(series: Any, path: Path) -> None:
    """Refuse stacks: rows, columns and one axis of colours are all an image has."""
    lengths = dict(zip(series.axes, series.shape, strict=True))
    if not {"Y", "X"} <= set(lengths):
        raise NoisySegError(f"{path} is not a picture (its axes are {series.axes})")
    colours = "S" if "S" in lengths else "C"
    stack = {a: n for a, n in lengths.items() if a not in ("Y", "X", colours) and n > 1}
    if stack:
        pages = int(np.prod(list(stack.values())))
        raise _many(path, f"{pages} pages of {lengths['X']} x {lengths['Y']} pixels")


def _many(path: Path, what: str) -> NoisySegError:
    return NoisySegError(
        f"{path} holds {what} and is not a pyramid; one image is needed: save only the one you mean"
    )


def _check_complete(level: Any, size: int, path: Path) -> None:
    """Refuse files that end before their last tile; the tile's size too must be believable.

    A tile that a sparse file leaves out has no bytes; where a level has none at all it is missing.
    """
    for page in level.pages:
        if page is None:
            continue
        places, counts = (np.asarray(v, np.int64) for v in (page.dataoffsets, page.databytecounts))
        if not places.any() or ((places == 0) & (counts > 0)).any():
            height, width = _size(level)
            raise NoisySegError(
                f"{path} is damaged: pixels of its level of {width} x {height} are missing; copy "
                "it again or save it again"
            )
        ends = places + counts
        if ends.size and int(ends.max()) > size:
            raise NoisySegError(
                f"{path} is incomplete: it should go on to byte {int(ends.max()):,} but has "
                f"{size:,}; copy it again"
            )
    if level.keyframe.is_tiled:
        check_decodable(
            level.keyframe.tilelength, level.keyframe.tilewidth, f"a tile of {path}", _bytes(level)
        )


def _size(series: Any) -> tuple[int, int]:
    return series.shape[series.axes.index("Y")], series.shape[series.axes.index("X")]


def _bytes(series: Any) -> int:
    """Of a pixel, all its channels together."""
    height, width = _size(series)
    return int(series.dtype.itemsize * math.prod(series.shape) // max(height * width, 1))


def _channels_last(pixels: NDArray[Any], axes: str) -> NDArray[Any]:
    """(H, W) or (H, W, channels) of an array with these axes, the others being of length 1."""
    colours = "S" if "S" in axes else "C"
    keep = [a for a in axes if a in ("Y", "X", colours)]
    flat = pixels.reshape([n for a, n in zip(axes, pixels.shape, strict=True) if a in keep])
    return flat.transpose([keep.index(a) for a in ("Y", "X", colours) if a in keep])


def _level(series: Any, level: int, convert: Callable[[NDArray[Any]], Pixels], path: Path) -> Level:
    height, width = _size(series.levels[level])
    # tiles that a sparse file leaves out are glass
    array: Any = zarr.open(series.aszarr(level=level, fillvalue=255), mode="r")
    rows, columns = series.axes.index("Y"), series.axes.index("X")

    def read(box: Box) -> Pixels:
        key: list[slice] = [slice(None)] * len(series.axes)
        key[rows], key[columns] = box.slices
        return convert(_channels_last(np.asarray(array[tuple(key)]), series.axes))

    return Level(height, width, read, str(path))
