"""Slides of scanner makers, through OpenSlide, or tiffslide where that is not installed."""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from napari_noisyseg import regular_file
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides.box import Box
from napari_noisyseg.slides.colour import over_white
from napari_noisyseg.slides.level import Level, Pixels
from napari_noisyseg.slides.limits import plausible_mpp
from napari_noisyseg.slides.slide import Slide

SUFFIXES = (".svs", ".ndpi", ".mrxs", ".scn", ".vms", ".vmu", ".bif", ".svslide", ".dcm")
BACKENDS = (("openslide", "OpenSlide"), ("tiffslide", "TiffSlide"))
INDEX_BYTES = 2**20
INSTALL = 'pip install "napari-noisyseg[slides]"'


def open_openslide(path: Path) -> Slide:
    """A lazy pyramid over the scanned tissue; label and macro pictures are never read.

    Where the file names the bounds of what was scanned (MIRAX), level 0 is cut to them, as QuPath
    does, so that coordinates agree. Raises `NoisySegError` naming what to install or what is wrong.
    """
    _refuse_pipes_beside(path)
    handle = _open(path)
    try:
        slide = _slide(handle, path)
    except NoisySegError:
        handle.close()
        raise
    # strangers' properties break what is made of them in ways without number
    except Exception as error:
        handle.close()
        raise _damaged(path, str(error) or type(error).__name__) from error
    return slide


def profile_of(path: Path) -> bytes:
    """The colour profile of the scanned tissue, b"" for none."""
    handle = _open(path)
    try:
        profile = handle.color_profile
        return b"" if profile is None else bytes(profile.tobytes())
    except Exception as error:
        raise _damaged(path, f"its colour profile: {error}") from error
    finally:
        handle.close()


def of_each_slide(paths: Iterable[Path]) -> list[Path]:
    """Of files in DICOM, which has one for each level of a slide, the first of each slide.

    All others stay, and what cannot be opened: opening it says why.
    """
    seen: set[tuple[Path, str]] = set()
    found = []
    for path in paths:
        series = (path.parent, _series(path)) if path.suffix.lower() == ".dcm" else None
        if series is None or not series[1] or series not in seen:
            found.append(path)
        if series is not None:
            seen.add(series)
    return found


def _series(path: Path) -> str:
    """What the files of one slide have in common; "" where that cannot be read."""
    try:
        _refuse_pipes_beside(path)
        handle = _open(path)
    except NoisySegError:
        return ""
    try:
        return str(handle.properties.get("dicom.SeriesInstanceUID") or "")
    finally:
        handle.close()


def _slide(handle: Any, path: Path) -> Slide:
    properties: Mapping[str, str] = handle.properties
    bounds = _bounds(properties, handle.level_dimensions[0])
    levels = [_level(handle, n, bounds, path) for n in range(len(handle.level_dimensions))]
    mpp = plausible_mpp(_number(properties, "mpp-x"), _number(properties, "mpp-y"))
    if mpp is None:
        mpp = plausible_mpp(*[_number(properties, "MPP", "aperio")] * 2)
    return Slide(path, levels, mpp, is_pyramid=True, close=handle.close)


def _damaged(path: Path, reason: str) -> NoisySegError:
    return NoisySegError(f"{path} cannot be opened as a slide ({reason}): copy the file again")


def _refuse_pipes_beside(path: Path) -> None:
    """The libraries open what belongs to a slide of several files, and would wait at a pipe."""
    suffix = path.suffix.lower()
    folder = {".mrxs": path.with_suffix(""), ".dcm": path.parent}.get(suffix)
    beside = _listed(folder) if folder is not None else []
    if suffix in (".vms", ".vmu"):
        lines = regular_file.read_bytes(path, INDEX_BYTES).decode("latin-1").splitlines()
        beside = [path.parent / line.partition("=")[2].strip() for line in lines if "=" in line]
    for file in beside:
        if file.exists() and not file.is_dir():
            regular_file.check(file)


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _open(path: Path) -> Any:
    """The slide in the first library that can read it and what it says of itself."""
    installed, reason = False, ""
    for module, kind in BACKENDS:
        try:
            backend = importlib.import_module(module)
        # a wheel whose shared library does not load raises OSError or the like
        except (ImportError, OSError):
            continue
        installed = True
        try:
            handle = getattr(backend, kind)(path)
            # tiffslide reads these only now, and may fail
            if handle.level_dimensions and handle.level_downsamples and dict(handle.properties):
                return handle
        # each library has its own; the other may still read the file
        except Exception as error:
            reason = reason or str(error) or type(error).__name__
    if installed:
        raise _damaged(path, reason or "it has no levels")
    raise NoisySegError(f"{path} is a scanner's slide; to read it, install the reader: {INSTALL}")


def _number(properties: Mapping[str, str], name: str, owner: str = "openslide") -> float | None:
    value = properties.get(f"{owner}.{name}") or properties.get(f"tiffslide.{name}")
    try:
        number = float(value) if value else None
        return number if number is not None and math.isfinite(number) else None
    except (TypeError, ValueError, OverflowError):
        return None


def _bounds(properties: Mapping[str, str], size: tuple[int, int]) -> Box:
    """The scanned part of level 0, or all of it."""
    x, y, width, height = (
        _number(properties, f"bounds-{n}") for n in ("x", "y", "width", "height")
    )
    whole = Box(0, 0, size[1], size[0])
    if x is None or y is None or width is None or height is None:
        return whole
    named = Box(int(y), int(x), int(y + height), int(x + width)).intersect(whole)
    return whole if named.empty else named


def _level(handle: Any, level: int, bounds: Box, path: Path) -> Level:
    step = float(handle.level_downsamples[level])
    width, height = handle.level_dimensions[level]
    if (
        bounds.height < handle.level_dimensions[0][1]
        or bounds.width < handle.level_dimensions[0][0]
    ):
        height = min(height, max(1, round(bounds.height / step)))
        width = min(width, max(1, round(bounds.width / step)))

    def read(box: Box) -> Pixels:
        corner = (bounds.x0 + round(box.x0 * step), bounds.y0 + round(box.y0 * step))
        pixels = np.asarray(handle.read_region(corner, level, (box.width, box.height)))
        # RGBA of OpenSlide; glass that was not scanned is transparent
        return over_white(pixels) if pixels.shape[2] == 4 else pixels

    return Level(height, width, read, str(path))
