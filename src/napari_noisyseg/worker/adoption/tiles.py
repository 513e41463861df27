"""What is found on a slide comes into the project tile by tile, while the child still works."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg import bounded_json
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box
from napari_noisyseg.store.making import uncollected
from napari_noisyseg.store.packing import count_masks
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import Candidate, Outline
from napari_noisyseg.store.runs import Run
from napari_noisyseg.whole import Plan, Tiles
from napari_noisyseg.whole.stitch import PLAN, Settled, mark, marked

FOLDER, ADOPTED = "slide", "adopted.txt"
REFINED = "refined"
AT_ONCE = 8
"""Tiles that are taken in before others may write again."""


class SlideTask(NamedTuple):
    """What a run was asked to find on a slide. regions: None for all of it."""

    image: str
    regions: tuple[Box, ...] | None

    def document(self) -> dict[str, Any]:
        """In plain values, for the run's spec."""
        regions = None if self.regions is None else [list(box) for box in self.regions]
        return {"image": self.image, "regions": regions}


def task_of(run: Run) -> SlideTask | None:
    """The slide of a run that predicts one; None of any other. NoisySegError where damaged."""
    found = run.spec().get(FOLDER)
    if found is None:
        return None
    try:
        regions = found["regions"]
        boxes = None if regions is None else tuple(Box(*map(int, box)) for box in regions)
        return SlideTask(str(found["image"]), boxes)
    except bounded_json.WRONG as error:
        raise NoisySegError(f"{run.dir}: what it is to predict is damaged ({error})") from error


def is_slide(run: Run) -> bool:
    """Whether a run predicts a slide, tile by tile, and has begun to."""
    return (run.dir / FOLDER / PLAN).is_file()


def adopt_tiles(project: Project, run: Run, most: int = AT_ONCE) -> int:
    """Take in up to `most` tiles that are done and not taken in yet; how many were.

    Killed at any moment, the next call goes on: a tile that comes in again is the same.
    """
    task = task_of(run)
    if task is None or task.image not in {record.name for record in project.images()}:
        return 0
    folder = run.dir / FOLDER
    plan = Plan.read(folder / PLAN)
    record = project.image(task.image)
    if (plan.height, plan.width) != (record.height, record.width):
        raise NoisySegError(f"{folder} is of another slide than {record.name}")
    tiles = Tiles(folder, plan, {tile.index for tile in plan.tiles(task.regions)})
    known = marked(folder / ADOPTED)
    due = [n for n in sorted(tiles.done - known) if tiles.is_settled(n)][:most]
    with uncollected():
        for index in due:
            _take_in(project, run, task.image, plan.tile(index).core, tiles.settled(index))
            mark(folder / ADOPTED, index)
    return len(due)


def _take_in(project: Project, run: Run, image: str, core: Box, settled: Settled) -> None:
    mpp = project.image(image).mpp
    project.nuclei.adopt(image, run.id, list(_candidates(settled, run.id, mpp)), core)
    around = Box.around([core, *(settled.nuclei.box(k) for k in range(len(settled.nuclei)))])
    source = {"run": run.id, "method": str(run.spec().get("method", ""))}
    plane = _drawn(project, run.id, image, core, around)
    project.labels.write_box(image, REFINED, around, plane, source)
    project.labels.sync(image, REFINED, around)


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


def adopt_slides(
    project: Project, tell: Callable[[str], object] | None = None, most: int = AT_ONCE
) -> list[str]:
    """Take in new tiles of every run that predicts a slide; the ids of those that had any."""
    found = []
    for run in project.runs.list():
        if run.adopted or not is_slide(run):
            continue
        try:
            ended = run.state() in ("finished", "stopped", "failed", "lost")
            count = adopt_tiles(project, run, most)
            if count:
                found.append(run.id)
            elif ended and run.state() == "finished":
                project.mark_adopted(run.id)
        except NoisySegError as error:
            run.skip(str(error))
            if tell is not None:
                tell(f"the nuclei that run {run.id} found were not taken in: {error}")
    return found


def folder_of(run: Run) -> Path:
    """Where a run keeps its tiles."""
    return run.dir / FOLDER
