from __future__ import annotations

import contextlib
import json
import pickle
import tracemalloc
from pathlib import Path
from typing import Any

import google_crc32c
import numcodecs
import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

from napari_noisyseg.bounded_codecs import unpack
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box, open_image

PIXELS = np.random.default_rng(5).integers(0, 256, (96, 128, 3), dtype=np.uint8)


def write(
    path: Path,
    axes: str = "cyx",
    version: str = "0.5",
    unit: str | None = "micrometer",
    scale: float = 0.5,
    pixels: np.ndarray = PIXELS,
    **options: Any,
) -> Path:
    """A pyramid of two levels with these axes; those other than y, x, c have length 1."""
    group = zarr.open_group(str(path), mode="w", zarr_format=3 if version == "0.5" else 2)
    datasets = []
    order = [a for a in ("y", "x", "c") if a in axes]
    for n in range(2):
        level = pixels[:: 2**n, :: 2**n].transpose([order.index(a) for a in axes if a in order])
        level = level.reshape([level.shape[[b for b in axes if b in order].index(a)]
                               if a in order else 1 for a in axes])  # fmt: skip
        chunks = tuple(32 if a in "yx" else 1 for a in axes)
        array = group.create_array(
            str(n), shape=level.shape, dtype=level.dtype, chunks=chunks, **options
        )
        array[:] = level
        factors = [scale * 2**n if a in "yx" else 1.0 for a in axes]
        change = {"type": "scale", "scale": factors}
        datasets.append({"path": str(n), "coordinateTransformations": [change]})
    kinds = {"c": "channel", "t": "time"}
    named = [
        {"name": a, "type": kinds.get(a, "space")} | ({"unit": unit} if unit and a in "zyx" else {})
        for a in axes
    ]
    multiscales = [{"axes": named, "datasets": datasets, "version": version}]
    if version == "0.5":
        group.attrs["ome"] = {"version": "0.5", "multiscales": multiscales}
    else:
        group.attrs["multiscales"] = multiscales
    return path


@pytest.mark.parametrize("version", ["0.5", "0.4"])
@pytest.mark.parametrize("axes", ["cyx", "tczyx", "yxc"])
def test_a_pyramid_is_read_whatever_its_axes(tmp_path: Path, version: str, axes: str) -> None:
    path = write(tmp_path / "größe 1.ome.zarr", axes, version)
    with open_image(path) as slide:
        assert (slide.shape, slide.mpp, slide.is_pyramid) == ((96, 128), 0.5, True)
        assert slide.downsamples == (1, 2)
        assert slide.name == "größe 1"
        assert np.array_equal(slide.read(Box(10, 20, 50, 90)), PIXELS[10:50, 20:90])
        assert np.array_equal(slide.levels[1][:], PIXELS[::2, ::2])


def test_shards_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zarr", shards=(1, 96, 128))
    assert np.array_equal(open_image(path).read(Box(0, 0, 96, 128)), PIXELS)


@pytest.mark.parametrize(
    ("unit", "scale", "mpp"),
    [("micrometer", 0.25, 0.25), ("nanometer", 250, 0.25), (None, 0.25, None), ("meter", 1, None)],
)
def test_scale_counts_with_its_unit(
    tmp_path: Path, unit: str | None, scale: float, mpp: float | None
) -> None:
    path = write(tmp_path / "a.zarr", unit=unit, scale=scale)
    assert open_image(path).mpp == (mpp if mpp is None else pytest.approx(mpp))


