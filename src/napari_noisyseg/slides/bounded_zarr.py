"""Zarr arrays of others, whose chunks unpack to what their shape says or are refused."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import zarr
from numcodecs.abc import Codec as Numcodec
from zarr.abc.codec import BytesBytesCodec
from zarr.codecs import ShardingCodec
from zarr.core.array import AsyncArray
from zarr.core.array_spec import ArraySpec
from zarr.core.buffer import Buffer
from zarr.core.metadata import ArrayV2Metadata

from napari_noisyseg.bounded_codecs import PACKINGS, unpack

MORE = 2**20
"""Bytes beside the pixels: check sums, the index of a shard, headers."""
WIDEST = 8
"""Bytes of a number, whatever a filter makes of it."""


def bounded(array: Any) -> Any:
    """The same array (zarr.Array), which raises ValueError where a chunk unpacks to too much.

    Reading it takes the memory of its chunks as its metadata has them, and not more.
    """
    metadata = array.metadata
    if isinstance(metadata, ArrayV2Metadata):
        changed: Any = _of_v2(metadata)
    else:
        changed = replace(metadata, codecs=_of_v3(metadata.codecs))
    whole: Any = AsyncArray(metadata=changed, store_path=array.store_path)
    return zarr.Array(whole)


def room(pixels: int) -> int:
    """Bytes that may come of a chunk which holds so many, also while it is packed twice."""
    return pixels + pixels // 4 + MORE


def _of_v2(metadata: ArrayV2Metadata) -> ArrayV2Metadata:
    filters: Any = metadata.filters or ()
    size = WIDEST if filters else _itemsize(metadata.dtype)
    most = room(math.prod(metadata.chunks) * size)
    changed: dict[str, Any] = {
        "compressor": _bounded_v2(metadata.compressor, most),
        "filters": tuple(_bounded_v2(one, most) for one in filters) or None,
    }
    return replace(metadata, **changed)


def _bounded_v2(codec: Any, most: int) -> Any:
    return BoundedNumcodec(codec, most) if getattr(codec, "codec_id", "") in PACKINGS else codec


def _of_v3(codecs: Any) -> tuple[Any, ...]:
    return tuple(_bounded_v3(codec) for codec in codecs)


def _bounded_v3(codec: Any) -> Any:
    if isinstance(codec, ShardingCodec):
        inner, index = _of_v3(codec.codecs), _of_v3(codec.index_codecs)
        return replace(codec, codecs=inner, index_codecs=index)
    name = str(codec.to_dict().get("name")).removeprefix("numcodecs.")
    return BoundedBytes(codec, name) if name in PACKINGS else codec


class BoundedNumcodec(Numcodec):  # type: ignore[misc]
    """A codec of Zarr v2 that unpacks to at most so many bytes."""

    codec_id = "bounded"

    def __init__(self, codec: Any, most: int) -> None:
        self._codec, self._most = codec, most

    def decode(self, buf: Any, out: Any = None) -> Any:
        """As the codec's own, within bounds."""
        return unpack(self._codec.codec_id, _bytes(buf), self._most)

    def encode(self, buf: Any) -> Any:
        """As the codec's own."""
        return self._codec.encode(buf)

    def get_config(self) -> Any:
        """That of the codec."""
        return self._codec.get_config()


def _itemsize(dtype: Any) -> int:
    # before zarr 3.1 it is numpy's own
    native: np.dtype[Any] = dtype.to_native_dtype() if hasattr(dtype, "to_native_dtype") else dtype
    return native.itemsize


def _bytes(buffer: Any) -> bytes:
    return buffer if isinstance(buffer, bytes) else np.ascontiguousarray(buffer).tobytes()


@dataclass(frozen=True)
class BoundedBytes(BytesBytesCodec):
    """A codec of Zarr v3 that unpacks to what the chunk has room for."""

    codec: Any
    packing: str
    is_fixed_size = False

    def to_dict(self) -> Any:
        """That of the codec."""
        return self.codec.to_dict()

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: ArraySpec) -> int:
        """As the codec's own."""
        return int(self.codec.compute_encoded_size(input_byte_length, chunk_spec))

    def evolve_from_array_spec(self, array_spec: ArraySpec) -> Self:
        """As the codec's own."""
        return replace(self, codec=self.codec.evolve_from_array_spec(array_spec))

    async def _decode_single(self, chunk_data: Buffer, chunk_spec: ArraySpec) -> Buffer:
        most = room(math.prod(chunk_spec.shape) * _itemsize(chunk_spec.dtype))
        raw = await asyncio.to_thread(unpack, self.packing, chunk_data.to_bytes(), most)
        return chunk_spec.prototype.buffer.from_bytes(raw)

    async def _encode_single(self, chunk_data: Buffer, chunk_spec: ArraySpec) -> Buffer | None:
        (packed,) = await self.codec.encode([(chunk_data, chunk_spec)])
        found: Buffer | None = packed
        return found
