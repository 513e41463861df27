"""Rounds of relabelling in a run's folder: the labels after each, and why they are so.

RUN/rounds/index.json names a file for each round and region: labels before and after as states,
`loss`, `vote` (probability of nucleus), `rank` (share of pixels whose loss is no smaller) and
`taken` (relabelled by the vote), (h, w) at the run's working resolution, NaN where no label was
doubtful.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg import bounded_json, bounded_npz, regular_file
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.method import NUCLEUS, UNKNOWN
from napari_noisyseg.slides import Box
from napari_noisyseg.store.durable import make_inside, write_atomically, writing

FOLDER, INDEX = "rounds", "index.json"
REGIONS = ("results/index.json", "snapshot/index.json")
"""where a run says which part of which image a region is"""
MOST_PIXELS = 2**26
"""Of one region at level 0; runs learn from smaller ones."""
STATES = ("before", "after")
MAPS = (*STATES, "loss", "vote", "rank", "taken")
NAMES = {0: "background", NUCLEUS: "nucleus"}

Maps = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Round:
    """One round in one region of an image. number: from 1; epoch: before which it came.

    changed: share of the region's pixels that it gave another label; box: in level-0 pixels.
    """

    number: int
    epoch: int
    image: str
    box: Box
    changed: float
    file: Path

    def maps(self) -> Maps:
        """`before` and `after` (states, uint8), `loss`, `vote`, `rank`, `taken` (float32), (h, w)
        of the box at level 0; NoisySegError where the file is damaged.
        """
        small = _read(self.file)
        if self.box.height * self.box.width > MOST_PIXELS:
            raise NoisySegError(f"{self.file}: a round of {self.box.shape} pixels cannot be shown")
        rows, columns = (
            np.arange(size) * length // size
            for size, length in zip(self.box.shape, small["after"].shape, strict=True)
        )
        return {name: values[rows[:, None], columns] for name, values in small.items()}


def keep(
    folder: Path, number: int, epoch: int, region: str, values: Mapping[str, NDArray[np.float32]]
) -> None:
    """Write one region's round into a run's folder, in place of the same round if it is there.

    values: `before` and `after` as 0, 1 or NaN, and the other maps.
    """
    target = folder / FOLDER
    make_inside(target)
    known = list(_index(folder))
    same = [e["file"] for e in known if (e["number"], e["region"]) == (number, region)]
    name = same[0] if same else f"{number}-{sum(e['number'] == number for e in known)}.npz"
    entries = [e for e in known if e["file"] != name]
    arrays = {key: _packed(key, plane) for key, plane in values.items()}
    with writing(target / name) as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    changed = float(np.mean(arrays["before"] != arrays["after"]))
    entries.append(
        {"number": number, "epoch": epoch, "region": region, "changed": changed, "file": name}
    )
    write_atomically(target / INDEX, json.dumps(entries))


def of(folder: Path, image: str) -> list[Round]:
    """The rounds of an image in a run's folder, in order; empty where the run has none."""
    boxes = _boxes(folder, image)
    found = [
        Round(
            int(e["number"]), int(e["epoch"]), image, boxes[e["region"]], float(e["changed"]),
            folder / FOLDER / Path(e["file"]).name,
        )
        for e in _index(folder)
        if e["region"] in boxes
    ]  # fmt: skip
    return sorted(found, key=lambda r: (r.number, r.box))


def reason(found: Round, y: int, x: int) -> str:
    """Why the label at a level-0 pixel of the image is as it is after a round; "" outside."""
    box = found.box
    if not box.contains(y, x):
        return ""
    small = _read(found.file)
    h, w = small["after"].shape
    place = ((y - box.y0) * h // box.height, (x - box.x0) * w // box.width)
    after, before = int(small["after"][place]), int(small["before"][place])
    if after == UNKNOWN:
        return "no rough label here, or a clean one: never relabelled"
    loss, vote, rank, taken = (float(small[k][place]) for k in ("loss", "vote", "rank", "taken"))
    said = f"loss {loss:.2g} (largest {100 * rank:.0f} %)"
    if not taken:
        return f"kept as {NAMES[after]}: {said}"
    votes = f"{vote if after == NUCLEUS else 1 - vote:.2f} of the vote"
    word = "relabelled as" if after != before else "voted on and left as"
    return f"{word} {NAMES[after]}: {said}, {votes}"


def _packed(name: str, plane: NDArray[np.float32]) -> NDArray[Any]:
    if name in STATES:
        return np.where(np.isnan(plane), UNKNOWN, plane > 0.5).astype(np.uint8)
    return plane.astype(np.float16)


def _index(folder: Path) -> Sequence[dict[str, Any]]:
    path = folder / FOLDER / INDEX
    if not regular_file.is_file(path):
        return []
    try:
        entries = bounded_json.read(path, bounded_json.RECORD_BYTES)
        return [_checked(entry) for entry in entries]
    except (NoisySegError, *bounded_json.WRONG) as error:
        raise NoisySegError(f"{path}: rounds cannot be read ({error})") from error


def _checked(entry: Any) -> dict[str, Any]:
    return {
        "number": int(entry["number"]),
        "epoch": int(entry["epoch"]),
        "region": str(entry["region"]),
        "changed": float(entry["changed"]),
        "file": Path(str(entry["file"])).name,
    }


def _boxes(folder: Path, image: str) -> dict[str, Box]:
    """The regions of an image by name."""
    for name in REGIONS:
        try:
            entries = bounded_json.read_record(folder / name)["regions"]
            return {
                str(e["name"]): Box(*map(int, e["box"])) for e in entries if e["image"] == image
            }
        except (NoisySegError, *bounded_json.WRONG):
            continue
    return {}


@lru_cache(maxsize=8)
def _loaded(path: Path, written: int) -> Maps:
    arrays = bounded_npz.read(path)
    arrays = {name: arrays[name] for name in MAPS}
    shape = arrays["after"].shape
    if len(shape) != 2 or 0 in shape or any(a.shape != shape for a in arrays.values()):
        raise ValueError(f"maps of {shape}")
    return {
        name: values if name in STATES else values.astype(np.float32)
        for name, values in arrays.items()
    }


def _read(path: Path) -> Maps:
    try:
        return _loaded(path, path.stat().st_mtime_ns)
    except (OSError, ValueError, KeyError) as error:
        raise NoisySegError(f"{path}: this round cannot be read ({error})") from error
