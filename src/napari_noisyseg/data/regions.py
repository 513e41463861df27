"""A region: one annotated part of an image with its pixels and everything people said of it.

Regions are what a run's snapshot holds. numpy only, so that the parent process can write them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg import bounded_json, bounded_npz
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box
from napari_noisyseg.store.durable import make_inside, write_atomically, writing

SNAPSHOT, INDEX = "snapshot", "index.json"
"""The folder of a run that holds its regions, and what the starter had learned by then."""
_ARRAYS = (
    "rgb", "known", "points", "serials", "rough", "rough_known", "clean", "clean_known", "rejected"
)  # fmt: skip

KINDS = dict.fromkeys(_ARRAYS, "b") | {
    "rgb": "u", "points": "f", "serials": "iu", "rough": "iu", "clean": "iu",
}  # fmt: skip
"""What NumPy calls the types of each."""


@dataclass(frozen=True)
class Region:
    """Pixels and annotation of `box` of an image, at level 0.

    rgb: uint8 (h, w, 3). known: bool (h, w), inside fields declared complete. points: float
    (n, 2), (y, x) relative to the box; serials: int (n,). rough, clean: int32 (h, w) label images;
    rough_known, clean_known: bool (h, w), where they say something. rejected: bool (h, w), inside
    outlines that a person rejected. fit: the cluster label's stored fit, or None.
    """

    name: str
    image: str
    box: Box
    mpp: float
    rgb: NDArray[np.uint8]
    known: NDArray[np.bool_]
    points: NDArray[np.float64]
    serials: NDArray[np.int64]
    rough: NDArray[np.int32]
    rough_known: NDArray[np.bool_]
    clean: NDArray[np.int32]
    clean_known: NDArray[np.bool_]
    rejected: NDArray[np.bool_]
    fit: dict[str, Any] | None = field(default=None)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns at level 0."""
        return self.rgb.shape[0], self.rgb.shape[1]

    def points_by_serial(self) -> dict[int, tuple[float, float]]:
        """Serial number to (y, x) relative to the box, as `CoarseLabels` takes them."""
        return {
            int(s): (float(y), float(x))
            for s, (y, x) in zip(self.serials, self.points, strict=True)
        }


def region_of(
    rgb: NDArray[np.uint8], mpp: float, name: str = "image", **given: NDArray[Any]
) -> Region:
    """A region that is a whole image; what is not given is empty (points: known everywhere).

    given: any of known, points, serials, rough, rough_known, clean, clean_known, rejected.
    """
    shape = rgb.shape[:2]
    points = np.asarray(given.get("points", np.zeros((0, 2))), np.float64).reshape(-1, 2)
    rough = given.get("rough", np.zeros(shape, np.int32))
    clean = given.get("clean", np.zeros(shape, np.int32))
    return Region(
        name=name,
        image=name,
        box=Box(0, 0, *shape),
        mpp=mpp,
        rgb=rgb,
        known=given.get("known", np.full(shape, "points" in given)),
        points=points,
        serials=given.get("serials", np.arange(1, len(points) + 1)),
        rough=rough,
        rough_known=given.get("rough_known", np.full(shape, "rough" in given)),
        clean=clean,
        clean_known=given.get("clean_known", np.full(shape, "clean" in given)),
        rejected=given.get("rejected", np.zeros(shape, bool)),
    )


def save_regions(folder: Path, regions: Iterable[Region], **notes: Any) -> list[str]:
    """Write regions, one .npz each, then index.json with the rest and the notes; their names."""
    make_inside(folder)
    entries = [_save(folder / f"{i}.npz", region) for i, region in enumerate(regions)]
    write_atomically(folder / INDEX, json.dumps({**notes, "regions": entries}))
    return [str(entry["name"]) for entry in entries]


def open_regions(folder: Path) -> list[StoredRegion]:
    """Undo of `save_regions`, with the arrays still on the disk."""
    try:
        entries = bounded_json.read_record(folder / INDEX)["regions"]
        return [StoredRegion(folder, _checked(e), Box(*map(int, e["box"]))) for e in entries]
    except (NoisySegError, *bounded_json.WRONG) as error:
        raise NoisySegError(f"{folder}: not a run's snapshot ({error})") from error


def _checked(entry: Any) -> dict[str, Any]:
    """An entry of the index with what every region has, of the right types."""
    mpp, fit = float(entry["mpp"]), entry.get("fit")
    if not (0 < mpp < math.inf) or not (fit is None or isinstance(fit, dict)):
        raise ValueError(f"a region of {mpp} µm per pixel")
    texts = {name: str(entry[name]) for name in ("file", "name", "image")}
    return {**entry, **texts, "mpp": mpp, "fit": fit}


@dataclass(frozen=True)
class StoredRegion:
    """A region on the disk; `load()` reads it."""

    folder: Path
    entry: Mapping[str, Any]
    box: Box

    @property
    def image(self) -> str:
        """Name of the image that it is a part of."""
        return str(self.entry["image"])

    @property
    def mpp(self) -> float:
        """µm per level-0 pixel."""
        return float(self.entry["mpp"])

    def load(self) -> Region:
        """The whole region; NoisySegError where its file is damaged."""
        return _load(self.folder, self.entry)


def _save(path: Path, region: Region) -> dict[str, Any]:
    """Write the arrays; returns what JSON must keep beside them."""
    packed = {name: getattr(region, name) for name in _ARRAYS}
    with writing(path) as file:
        np.savez(file, **packed)
    return {
        "file": path.name,
        "name": region.name,
        "image": region.image,
        "box": list(region.box),
        "mpp": region.mpp,
        "fit": region.fit,
    }


def _load(folder: Path, entry: Mapping[str, Any]) -> Region:
    """Undo of `_save`: `entry` is what it returned, `folder` where the .npz lies."""
    path = folder / Path(str(entry["file"])).name
    box = Box(*(int(v) for v in entry["box"]))
    try:
        values: dict[str, Any] = bounded_npz.read(path, names=_ARRAYS)
        _check(values, box)
    except (NoisySegError, ValueError) as error:
        raise NoisySegError(f"{path}: not a region of a snapshot ({error})") from error
    return Region(
        name=str(entry["name"]),
        image=str(entry["image"]),
        box=box,
        mpp=float(entry["mpp"]),
        fit=entry.get("fit"),
        **values,
    )


def _check(values: Mapping[str, NDArray[Any]], box: Box) -> None:
    """ValueError where the arrays are not what a region of this box has."""
    many = len(values["serials"]) if values["serials"].ndim == 1 else -1
    shapes = {"rgb": (*box.shape, 3), "points": (many, 2), "serials": (many,)}
    for name, array in values.items():
        if array.shape != shapes.get(name, box.shape) or array.dtype.kind not in KINDS[name]:
            raise ValueError(f"{name} of {array.shape}, {array.dtype}")
    if not np.isfinite(values["points"]).all():
        raise ValueError("points that are no places")
