"""Finished runs become part of the project: label layers and candidates to review."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import windows_of, without_gaps
from napari_noisyseg.store.columns import Columns
from napari_noisyseg.store.making import uncollected
from napari_noisyseg.store.matching import swallowed
from napari_noisyseg.store.packing import pack_mask
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.runs import Run
from napari_noisyseg.worker.adoption.found import Found, Stored, listed_results, readable
from napari_noisyseg.worker.adoption.laying import lay, write
from napari_noisyseg.worker.adoption.tiles import HELD, REFINED, adopt_slides

__all__ = ["REFINED", "adopt", "adopt_finished", "adopt_results"]

TABLE = 2**22
"""Largest label that is looked up in a table with a row for each; a stranger's may be any number"""


class Draft(NamedTuple):
    """Nuclei of a region: their values in its label image, (n,), and what becomes of them."""

    values: NDArray[np.int64]
    nuclei: Columns


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
    marks = [draft.values for draft in drafts]
    nuclei = Columns.together([draft.nuclei for draft in drafts])
    project.nuclei.adopt_columns(image, run, nuclei)
    ends = np.cumsum([len(each) for each in marks])
    serials: list[NDArray[np.int64]] = np.split(nuclei.serials, ends[:-1])
    # room for pixels: the masks are in the database now
    del drafts, nuclei

    def refined(k: int) -> NDArray[np.int32]:
        """A region's nuclei, in which frozen outlines stand as a person left them."""
        labels = _renumbered(results[k].labels, marks[k], serials[k])
        return project.nuclei.settled(image, results[k].box, labels, rejected=True)

    lay(project, image, REFINED, [result.box for result in results], refined, source)


def _without_swallowed(project: Project, image: str, drafts: Sequence[Draft]) -> list[Draft]:
    """The drafts without finds that are a part of what a person accepted or drew as one nucleus."""
    held = [outline for _, outline in project.nuclei.outlines(image, HELD)]
    if not held:
        return list(drafts)
    kept = []
    for values, nuclei in drafts:
        finds = np.flatnonzero([not id for id in nuclei.ids])
        gone = swallowed([nuclei.outline(row) for row in finds.tolist()], held)
        rows = np.delete(np.arange(len(values)), finds[sorted(gone)])
        kept.append(Draft(values[rows], nuclei.take(rows)))
    return kept


def _candidates(result: Found, ids: Mapping[int, str], run: str) -> Draft:
    """The nuclei of a region whose point is still there."""
    labels, rows = result.labels, result.rows
    windows = windows_of(labels)
    chosen, boxes, masks = list[int](), list[tuple[int, ...]](), list[bytes]()
    for at, (label, serial) in enumerate(
        zip(rows.label.tolist(), rows.serial.tolist(), strict=True)
    ):
        window = windows.get(label)
        if window is None or (serial and serial not in ids):
            continue
        down, across = window
        chosen.append(at)
        boxes.append((down.start, across.start, down.stop, across.stop))
        # packed at once: half a million of them fit into memory
        masks.append(pack_mask(labels[window] == label))
    kept, (top, left) = np.array(chosen, np.intp), result.box.origin
    serials = rows.serial[kept]
    nuclei = Columns.found_by(
        run,
        [ids.get(serial, "") for serial in serials.tolist()],
        serials,
        np.stack([rows.y[kept] + top, rows.x[kept] + left]),
        np.array(boxes, np.int64).reshape(-1, 4) + np.array([top, left, top, left]),
        masks,
        rows.score[kept],
        rows.area_um2[kept],
        [rows.reasons[at] for at in chosen],
    )
    return Draft(rows.label[kept], nuclei)


def _renumbered(
    labels: NDArray[np.int32], values: NDArray[np.int64], serials: NDArray[np.int64]
) -> NDArray[np.int32]:
    """The label image with serials in place of values; what was left out becomes background."""
    top = int(labels.max(initial=0))
    if top <= TABLE and int(labels.min(initial=0)) >= 0:
        dense = np.zeros(top + 1, np.int32)
        dense[values] = serials
        return dense.take(labels)
    known, places = without_gaps(labels)
    table = np.zeros(len(known), np.int32)
    table[np.searchsorted(known, values)] = serials
    return table.take(places)
