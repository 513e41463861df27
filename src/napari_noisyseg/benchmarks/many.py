"""A project of very many nuclei, made in seconds: real fields of tissue, side by side."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from scipy import ndimage
from zarr.codecs import ZstdCodec

from ..slides import Box
from ..store import Project
from ..store.runs import Run
from .tissue import fields

IMAGE = "tiled"
MPP = 0.25
SIDE = 1024
"""of a tile in pixels: a field of 1000 x 1000 with some of itself mirrored at its end"""
CHUNK = 512
FIELDS = (
    "TCGA-HE-7130-01Z-00-DX1",
    "TCGA-KB-A93J-01A-01-TS1",
    "TCGA-49-4488-01Z-00-DX1",
    "TCGA-18-5592-01Z-00-DX1",
)
"""of MoNuSeg, which take turns as tiles: two with many small nuclei, two with fewer large ones"""
COARSE = (1, 4, 16, 64)
SEED = 3


def make(data: Path, folder: Path, count: int) -> int:
    """A project in `folder` with one large image, and a run that found at least `count` nuclei.

    The image is an OME-Zarr slide that is linked. Chunks of tissue lie on the disk once and are
    linked to every place where they are seen. Gives back how many nuclei the run found.
    """
    tiles = [(f.rgb(), f.truth()) for f in fields(data, "monuseg") if f.stem in FIELDS]
    sizes = [len(np.unique(labels)) - 1 for _, labels in tiles]
    whole, rest = divmod(count, sum(sizes))
    number = whole * len(sizes) + int(np.searchsorted(np.cumsum([0, *sizes]), rest))
    across = math.ceil(math.sqrt(number))
    shape = (math.ceil(number / across) * SIDE, across * SIDE)
    places = [(k // across * SIDE, k % across * SIDE) for k in range(number)]
    slide = folder / f"{IMAGE}.ome.zarr"
    _write_slide(slide, shape, [rgb for rgb, _ in tiles], places)
    with Project.create(folder / "many.noisyseg") as project:
        project.add_image(slide, mpp=MPP)
        run = project.runs.new()
        return _write_results(run, [labels for _, labels in tiles], places)


def _write_slide(
    path: Path,
    shape: tuple[int, int],
    tiles: Sequence[NDArray[np.uint8]],
    places: Sequence[tuple[int, int]],
) -> None:
    """A pyramid of RGB whose coarser levels stay empty."""
    space = [{"name": n, "type": "space", "unit": "micrometer"} for n in ("y", "x")]
    scales = [[1.0, step * MPP, step * MPP] for step in COARSE]
    datasets = [
        {"path": str(k), "coordinateTransformations": [{"type": "scale", "scale": scale}]}
        for k, scale in enumerate(scales)
    ]
    axes = [{"name": "c", "type": "channel"}, *space]
    ome = {"version": "0.5", "multiscales": [{"name": IMAGE, "axes": axes, "datasets": datasets}]}
    group = zarr.create_group(path, zarr_format=3, attributes={"ome": ome})
    for k, step in enumerate(COARSE):
        size = (3, -(-shape[0] // step), -(-shape[1] // step))
        chunks = (3, min(CHUNK, size[1]), min(CHUNK, size[2]))
        group.create_array(
            str(k), shape=size, chunks=chunks, dtype=np.uint8, compressors=[ZstdCodec(level=1)],
            dimension_names=["c", "y", "x"], fill_value=0,
        )  # fmt: skip
    finest: Any = group["0"]
    for k, (y, x) in enumerate(places):
        if k < len(tiles):
            finest[:, y : y + SIDE, x : x + SIDE] = np.moveaxis(_mirrored(tiles[k]), -1, 0)
        else:
            _link_chunks(path / "0" / "c" / "0", places[k % len(tiles)], (y, x))


def _mirrored(tile: NDArray[Any]) -> NDArray[Any]:
    height, width = tile.shape[:2]
    return np.pad(tile, ((0, SIDE - height), (0, SIDE - width), (0, 0)), mode="symmetric")


def _link_chunks(chunks: Path, source: tuple[int, int], target: tuple[int, int]) -> None:
    for down in range(SIDE // CHUNK):
        for right in range(SIDE // CHUNK):
            old, new = (
                chunks / str(y // CHUNK + down) / str(x // CHUNK + right)
                for y, x in (source, target)
            )
            new.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(old, new)
            except OSError:  # a disk without links
                shutil.copy(old, new)


def _write_results(
    run: Run, tiles: Sequence[NDArray[np.int32]], places: Sequence[tuple[int, int]]
) -> int:
    """What a training would have left: a region for every tile, tiles alike in one file."""
    target = run.dir / "results"
    target.mkdir()
    run.write_spec({"method": "scnet"})
    generator, files = np.random.default_rng(SEED), []
    for k, labels in enumerate(tiles):
        np.savez(target / f"{k}.npz", labels=np.pad(labels, [(0, SIDE - n) for n in labels.shape]))
        files.append((f"{k}.npz", _rows(labels)))
    regions, count = [], 0
    for k, (y, x) in enumerate(places):
        name, rows = files[k % len(files)]
        scores = generator.beta(5, 2, len(rows)).tolist()
        found = [{**row, "score": score} for row, score in zip(rows, scores, strict=True)]
        box = Box(y, x, y + SIDE, x + SIDE)
        listed = target / f"at-{k}.json"
        listed.write_text(json.dumps({"candidates": found}), "utf-8")
        regions.append({"file": name, "image": IMAGE, "box": list(box), "candidates": listed.name})
        count += len(rows)
    (target / "index.json").write_text(json.dumps({"regions": regions}), "utf-8")
    return count


def _rows(labels: NDArray[np.int32]) -> list[dict[str, Any]]:
    """The nuclei of a label image as a run lists them."""
    values = np.unique(labels)[1:]
    middles: Any = ndimage.center_of_mass(labels > 0, labels, values)
    areas = np.bincount(labels.ravel())[values] * MPP**2
    return [
        {"label": value, "serial": 0, "y": y, "x": x, "reason": "", "area_um2": area}
        for value, (y, x), area in zip(values.tolist(), middles, areas.tolist(), strict=True)
    ]