def test_16_bit_colours_are_scaled(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zarr", pixels=PIXELS.astype(np.uint16) * 257)
    assert np.array_equal(open_image(path).read(Box(0, 0, 96, 128)), PIXELS)


def test_the_first_image_of_a_converted_file_is_opened(tmp_path: Path) -> None:
    root = zarr.open_group(str(tmp_path / "a.zarr"), mode="w")
    root.attrs["ome"] = {"version": "0.5", "bioformats2raw.layout": 3}
    write(tmp_path / "a.zarr" / "0")
    assert open_image(tmp_path / "a.zarr").shape == (96, 128)


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    def refused(path: Path) -> str:
        with pytest.raises(NoisySegError) as caught:
            open_image(path)
        assert str(path) in str(caught.value)
        return str(caught.value)

    empty = tmp_path / "empty.zarr"
    zarr.open_group(str(empty), mode="w")
    assert "no OME-Zarr image" in refused(empty)
    plate = tmp_path / "plate.zarr"
    zarr.open_group(str(plate), mode="w").attrs["ome"] = {"version": "0.5", "plate": {}}
    assert "plate" in refused(plate)
    five = np.dstack([PIXELS, PIXELS[..., :2]])
    assert "5 channels" in refused(write(tmp_path / "five.zarr", pixels=five))
    grey = PIXELS[..., :1].astype(np.uint16)
    assert "fluorescence" in refused(write(tmp_path / "grey.zarr", pixels=grey))
    labels = write(tmp_path / "labels.zarr", pixels=PIXELS[..., :1])
    group = zarr.open_group(str(labels))
    group.attrs["ome"] = dict(group.attrs["ome"]) | {"image-label": {"version": "0.5"}}
    assert "holds labels" in refused(labels)


@pytest.mark.parametrize("broken", ["{", '{"zarr_format": 3}', "[]", ""])
def test_broken_metadata_is_refused(tmp_path: Path, broken: str) -> None:
    path = write(tmp_path / "a.zarr")
    (path / "zarr.json").write_text(broken)
    with pytest.raises(NoisySegError, match=r"a\.zarr"):
        open_image(path)


class Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("where", ["filters", "compressor"])
def test_a_strangers_pickles_are_never_run(tmp_path: Path, where: str) -> None:
    path = write(tmp_path / "a.zarr", version="0.4", axes="yxc")
    metadata = json.loads((path / "0" / ".zarray").read_text())
    codec = {"id": "pickle", "protocol": 5}
    metadata |= {"filters": [codec]} if where == "filters" else {"compressor": codec}
    metadata |= {"compressor": None} if where == "filters" else {"filters": None}
    (path / "0" / ".zarray").write_text(json.dumps(metadata))
    chunks = [f for f in (path / "0").rglob("*") if f.is_file() and not f.name.startswith(".")]
    assert chunks
    for chunk in chunks:
        chunk.write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    with pytest.raises(NoisySegError, match="pickle"):
        open_image(path).read(Box(0, 0, 10, 10))
    assert not (tmp_path / "sprung").exists()


def test_codecs_that_are_not_known_to_be_harmless_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zarr", version="0.4", axes="yxc")
    metadata = json.loads((path / "0" / ".zarray").read_text())
    codec = {"id": "fixedscaleoffset", "offset": 0, "scale": 1, "dtype": "|u1"}
    (path / "0" / ".zarray").write_text(json.dumps(metadata | {"filters": [codec]}))
    with pytest.raises(NoisySegError, match="packed with fixedscaleoffset"):
        open_image(path)


# --- chunks that unpack to more than their shape says ---------------------------------------------

BIG = 64 * 2**20
CODECS = {
    "zstd": (numcodecs.Zstd(level=3), {"level": 3, "checksum": False}),
    "gzip": (numcodecs.GZip(level=1), {"level": 1}),
    "blosc": (
        numcodecs.Blosc("lz4"),
        {"cname": "lz4", "clevel": 5, "shuffle": "noshuffle", "typesize": 1, "blocksize": 0},
    ),
    "lz4": (numcodecs.LZ4(), {"acceleration": 1}),
    "zlib": (numcodecs.Zlib(1), {"level": 1}),
}
OF_V3 = ("zstd", "gzip", "blosc")


def packed_with(path: Path, name: str, version: str, **options: Any) -> Path:
    """An image that is packed with this codec."""
    if version == "0.4":
        return write(path, "yxc", version, compressors=CODECS[name][0])
    known = name if name in OF_V3 else f"numcodecs.{name}"
    codec = {"name": known, "configuration": CODECS[name][1]}
    return write(path, "yxc", version, compressors=[codec], **options)


def first_chunk(path: Path) -> Path:
    named = (p for p in (path / "0").rglob("*") if p.is_file() and "zarr" not in p.name)
    return sorted(p for p in named if p.name != ".zattrs")[0]


@pytest.mark.filterwarnings("ignore:Numcodecs codecs are not in the Zarr version 3")
@pytest.mark.parametrize("version", ["0.5", "0.4"])
@pytest.mark.parametrize("name", list(CODECS))
def test_a_chunk_that_unpacks_to_more_than_its_shape_is_refused(
    tmp_path: Path, name: str, version: str
) -> None:
    path = packed_with(tmp_path / "a.zarr", name, version)
    whole = Box(0, 0, 96, 128)
    assert np.array_equal(open_image(path).read(whole), PIXELS)
    first_chunk(path).write_bytes(CODECS[name][0].encode(bytes(BIG)))
    tracemalloc.start()
    with pytest.raises(NoisySegError, match="damaged, or more than 1,") as caught:
        open_image(path).read(whole)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < BIG / 4
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_chunk_inside_a_shard_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    path = packed_with(tmp_path / "a.zarr", "zstd", "0.5", shards=(96, 128, 3))
    bomb = bytes(CODECS["zstd"][0].encode(bytes(BIG)))
    index = np.full((4 * 3 * 3, 2), 2**64 - 1, "<u8")
    index[0] = 0, len(bomb)
    first_chunk(path).write_bytes(
        bomb + index.tobytes() + google_crc32c.value(index.tobytes()).to_bytes(4, "little")
    )
    with pytest.raises(NoisySegError, match="damaged, or more than 1,"):
        open_image(path).read(Box(0, 0, 96, 128))


@given(st.binary(min_size=1, max_size=3000), st.sampled_from(list(CODECS)), st.booleans())
def test_what_fits_is_unpacked_and_nothing_else(raw: bytes, name: str, fits: bool) -> None:
    packed = bytes(CODECS[name][0].encode(raw))
    if fits:
        assert unpack(name, packed, max(len(raw), len(packed))) == raw
    elif len(raw) > len(packed):
        with pytest.raises(ValueError, match="more than"):
            unpack(name, packed, len(raw) - 1)


@given(st.binary(max_size=300), st.sampled_from(list(CODECS)))
def test_what_is_damaged_is_refused_in_words(packed: bytes, name: str) -> None:
    with contextlib.suppress(ValueError):
        assert len(unpack(name, packed, 1000)) <= 1000
