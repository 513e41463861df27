"""What a run left in its folder, read within bounds: the folder may come from a stranger."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
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


@dataclass
class Stored:
    """The same as it lies in a run's folder; what is not in the index is read each time it is
    asked for, so that one region at a time is in memory.

    listed: the rows, or the file that holds them.
    """

    image: str
    box: Box
    path: Path
    listed: Sequence[Mapping[str, Any]] | Path

    @property
    def rows(self) -> Sequence[Mapping[str, Any]]:
        """A row per nucleus, its numbers typed and finite."""
        rows = self.listed
        if isinstance(rows, Path):
            rows = bounded_json.read_record(rows)["candidates"]
        return [_row(row) for row in rows]

    @property
    def labels(self) -> NDArray[np.int32]:
        """Nuclei by number, int32 (h, w)."""
        labels: NDArray[np.int32] = self._read("labels").astype(np.int32, copy=False)
        return labels

    @property
    def maps(self) -> dict[str, NDArray[Any]]:
        """What else there is, (h, w) by name."""
        return {name: self._read(name) for name in sorted(MAPS & bounded_npz.names(self.path))}

    def _read(self, name: str) -> NDArray[Any]:
        limit = min(bounded_npz.LIMIT, ROOM + PIXEL_BYTES * self.box.height * self.box.width)
        values = bounded_npz.read(self.path, limit, [name])[name]
        if values.shape != self.box.shape:
            raise ValueError(f"{name} of {values.shape} does not fit {tuple(self.box)}")
        return values


Found = Result | Stored


def read_results(folder: Path) -> list[Stored]:
    """The results of a run's folder; NoisySegError when they are damaged, wherever that is."""
    found = listed_results(folder)
    with readable(folder):
        for result in found:
            _ = result.labels, result.maps, result.rows
    return found


def listed_results(folder: Path) -> list[Stored]:
    """What the index of a run's results names; NoisySegError when the index is damaged.

    What it names is not read yet: that is to be done within `readable`.
    """
    index = folder / RESULTS
    with readable(folder):
        entries = bounded_json.read_record(index)["regions"]
        return [_stored(index.parent, entry) for entry in entries]


@contextlib.contextmanager
def readable(folder: Path) -> Iterator[None]:
    """Whatever is wrong in a run's results becomes a NoisySegError that names them."""
    try:
        yield
    except (NoisySegError, *bounded_json.WRONG) as error:
        raise NoisySegError(
            f"{(folder / RESULTS).parent}: results cannot be read "
            f"({error or type(error).__name__}): resume the run, or train again"
        ) from error


def _stored(target: Path, entry: Mapping[str, Any]) -> Stored:
    box = Box(*(int(v) for v in entry["box"]))
    listed = entry["candidates"]
    if isinstance(listed, str):
        listed = target / Path(listed).name
    return Stored(str(entry["image"]), box, target / Path(entry["file"]).name, listed)


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of one nucleus, typed."""
    numbers = {name: float(row[name]) for name in _NUMBERS}
    if not all(map(math.isfinite, numbers.values())):
        raise ValueError(f"a nucleus at {numbers['y']}, {numbers['x']}")
    reason = str(row["reason"])[:1000].encode("utf-8", "replace").decode("utf-8")
    return {"label": int(row["label"]), "serial": int(row["serial"]), **numbers, "reason": reason}
