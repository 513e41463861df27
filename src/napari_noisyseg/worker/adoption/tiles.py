"""What is found on a slide comes into the project tile by tile, while the child still works."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg import bounded_json
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box
from napari_noisyseg.store.making import uncollected
from napari_noisyseg.store.matching import match, swallowed
from napari_noisyseg.store.packing import count_masks
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import Candidate, Outline, State
from napari_noisyseg.store.runs import Run
from napari_noisyseg.whole import Plan, Tiles
from napari_noisyseg.whole.stitch import PLAN, TILES, Settled, mark, marked
from napari_noisyseg.worker.adoption.found import CLICKS

FOLDER, ADOPTED = "slides", "adopted.txt"
REFINED = "refined"
HELD: tuple[State, ...] = ("accepted", "unsure", "unreviewed")
"""States in which an outline that a person drew or decided on holds its pixels"""


class SlideTask(NamedTuple):
    """What a run is to find on one image. folder: of its tiles. regions: None for all of it."""

    image: str
    folder: Path
    regions: tuple[Box, ...] | None


def tasks_of(run: Run) -> list[SlideTask]:
    """The images that a run predicts tile by tile, none for another kind of run.

    Raises NoisySegError where its spec is damaged.
    """
    try:
        return [
            SlideTask(
                str(task["image"]),
                run.dir / FOLDER / str(n),
                None
                if task["regions"] is None
                else tuple(Box(*map(int, box)) for box in task["regions"]),
            )
            for n, task in enumerate(run.spec().get(FOLDER) or ())
        ]
    except bounded_json.WRONG as error:
        raise NoisySegError(f"{run.dir}: what it is to predict is damaged ({error})") from error


def adopt_slides(project: Project, tell: Callable[[str], object] | None = None) -> list[str]:
    """Take in the new tiles of every run that predicts slides; the ids of those that had any.

    The project must be open for writing. Killed at any moment, the next call goes on: a tile that
    comes in again is the same. A run that cannot be taken in is passed over, and `tell` hears why.
    """
    found = []
    for run in project.runs.list():
        if not (run.dir / FOLDER).is_dir():
            continue
        try:
            counts = [_adopt(project, run, task) for task in tasks_of(run)]
            if any(counts):
                run.taken_in()
                found.append(run.id)
            elif not run.adopted and run.state() == "finished":
                project.mark_adopted(run.id)
        except NoisySegError as error:
            run.skip(str(error))
            if tell is not None:
                tell(f"the nuclei that run {run.id} found were not taken in: {error}")
    return found


def _adopt(project: Project, run: Run, task: SlideTask) -> int:
    """Take in the tiles that are done and were not taken in yet; how many."""
    known = marked(task.folder / ADOPTED)
    done = {int(p.stem) for p in (task.folder / TILES).glob("*.npz") if p.stem.isdigit()}
    records = {record.name: record for record in project.images()}
    if not done - known or task.image not in records:
        return 0
    record, plan = records[task.image], Plan.read(task.folder / PLAN)
    if (plan.height, plan.width, plan.sha) != (record.height, record.width, record.sha):
        raise NoisySegError(f"{task.folder} is of another slide than {record.name}")
    tiles = Tiles(task.folder, plan, {tile.index for tile in plan.tiles(task.regions)})
    due = [n for n in sorted(tiles.done - known) if tiles.is_settled(n)]
    for index in due:
        with uncollected():
            _take_in(project, run, task.image, plan.tile(index).core, tiles.settled(index))
        mark(task.folder / ADOPTED, index)
    return len(due)


def _take_in(project: Project, run: Run, image: str, core: Box, settled: Settled) -> None:
    mpp = project.image(image).mpp
    finds = list(_candidates(settled, run.id, mpp))
    held = [outline for _, outline in project.nuclei.outlines(image, HELD)]
    gone = set(swallowed([c.outline for c in finds], held))
    finds = [c for k, c in enumerate(finds) if k not in gone]
    finds += list(_missed(project, run.id, image, core, finds))
    project.nuclei.adopt(image, run.id, finds, core)
    around = Box.around([core, *(settled.nuclei.box(k) for k in range(len(settled.nuclei)))])
    source = {"run": run.id, "method": str(run.spec().get("method", ""))}
    plane = _drawn(project, run.id, image, core, around)
    project.labels.write_box(image, REFINED, around, plane, source)
    project.labels.sync(image, REFINED, around)


def _missed(
    project: Project, run: str, image: str, core: Box, finds: list[Candidate]
) -> Iterator[Candidate]:
    """Nuclei that a person clicked in the tile and the run did not find, outlined at their clicks.

    Not where half of such an outline lies in what was found; of the rest the finds keep theirs.
    """
    every = project.nuclei.candidates(image, CLICKS, core)
    clicked = [c for c in every if core.contains(c.y, c.x) and _is_open(c)]
    if not clicked:
        return
    there = [*finds, *(c for c in project.nuclei.candidates(image, run, core) if not c.frozen)]
    new, old = [c.outline for c in clicked], [c.outline for c in there]
    known = {*match(new, old), *swallowed(new, old)}
    for at, nucleus in enumerate(clicked):
        free = nucleus.outline.mask.copy()
        for outline in old:
            free &= ~outline.cut(nucleus.outline.box)
        if at not in known and free.any():
            outline = Outline(nucleus.outline.box, free)
            area = nucleus.area_um2 * outline.area / nucleus.outline.area
            yield replace(nucleus, outline=outline, run=run, area_um2=area)


def _is_open(nucleus: Candidate) -> bool:
    """Whether its outline is the clicks' word alone."""
    return nucleus.run == CLICKS and nucleus.state != "rejected" and not nucleus.frozen


def _candidates(settled: Settled, run: str, mpp: float) -> Iterator[Candidate]:
    nuclei = settled.nuclei
    boxes = [nuclei.box(k) for k in range(len(nuclei))]
    areas = count_masks(nuclei.masks, boxes) * mpp**2
    for k, box in enumerate(boxes):
        y, x = (float(v) for v in nuclei.places[k])
        outline = Outline.packed(box, nuclei.masks[k])
        score, reason = float(nuclei.scores[k]), nuclei.reasons[k]
        yield Candidate("", 0, y, x, outline, score, reason, run, float(areas[k]))


def _drawn(project: Project, run: str, image: str, core: Box, around: Box) -> NDArray[np.int32]:
    """The labels of a tile and what it reaches into: all that the run found there by now."""
    stored = project.labels.read(image, REFINED, around)
    plane = np.zeros(around.shape, np.int32) if stored is None else stored.astype(np.int32)
    plane[core.within(around)] = 0
    for found in project.nuclei.candidates(image, run, around):
        if found.outline is None or found.frozen:
            continue
        both = found.outline.box.intersect(around)
        mask = found.outline.mask[both.within(found.outline.box)]
        plane[both.within(around)][mask] = found.serial
    return project.nuclei.settled(image, around, plane, rejected=True)
