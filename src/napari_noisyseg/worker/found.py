"""What a run left in its folder, read within bounds: the folder may come from a stranger."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box
from napari_noisyseg.store.arrays import is_plain
from napari_noisyseg.store.runs import RESULTS

MAPS = frozenset({"probability", "uncertainty", "corrected", "changes", "weights",
                  "weights_pseudo"})  # fmt: skip
"""What a run may bring into the project, beside its nuclei. Any other name could be that of what
people painted (`rough`) or of what was derived; a method with a map of its own adds its name."""
LARGEST_INDEX = 512 * 2**20
"""Bytes of index.json: millions of nuclei."""
_NUMBERS = ("y", "x", "score", "area_um2")


@dataclass(frozen=True)
class Result:
    """Results of one region: labels int32 (h, w) of the box, maps (h, w), a row per nucleus."""

    image: str
    box: Box
    labels: NDArray[np.int32]
    maps: Mapping[str, NDArray[Any]]
    rows: Sequence[Mapping[str, Any]]


def read_results(folder: Path) -> list[Result]:
    """The results of a run's folder; NoisySegError when they are damaged."""
    index = folder / RESULTS
    try:
        if not is_plain(index) or index.stat().st_size > LARGEST_INDEX:
            raise ValueError(f"{index.name} is no plain file")
        entries = json.loads(index.read_text("utf-8"))["regions"]
        return [_read_one(index.parent, entry) for entry in entries]
    # numpy, zipfile and zlib break over torn files in ways without number
    except Exception as error:
        raise NoisySegError(
            f"{index.parent}: results cannot be read ({error or type(error).__name__}): "
            "resume the run, or train again"
        ) from error


def _read_one(target: Path, entry: Mapping[str, Any]) -> Result:
    path = target / Path(entry["file"]).name
    if not is_plain(path):
        raise ValueError(f"{path.name} is not there, or is no plain file")
    box = Box(*(int(v) for v in entry["box"]))
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        labels = _plane(arrays, "labels", box).astype(np.int32)
        maps = {name: _plane(arrays, name, box) for name in MAPS & set(arrays.files)}
    rows = [_row(row) for row in entry["candidates"]]
    return Result(str(entry["image"]), box, labels, maps, rows)


def _plane(arrays: Any, name: str, box: Box) -> NDArray[Any]:
    """One array of an .npz, once its header says that it covers the box and no more."""
    with arrays.zip.open(f"{name}.npy") as file:
        version = npy.read_magic(file)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read(file)
    if shape != box.shape or dtype.kind not in "biuf" or dtype.itemsize > 8:
        raise ValueError(f"{name} of {shape} ({dtype}) does not fit {tuple(box)}")
    plane: NDArray[Any] = arrays[name]
    return plane


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of one nucleus, typed."""
    numbers = {name: float(row[name]) for name in _NUMBERS}
    if not all(map(math.isfinite, numbers.values())):
        raise ValueError(f"a nucleus at {numbers['y']}, {numbers['x']}")
    reason = str(row["reason"])[:1000].encode("utf-8", "replace").decode("utf-8")
    return {"label": int(row["label"]), "serial": int(row["serial"]), **numbers, "reason": reason}
