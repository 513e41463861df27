"""Finished runs become part of the project: label layers and candidates to review."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box
from napari_noisyseg.store.making import uncollected
from napari_noisyseg.store.packing import pack_mask
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import Candidate, Outline
from napari_noisyseg.store.runs import Run
from napari_noisyseg.worker.laying import lay, write

FOLDER, INDEX = "results", "index.json"
REFINED = "refined"


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
    """The same as it lies in a run's folder; its pixels are read each time they are asked for, so
    that those of one region at a time are in memory. Its rows are let go once they were used.
    """

    image: str
    box: Box
    path: Path
    rows: Sequence[Mapping[str, Any]]

    @property
    def labels(self) -> NDArray[np.int32]:
        """Nuclei by number, int32 (h, w)."""
        with np.load(self.path, allow_pickle=False) as arrays:
            labels: NDArray[np.int32] = arrays["labels"].astype(np.int32, copy=False)
            return labels

    @property
    def maps(self) -> dict[str, NDArray[Any]]:
        """What else there is, (h, w) by name."""
        with np.load(self.path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files if name != "labels"}


Region = Result | Stored


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
    by_image: defaultdict[str, list[Stored]] = defaultdict(list)
    for result in read_results(run.dir):
        by_image[result.image].append(result)
    present = {image.name for image in project.images()}
    source = {"run": run.id, "method": run.spec().get("method", "")}
    for image in sorted(present & set(by_image)):
        adopt_results(project, run.id, image, by_image[image], source)
    project.mark_adopted(run.id)


def read_results(folder: Path) -> list[Stored]:
    """The results of a run's folder; NoisySegError when they are damaged."""
    target = folder / FOLDER
    try:
        entries = json.loads((target / INDEX).read_text("utf-8"))["regions"]
        return [_read_one(target, entry) for entry in entries]
    except (OSError, ValueError, KeyError, TypeError, BadZipFile) as error:
        raise NoisySegError(f"{target}: results cannot be read ({error})") from error


def _read_one(target: Path, entry: Mapping[str, Any]) -> Stored:
    box = Box(*(int(v) for v in entry["box"]))
    result = Stored(
        str(entry["image"]), box, target / Path(entry["file"]).name, entry["candidates"]
    )
    # read once, so that damage is known before anything is taken in
    for name, values in {"labels": result.labels, **result.maps}.items():
        if values.shape != box.shape:
            raise ValueError(f"{name} of {values.shape} does not fit {tuple(box)}")
    return result


def adopt_results(
    project: Project, run: str, image: str, results: Sequence[Region], source: Mapping[str, Any]
) -> None:
    """Take in what was found in the regions of one image; frozen outlines stay as they are."""
    ids = {n.serial: n.id for n in project.nuclei.of(image, every=True)}
    with uncollected():
        drafts = [_candidates(result, ids, run) for result in results]
        named = project.nuclei.adopt(image, run, [c for draft in drafts for _, c in draft])
    serials = iter(named)
    finals = [{label: next(serials).serial for label, _ in draft} for draft in drafts]
    for result in results:
        for kind, values in result.maps.items():
            write(project, image, kind, result.box, values, source)

    def refined(k: int) -> NDArray[np.int32]:
        """A region's nuclei, in which frozen outlines stand as a person left them."""
        labels = _renumbered(results[k].labels, finals[k])
        return project.nuclei.settled(image, results[k].box, labels, rejected=True)

    lay(project, image, REFINED, [result.box for result in results], refined, source)


def _candidates(result: Region, ids: Mapping[int, str], run: str) -> list[tuple[int, Candidate]]:
    """(value in the label image, candidate) of every nucleus whose point is still there."""
    labels = result.labels
    windows = ndimage.find_objects(labels)
    top, left = result.box.origin
    found = []
    rows = result.rows
    if isinstance(result, Stored):
        result.rows = ()
    for row in rows:
        label, serial = int(row["label"]), int(row["serial"])
        window = windows[label - 1] if 0 < label <= len(windows) else None
        if window is None or (serial and serial not in ids):
            continue
        ys, xs = window
        box = Box(ys.start + top, xs.start + left, ys.stop + top, xs.stop + left)
        # packed at once: half a million of them fit into memory
        outline = Outline.packed(box, pack_mask(labels[window] == label))
        y, x = float(row["y"]) + top, float(row["x"]) + left
        score, reason, area = float(row["score"]), str(row["reason"]), float(row["area_um2"])
        named = Candidate(ids.get(serial, ""), serial, y, x, outline, score, reason, run, area)
        found.append((label, named))
    return found


def _renumbered(labels: NDArray[np.int32], final: Mapping[int, int]) -> NDArray[np.int32]:
    """The label image with serials for life; what was left out becomes background."""
    table = np.zeros(int(labels.max(initial=0)) + 1, np.int32)
    for label, serial in final.items():
        table[label] = serial
    renumbered: NDArray[np.int32] = table[labels]
    return renumbered
