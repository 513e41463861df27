"""Finished runs become part of the project: label layers and candidates to review."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box, windows_of, without_gaps
from napari_noisyseg.store.making import uncollected
from napari_noisyseg.store.matching import swallowed
from napari_noisyseg.store.packing import pack_mask
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import Candidate, Outline
from napari_noisyseg.store.runs import Run
from napari_noisyseg.worker.adoption.found import Found, Stored, listed_results, readable
from napari_noisyseg.worker.adoption.laying import lay, write
from napari_noisyseg.worker.adoption.tiles import HELD, REFINED, adopt_slides

__all__ = ["REFINED", "adopt", "adopt_finished", "adopt_results"]

Draft = list[tuple[int, Candidate]]
"""Value in the label image of a region, and the candidate that it becomes"""
TABLE = 2**22
"""Largest label that is looked up in a table with a row for each; a stranger's may be any number"""


def adopt_finished(project: Project, tell: Callable[[str], object] | None = None) -> list[str]:
    """Take in every run that has whole results and was not taken in yet; their ids.

    The project must be open for writing. A nucleus that was removed since, or an image that is
    gone, is left out; frozen outlines stay as they are. A run that cannot be taken in is passed
    over: `tell` hears why, `Run.skipped` keeps it, and it is tried again the next time. Runs that
    predict slides come in tile by tile, also while they work.
    """
    adopted = []
    for run in project.runs.list():
        if run.adopted or not run.has_results:
            continue
        try:
            adopt(project, run)
        except NoisySegError as error:
            run.skip(str(error))
            if tell is not None:
                tell(f"the results of run {run.id} were not taken in: {error}")
            continue
        adopted.append(run.id)
    return adopted + adopt_slides(project, tell)


def adopt(project: Project, run: Run) -> None:
    """Take in one run's results; `NoisySegError` where they are damaged or the disk is full."""
    by_image: defaultdict[str, list[Stored]] = defaultdict(list)
    present = {image.name for image in project.images()}
    for result in listed_results(run.dir):
        if result.image in present:
            by_image[result.image].append(result)
    source = {"run": run.id, "method": run.spec().get("method", "")}
    with uncollected():
        # all of them are read before anything is written: damage leaves the project as it was
        with readable(run.dir):
            drafts = {name: _drafts(project, run.id, name, by_image[name]) for name in by_image}
        for image in sorted(drafts):
            _take_in(project, run.id, image, by_image[image], drafts.pop(image), source)
    project.mark_adopted(run.id)


def adopt_results(
    project: Project, run: str, image: str, results: Sequence[Found], source: Mapping[str, Any]
) -> None:
    """Take in what was found in the regions of one image; frozen outlines stay as they are."""
    with uncollected():
        drafts = _drafts(project, run, image, results)
        _take_in(project, run, image, results, drafts, source)


def _drafts(project: Project, run: str, image: str, results: Sequence[Found]) -> list[Draft]:
    """The candidates of each region; its maps are looked through as well."""
    ids = {n.serial: n.id for n in project.nuclei.of(image, every=True)}
    drafts = []
    for result in results:
        _ = result.maps
        drafts.append(_candidates(result, ids, run))
    return drafts


def _take_in(
    project: Project,
    run: str,
    image: str,
    results: Sequence[Found],
    drafts: Sequence[Draft],
    source: Mapping[str, Any],
) -> None:
    drafts = _without_swallowed(project, image, drafts)
    # nuclei come last but one: where maps do not fit on the disk, nothing is half taken in
    for result in results:
        for kind, values in result.maps.items():
            write(project, image, kind, result.box, values, source)
    named = project.nuclei.adopt(image, run, [c for draft in drafts for _, c in draft])
    serials = iter(named)
    finals = [{label: next(serials).serial for label, _ in draft} for draft in drafts]

    def refined(k: int) -> NDArray[np.int32]:
        """A region's nuclei, in which frozen outlines stand as a person left them."""
        labels = _renumbered(results[k].labels, finals[k])
        return project.nuclei.settled(image, results[k].box, labels, rejected=True)

    lay(project, image, REFINED, [result.box for result in results], refined, source)


def _without_swallowed(project: Project, image: str, drafts: Sequence[Draft]) -> list[Draft]:
    """The drafts without finds that are a part of what a person accepted or drew as one nucleus."""
    held = [outline for _, outline in project.nuclei.outlines(image, HELD)]
    finds = [c for draft in drafts for _, c in draft if not c.id]
    gone = {id(finds[k]) for k in swallowed([c.outline for c in finds], held)}
    return [[pair for pair in draft if id(pair[1]) not in gone] for draft in drafts]


def _candidates(result: Found, ids: Mapping[int, str], run: str) -> Draft:
    """(value in the label image, candidate) of every nucleus whose point is still there."""
    labels = result.labels
    windows = windows_of(labels)
    top, left = result.box.origin
    found = []
    for row in result.rows:
        label, serial = int(row["label"]), int(row["serial"])
        window = windows.get(label)
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
    top = int(labels.max(initial=0))
    if top <= TABLE and int(labels.min(initial=0)) >= 0:
        dense = np.zeros(top + 1, np.int32)
        for label, serial in final.items():
            dense[label] = serial
        return np.asarray(dense[labels], np.int32)
    values, places = without_gaps(labels)
    table = np.array([final.get(int(value), 0) for value in values], np.int32)
    renumbered: NDArray[np.int32] = table[places]
    return renumbered
