"""What a run left in its folder, read within bounds: the folder may come from a stranger."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

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
_WHOLE, _NUMBERS = ("label", "serial"), ("y", "x", "score", "area_um2")

CLICKS = "clicks"
"""In place of a run's id: the outlines at clicks."""


class Rows(NamedTuple):
    """What is listed of n nuclei: `label` is the value in the label image, `serial` that of the
    point, 0 where there was none; y, x in the region's pixels, scores in 0..1.
    """

    label: NDArray[np.int64]
    serial: NDArray[np.int64]
    y: NDArray[np.float64]
    x: NDArray[np.float64]
    score: NDArray[np.float64]
    area_um2: NDArray[np.float64]
    reasons: list[str]


@dataclass(frozen=True)
class Result:
    """Results of one region: labels int32 (h, w) of the box, maps (h, w), and its nuclei."""

    image: str
    box: Box
    labels: NDArray[np.int32]
    maps: Mapping[str, NDArray[Any]]
    rows: Rows


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
    def rows(self) -> Rows:
        """Its nuclei."""
        rows = self.listed
        if isinstance(rows, Path):
            rows = bounded_json.read_record(rows)["candidates"]
        return rows_of(rows)

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


def rows_of(listed: Sequence[Mapping[str, Any]]) -> Rows:
    """What is listed of nuclei, typed; raises one of `bounded_json.WRONG` for what is no number."""
    numbers = {name: np.array([row[name] for row in listed], float) for name in _NUMBERS}
    if not all(np.isfinite(column).all() for column in numbers.values()):
        raise ValueError("a nucleus with a number that is not finite")
    label, serial = (np.array([int(row[name]) for row in listed], np.int64) for name in _WHOLE)
    y, x, score, area = (numbers[name] for name in _NUMBERS)
    return Rows(label, serial, y, x, score, area, [_reason(row["reason"]) for row in listed])


def _reason(given: Any) -> str:
    reason = str(given)[:1000]
    return reason if reason.isascii() else reason.encode("utf-8", "replace").decode("utf-8")
