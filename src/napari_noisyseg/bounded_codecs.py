"""Packed bytes of others, unpacked only as far as it is known how many there may be."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import Any

BLOSC_HEADER, LZ4_HEADER = 16, 4
"""Bytes; blosc tells its size in the second four, numcodecs' LZ4 in all of them."""
GZIP = 31
"""zlib's word for a gzip header, as in `wbits`."""
MEMBERS = 64
"""Streams that may follow each other where one is expected."""


def unpack(packing: str, packed: bytes, most: int) -> bytes:
    """What `packed` holds. Raises ValueError where that is damaged, or more than `most` bytes.

    packing: a name of `PACKINGS`, as Zarr and numcodecs write it. Memory stays near `most`.
    """
    if len(packed) > most:
        raise _wrong(most, f"packed it is {len(packed):,}")
    try:
        return PACKINGS[packing](packed, most)
    except (RuntimeError, zlib.error) as error:
        raise _wrong(most, str(error)) from error


def _zstd(packed: bytes, most: int) -> bytes:
    import imagecodecs

    # frames need not say how much they hold, and there may be many: the room is what counts
    return bytes(imagecodecs.zstd_decode(packed, out=most))


def _blosc(packed: bytes, most: int) -> bytes:
    from numcodecs.blosc import Blosc

    _check_claim(packed, slice(4, 8), BLOSC_HEADER, most)
    return bytes(Blosc().decode(packed))


def _lz4(packed: bytes, most: int) -> bytes:
    from numcodecs.lz4 import LZ4

    _check_claim(packed, slice(0, 4), LZ4_HEADER, most)
    return bytes(LZ4().decode(packed))


def _check_claim(packed: bytes, place: slice, header: int, most: int) -> None:
    """Refuse what says that it holds too much; both decoders make room for what is said, once."""
    claimed = int.from_bytes(packed[place], "little", signed=True)
    if len(packed) < header or not 0 <= claimed <= most:
        raise _wrong(most, f"it says {claimed:,}")


def _streamed(decoder: Callable[[], Any]) -> Callable[[bytes, int], bytes]:
    """Of the decoders of Python itself, which stop where they are told."""

    def unpack(packed: bytes, most: int) -> bytes:
        found, rest = bytearray(), packed
        for _ in range(MEMBERS):
            member = decoder()
            found += member.decompress(rest, most - len(found) + 1)
            if len(found) > most or not member.eof:
                raise _wrong(most, "it goes on" if len(found) > most else "its end is missing")
            rest = member.unused_data
            if not rest:
                return bytes(found)
        raise _wrong(most, "it has too many parts")

    return unpack


def _wrong(most: int, why: str) -> ValueError:
    return ValueError(f"what is packed is damaged, or more than {most:,} bytes: {why}")


PACKINGS: Mapping[str, Callable[[bytes, int], bytes]] = {
    "zstd": _zstd,
    "blosc": _blosc,
    "lz4": _lz4,
    "gzip": _streamed(lambda: zlib.decompressobj(GZIP)),
    "zlib": _streamed(zlib.decompressobj),
}
