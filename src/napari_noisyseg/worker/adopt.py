"""Finished runs become part of the project: label layers and candidates to review."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg import bounded_json, bounded_npz
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box, windows_of, without_gaps
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import Candidate, Outline
from napari_noisyseg.store.runs import Run

FOLDER, INDEX = "results", "index.json"
REFINED = "refined"
ROOM, PIXEL_BYTES = 2**20, 64
"""Bytes that the results of a region may take: some, and for each of its pixels."""


@dataclass(frozen=True)
class Result:
    """Results of one region as they lie in the run's folder."""

    image: str
    box: Box
    labels: NDArray[np.int32]
    maps: Mapping[str, NDArray[np.floating[Any]]]
    rows: Sequence[Mapping[str, Any]]


def adopt_finished(project: Project) -> list[str]:
    """Take in every run that has whole results and was not taken in yet; their ids.

    The project must be open for writing. A nucleus that was removed since, or an image that is
    gone, is left out; frozen outlines stay as they are. Results that cannot be read are skipped.
    """
    adopted = []
    for run in project.runs.list():
        if run.adopted or not (run.dir / FOLDER / INDEX).is_file():
            continue
        try:
            adopt(project, run)
        except NoisySegError:
            continue
        adopted.append(run.id)
    return adopted


def adopt(project: Project, run: Run) -> None:
    """Take in one run's results."""
    by_image: defaultdict[str, list[Result]] = defaultdict(list)
    for result in read_results(run.dir):
        by_image[result.image].append(result)
    present = {image.name for image in project.images()}
    source = {"run": run.id, "method": run.spec().get("method", "")}
    for image in sorted(present & set(by_image)):
        adopt_results(project, run.id, image, by_image[image], source)
    project.mark_adopted(run.id)


def read_results(folder: Path) -> list[Result]:
    """The results of a run's folder; NoisySegError when they are damaged."""
    target = folder / FOLDER
    try:
        entries = bounded_json.read_record(target / INDEX)["regions"]
        return [_read_one(target, entry) for entry in entries]
    except bounded_json.WRONG as error:
        raise NoisySegError(f"{target}: results cannot be read ({error})") from error


def _read_one(target: Path, entry: Mapping[str, Any]) -> Result:
    box = Box(*(int(v) for v in entry["box"]))
    limit = min(bounded_npz.LIMIT, ROOM + PIXEL_BYTES * box.height * box.width)
    maps = bounded_npz.read(target / Path(entry["file"]).name, limit)
    labels = maps.pop("labels").astype(np.int32)
    for name, values in {"labels": labels, **maps}.items():
        if values.shape != box.shape:
            raise ValueError(f"{name} of {values.shape} do not fit {tuple(box)}")
    return Result(str(entry["image"]), box, labels, maps, [_row(c) for c in entry["candidates"]])


def _row(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of a nucleus, of the types that the project keeps."""
    numbers = {name: float(entry[name]) for name in ("y", "x", "score", "area_um2")}
    if not all(map(math.isfinite, numbers.values())):
        raise ValueError(f"a nucleus at {numbers}")
    whole = {name: int(entry[name]) for name in ("label", "serial")}
    return {**numbers, **whole, "reason": str(entry["reason"])}


def adopt_results(
    project: Project, run: str, image: str, results: Sequence[Result], source: Mapping[str, Any]
) -> None:
    """Take in what was found in the regions of one image; frozen outlines stay as they are."""
    ids = {n.serial: n.id for n in project.nuclei.of(image, every=True)}
    mpp = project.image(image).mpp
    drafts = [[(label, c) for label, c in _candidates(result, ids, run, mpp)] for result in results]
    named = project.nuclei.adopt(image, run, [c for draft in drafts for _, c in draft])
    serials = iter(named)
    for result, draft in zip(results, drafts, strict=True):
        final = {label: next(serials).serial for label, _ in draft}
        _write_maps(project, result, _renumbered(result.labels, final), source)


def _candidates(
    result: Result, ids: Mapping[int, str], run: str, mpp: float
) -> list[tuple[int, Candidate]]:
    """(value in the label image, candidate) of every nucleus whose point is still there."""
    windows = windows_of(result.labels)
    found = []
    for row in result.rows:
        label, serial = int(row["label"]), int(row["serial"])
        window = windows.get(label)
        if window is None or (serial and serial not in ids):
            continue
        y0, x0 = result.box.origin
        box = Box.of_slices(*window).shift(y0, x0)
        found.append(
            (
                label,
                Candidate(
                    id=ids.get(serial, ""),
                    serial=serial,
                    y=float(row["y"]) + y0,
                    x=float(row["x"]) + x0,
                    outline=Outline(box, result.labels[window] == label),
                    score=float(row["score"]),
                    reason=str(row["reason"]),
                    run=run,
                    area_um2=float(row["area_um2"]),
                ),
            )
        )
    return found


def _renumbered(labels: NDArray[np.int32], final: Mapping[int, int]) -> NDArray[np.int32]:
    """The label image with serials for life; what was left out becomes background."""
    values, places = without_gaps(labels)
    table = np.array([final.get(int(value), 0) for value in values], np.int32)
    renumbered: NDArray[np.int32] = table[places]
    return renumbered


def _write_maps(
    project: Project, result: Result, labels: NDArray[np.int32], source: Mapping[str, Any]
) -> None:
    """The maps and the refined label, in which frozen outlines stand as a person left them."""
    image, box = result.image, result.box
    record = project.image(image)
    whole = box == Box(0, 0, record.height, record.width)
    refined = project.nuclei.settled(image, box, labels, rejected=True)
    for kind, values in {**result.maps, REFINED: refined}.items():
        if whole:
            project.labels.write(image, kind, values, dict(source))
        else:
            project.labels.write_box(image, kind, box, values, dict(source))
