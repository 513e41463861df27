"""What a run left in its folder, read within bounds: the folder may come from a stranger."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg import bounded_json, bounded_npz
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box
from napari_noisyseg.store.runs import RESULTS

MAPS = frozenset({"probability", "uncertainty", "corrected", "changes", "weights",
                  "weights_pseudo"})  # fmt: skip
"""What a run may bring into the project, beside its nuclei. Any other name could be that of what
people painted (`rough`) or of what was derived; a method with a map of its own adds its name."""
ROOM, PIXEL_BYTES = 2**20, 64
"""Bytes that the results of a region may take: some, and for each of its pixels."""
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
        entries = bounded_json.read_record(index)["regions"]
        return [_read_one(index.parent, entry) for entry in entries]
    except (NoisySegError, *bounded_json.WRONG) as error:
        raise NoisySegError(
            f"{index.parent}: results cannot be read ({error or type(error).__name__}): "
            "resume the run, or train again"
        ) from error


def _read_one(target: Path, entry: Mapping[str, Any]) -> Result:
    box = Box(*(int(v) for v in entry["box"]))
    limit = min(bounded_npz.LIMIT, ROOM + PIXEL_BYTES * box.height * box.width)
    path = target / Path(entry["file"]).name
    held = bounded_npz.names(path)
    arrays = bounded_npz.read(path, limit, ["labels", *sorted(MAPS & held)])
    for name, values in arrays.items():
        if values.shape != box.shape:
            raise ValueError(f"{name} of {values.shape} does not fit {tuple(box)}")
    labels = arrays.pop("labels").astype(np.int32)
    return Result(str(entry["image"]), box, labels, arrays, [_row(c) for c in entry["candidates"]])


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of one nucleus, typed."""
    numbers = {name: float(row[name]) for name in _NUMBERS}
    if not all(map(math.isfinite, numbers.values())):
        raise ValueError(f"a nucleus at {numbers['y']}, {numbers['x']}")
    reason = str(row["reason"])[:1000].encode("utf-8", "replace").decode("utf-8")
    return {"label": int(row["label"]), "serial": int(row["serial"]), **numbers, "reason": reason}
