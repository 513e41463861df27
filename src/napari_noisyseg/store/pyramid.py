"""OME-Zarr 0.5 on the disk: pyramids, their metadata, and boxes written through all levels."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import ZstdCodec

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.regular_file import advice
from napari_noisyseg.slides import Box
from napari_noisyseg.slides.coarser import halved
from napari_noisyseg.store.arrays import CHUNK, OwnStore, is_plain, open_array, refuse_links
from napari_noisyseg.store.durable import make_folder, sync, sync_all

_ASIDE = re.compile(r"\.([A-Za-z0-9_-][A-Za-z0-9 ._-]*)\.(old|new)-[0-9a-f]{8}")
_PART = re.compile(r"\d{1,2}|labels|maps|\.?zarr\.json.*|zarr\.[0-9a-f]{32}\.partial")


@dataclass(frozen=True, slots=True)
class Geometry:
    """Size of level 0, µm per pixel there, and level-0 pixels per pixel of each level."""

    height: int
    width: int
    mpp: float
    factors: tuple[int, ...]

    def shape(self, level: int) -> tuple[int, int]:
        """Rows and columns of a level."""
        step = self.factors[level]
        return -(-self.height // step), -(-self.width // step)


def multiscales(name: str, geometry: Geometry, channels: bool) -> dict[str, Any]:
    """The `ome` attribute of an image: axes (c,) y, x in micrometer, a data set for each level."""
    space = [{"name": n, "type": "space", "unit": "micrometer"} for n in ("y", "x")]
    axes = [{"name": "c", "type": "channel"}, *space] if channels else space
    datasets = []
    for level, factor in enumerate(geometry.factors):
        # centres of pixels: the first pixel of level k lies (factor - 1) / 2 pixels inside level 0
        scale, shift = factor * geometry.mpp, (factor - 1) / 2 * geometry.mpp
        lead: tuple[float, ...] = (1.0,) if channels else ()
        transforms = [
            {"type": "scale", "scale": [*lead, scale, scale]},
            {"type": "translation", "translation": [0.0 * n for n in lead] + [shift, shift]},
        ]
        datasets.append({"path": str(level), "coordinateTransformations": transforms})
    entry = {"name": name, "axes": axes, "datasets": datasets, "type": "nearest"}
    if channels:
        entry["type"] = "mean"
    return {"version": "0.5", "multiscales": [entry]}


def create(
    folder: Path, geometry: Geometry, dtype: np.dtype[Any], attributes: Mapping[str, Any]
) -> None:
    """An empty pyramid (all 0): (H, W) levels, or (3, H, W) for an image of uint8 RGB."""
    channels = "multiscales" in attributes["ome"] and _has_channels(attributes["ome"])
    group = zarr.create_group(OwnStore(folder), zarr_format=3, attributes=dict(attributes))
    for level in range(len(geometry.factors)):
        height, width = geometry.shape(level)
        chunk = (min(CHUNK, height), min(CHUNK, width))
        group.create_array(
            str(level),
            shape=(3, height, width) if channels else (height, width),
            chunks=(3, *chunk) if channels else chunk,
            dtype=dtype,
            # the checksum lets a damaged chunk be told from pixels
            compressors=[ZstdCodec(level=1, checksum=True)],
            fill_value=0,
            dimension_names=["c", "y", "x"] if channels else ["y", "x"],
        )


def _has_channels(ome: Mapping[str, Any]) -> bool:
    return any(axis["type"] == "channel" for axis in ome["multiscales"][0]["axes"])


def write_labels(folder: Path, geometry: Geometry, box: Box, labels: NDArray[Any]) -> None:
    """Put the labels of a box into every level; coarser ones take every n-th pixel (order 0)."""
    for level, step in enumerate(geometry.factors):
        part = labels[(-box.y0) % step :: step, (-box.x0) % step :: step]
        if part.size:
            y, x = -(-box.y0 // step), -(-box.x0 // step)
            open_array(folder, level)[y : y + part.shape[0], x : x + part.shape[1]] = part


def write_image(folder: Path, geometry: Geometry, rgb: NDArray[np.uint8]) -> None:
    """Put RGB (H, W, 3) into every level; coarser ones are means."""
    for level in range(len(geometry.factors)):
        if level:
            rgb = halved(rgb)
        open_array(folder, level)[:] = np.moveaxis(rgb, -1, 0)


def sync_box(folder: Path, geometry: Geometry, box: Box) -> None:
    """Wait until the chunks of a box (and their folders) have reached the disk."""
    chunks, tops = list[Path](), set[Path]()
    for level, step in enumerate(geometry.factors):
        top = folder / str(level)
        for i in range(box.y0 // step // CHUNK, -(-box.y1 // step) // CHUNK + 1):
            for j in range(box.x0 // step // CHUNK, -(-box.x1 // step) // CHUNK + 1):
                chunks.append(top / "c" / str(i) / str(j))
        tops |= {top / "c", top}
    sync_all(chunks)
    for place in tops:
        if place.exists():
            sync(place)


def sync_tree(folder: Path) -> None:
    """Wait until a folder and all in it have reached the disk."""
    for file in folder.rglob("*"):
        sync(file)
    sync(folder)


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A new folder to fill, which then takes the place of `target`; on error nothing changes."""
    tag = uuid.uuid4().hex[:8]
    draft = target.with_name(f".{target.name}.new-{tag}")
    old = target.with_name(f".{target.name}.old-{tag}")
    try:
        make_folder(target.parent)
        yield draft
        if target.exists():
            target.rename(old)
        draft.rename(target)
        sync(target.parent)
    except BaseException:
        if old.exists() and not target.exists():
            old.rename(target)
        _clear(draft)
        raise
    finally:
        for leftover in (draft, old):
            shutil.rmtree(leftover, ignore_errors=True)


