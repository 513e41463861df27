"""OME-Zarr images, 0.5 and 0.4, read in place."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.core.metadata import ArrayV2Metadata, ArrayV3Metadata

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides.bounded_zarr import bounded
from napari_noisyseg.slides.box import Box
from napari_noisyseg.slides.colour import divisor_of_16_bits, to_rgb
from napari_noisyseg.slides.level import Level, Pixels
from napari_noisyseg.slides.limits import check_decodable, plausible_mpp
from napari_noisyseg.slides.regular_store import RegularStore
from napari_noisyseg.slides.slide import Slide
from napari_noisyseg.slides.tiff_mpp import IN_UM

# Only codecs that turn bytes into bytes. numcodecs also has "pickle", which runs what it reads.
CODECS = {
    *("bytes", "blosc", "gzip", "zstd", "crc32c", "sharding_indexed", "transpose"),
    *("zlib", "lz4", "shuffle", "delta"),
}
IN_UM_OF_ZARR = {k: v for k, v in IN_UM.items() if k.endswith("meter") or k == "micron"}


def open_ome_zarr(path: Path) -> Slide:
    """The image of an OME-Zarr folder as a lazy pyramid; `NoisySegError` for what is none."""
    try:
        return _slide(path)
    except NoisySegError:
        raise
    # strangers' metadata breaks zarr in ways without number
    except Exception as error:
        raise NoisySegError(
            f"{path} is not an OME-Zarr image that can be read ({error}): give the folder that "
            "holds the image's zarr.json or .zattrs"
        ) from error


def _slide(path: Path) -> Slide:
    group, multiscale = _multiscale(path)
    axes = [a["name"] if isinstance(a, Mapping) else str(a) for a in multiscale["axes"]]
    datasets = multiscale["datasets"]
    arrays = [checked(_array(group, str(d["path"]), path), axes, path) for d in datasets]
    divisor = 1
    if arrays[0].dtype == np.uint16:
        height, width = _size(arrays[-1], axes)
        per_pixel = 2 * math.prod(arrays[-1].shape) // max(height * width, 1)
        check_decodable(height, width, str(path), per_pixel)
        divisor = divisor_of_16_bits(_channels_last(arrays[-1][:], axes), str(path))
    levels = [_level(a, axes, divisor, path) for a in arrays]
    return Slide(path, levels, _mpp(multiscale, axes), is_pyramid=True)


def _multiscale(path: Path) -> tuple[zarr.Group, Any]:
    """The group of the image and the description of its pyramid."""
    group = zarr.open_group(RegularStore(path, read_only=True), mode="r")
    ome: Any = group.attrs.get("ome", dict(group.attrs))
    if "multiscales" not in ome and "bioformats2raw.layout" in ome:
        # converters put images in numbered groups; the first is the slide
        group = zarr.open_group(RegularStore(path / "0", read_only=True), mode="r")
        ome = group.attrs.get("ome", dict(group.attrs))
    if "multiscales" not in ome:
        what = "a plate of many images" if "plate" in ome else "no OME-Zarr image"
        raise NoisySegError(f"{path} is {what}: give the folder of one image (with `multiscales`)")
    if "image-label" in ome:
        raise NoisySegError(f"{path} holds labels, not an image: give the image's own folder")
    return group, ome["multiscales"][0]


def _array(group: zarr.Group, name: str, path: Path) -> Any:
    try:
        return group[name]
    except KeyError as error:
        raise NoisySegError(
            f"{path} is incomplete: its level {name!r} is missing; copy it again"
        ) from error


def checked(array: Any, axes: Sequence[str], path: Path) -> Any:
    """The array of a level, once it is sure that reading it is harmless and meaningful."""
    if not isinstance(array, zarr.Array) or array.ndim != len(axes):
        raise NoisySegError(f"{path} names axes {', '.join(axes)} that its arrays do not have")
    foreign = _codecs(array.metadata) - CODECS
    if foreign:
        raise NoisySegError(
            f"{path} is packed with {', '.join(sorted(foreign))}, which is not opened as it may "
            "run code: save it again with blosc, zstd or gzip"
        )
    lengths = dict(zip(axes, array.shape, strict=True))
    stack = {a: n for a, n in lengths.items() if a not in ("y", "x", "c") and n > 1}
    if stack or not {"y", "x"} <= set(axes):
        raise NoisySegError(f"{path} is not a single picture (its axes are {lengths})")
    if lengths.get("c", 3) not in (1, 3, 4):
        raise NoisySegError(f"{path} has {lengths['c']} channels: one RGB image is needed")
    # a shard that is packed as a whole is unpacked as a whole
    packed_whole = isinstance(array.metadata, ArrayV3Metadata) and len(array.metadata.codecs) > 1
    chunk = dict(zip(axes, (packed_whole and array.shards) or array.chunks, strict=True))
    size = array.dtype.itemsize * math.prod(n for a, n in chunk.items() if a not in ("y", "x"))
    check_decodable(chunk["y"], chunk["x"], f"a chunk of {path}", size)
    return bounded(array)


def _codecs(metadata: ArrayV2Metadata | ArrayV3Metadata) -> set[str]:
    """Names of all codecs, those inside shards included."""
    found: set[str] = set()
    waiting: list[Any] = [metadata.to_dict()]
    while waiting:
        config = waiting.pop()
        for key in ("codecs", "index_codecs", "filters"):
            waiting += (config.get(key) or ()) if isinstance(config, Mapping) else ()
        if isinstance(config, Mapping):
            waiting += [c for c in (config.get("compressor"), config.get("configuration")) if c]
            if "zarr_format" not in config and ("id" in config or "codec" not in config):
                found |= {str(config[k]) for k in ("id", "name") if k in config}
    return {name.removeprefix("numcodecs.") for name in found}


def _size(array: Any, axes: Sequence[str]) -> tuple[int, int]:
    return array.shape[axes.index("y")], array.shape[axes.index("x")]


def _level(array: Any, axes: Sequence[str], divisor: int, path: Path) -> Level:
    height, width = _size(array, axes)

    def read(box: Box) -> Pixels:
        key: list[slice] = [slice(None)] * len(axes)
        key[axes.index("y")], key[axes.index("x")] = box.slices
        pixels = _channels_last(np.asarray(array[tuple(key)]), axes)
        if pixels.dtype == np.uint16:
            pixels = ((pixels.astype(np.uint32) + divisor // 2) // divisor).astype(np.uint8)
        return to_rgb(pixels, str(path))

    return Level(height, width, read, str(path))


def _channels_last(pixels: Any, axes: Sequence[str]) -> Any:
    """(H, W) or (H, W, c) of an array with these axes, the others being of length 1."""
    keep = [a for a in axes if a in ("y", "x", "c")]
    flat = pixels.reshape([n for a, n in zip(axes, pixels.shape, strict=True) if a in keep])
    return flat.transpose([keep.index(a) for a in ("y", "x", "c") if a in keep])


def _mpp(multiscale: Mapping[str, Any], axes: Sequence[str]) -> float | None:
    """µm per level-0 pixel, where the axes name a unit of length."""
    scale = np.ones(len(axes))
    transforms = [multiscale["datasets"][0], multiscale]
    for holder in transforms:
        for change in holder.get("coordinateTransformations") or ():
            if change.get("type") == "scale":
                scale = scale * np.asarray(change["scale"], float)
    sizes = []
    for name in ("x", "y"):
        axis = multiscale["axes"][axes.index(name)]
        unit = IN_UM_OF_ZARR.get(axis.get("unit", "")) if isinstance(axis, Mapping) else None
        sizes.append(float(scale[axes.index(name)]) * unit if unit else None)
    return plausible_mpp(sizes[0], sizes[1])