def _clear(folder: Path, quiet: int = 3, most: int = 40) -> None:
    """Delete a folder that other threads of zarr may still write to: one has failed, not all."""
    gone = 0
    for _ in range(most):
        gone = 0 if folder.exists() else gone + 1
        if gone == quiet:
            return
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.02)


def remove(target: Path) -> None:
    """Take a pyramid away at once, then delete its files."""
    trash = target.with_name(f".{target.name}.new-{uuid.uuid4().hex[:8]}")
    target.rename(trash)
    shutil.rmtree(trash)


def recover(top: Path, parent: Path) -> None:
    """Finish what `replacing` was torn out of: bring back an old folder that has no successor.

    Touches only what `replacing` and `remove` make, and nothing behind a link below `top`.
    """
    with contextlib.suppress(NoisySegError):
        refuse_links(top, parent)
        found = {p: m for p in parent.glob(".*") if (m := _ASIDE.fullmatch(p.name)) and _ours(p)}
        for leftover, match in found.items():
            target = parent / match[1]
            if match[2] == "old" and not os.path.lexists(target):
                leftover.rename(target)
        for leftover in found:
            shutil.rmtree(leftover, ignore_errors=True)


def _ours(folder: Path) -> bool:
    """Whether a folder is a pyramid, or one that was hardly begun or is half deleted."""
    if folder.is_symlink() or not folder.is_dir():
        return False
    return is_plain(folder / "zarr.json") or all(_PART.fullmatch(p.name) for p in folder.iterdir())


@contextlib.contextmanager
def told(what: str) -> Iterator[None]:
    """Turn what zarr and the disk raise into words for a person."""
    try:
        yield
    except NoisySegError:
        raise
    except OSError as error:
        reason = advice(error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            reason = "the disk is full; free space and try again"
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            reason = "the folder may not be written; make it writable"
        raise NoisySegError(f"{what}: {reason}") from error
    # decoders and the metadata parser each have exceptions of their own
    except Exception as error:
        raise NoisySegError(
            f"{what}: its files are damaged ({error}); make it again (derive, train or predict)"
        ) from error
