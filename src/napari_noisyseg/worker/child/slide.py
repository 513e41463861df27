"""The child's work on slides: tiles into the run's folder, from which they are adopted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from napari_noisyseg.coarse.starter import CENTRES, OUTLINE, Network, at_click, read_weights
from napari_noisyseg.events import Event, Finished, Started, Stepped
from napari_noisyseg.slides import Slide
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import ImageRecord
from napari_noisyseg.store.runs import Run
from napari_noisyseg.whole import Model, Plan, Tiles, load_model, make_plan, predicted
from napari_noisyseg.whole.model import Starter
from napari_noisyseg.whole.stitch import PLAN
from napari_noisyseg.worker.adoption.tiles import SlideTask, tasks_of

INIT = "init.safetensors"


def predict_slides(folder: Path, stopping: Callable[[], bool]) -> Iterator[Event]:
    """Predict what is missing of each image, until asked to stop; an "epoch" is a tile.

    Reads the project, where the pixels are found, and writes nowhere but in the run's folder.
    """
    run, began = Run(folder), time.time()
    spec = run.spec()
    model = _model(run, str(spec["device"]))
    with Project.open(folder.parents[1], write=False) as project:
        tasks = [(task, *_laid_out(project, task, model)) for task in tasks_of(run)]
        count = sum(len(wanted) for _, _, wanted in tasks)
        done = sum(len(wanted & tiles.done) for _, tiles, wanted in tasks)
        first, nuclei = done, 0
        yield Started(str(spec["method"]), count, 0, str(spec["device"]), unit="tile")
        for task, tiles, wanted in tasks:
            due = [tiles.plan.tile(n) for n in sorted(wanted - tiles.done)]
            with closing(project.pixels(task.image)) as slide:
                for found in predicted(slide, model, tiles.plan, due, stopping):
                    tiles.add(found)
                    nuclei += len(found)
                    done += 1
                    left = (time.time() - began) / (done - first) * (count - done)
                    yield Stepped(done - 1, done - 1, count, {}, left)
    figures = {"nuclei": float(nuclei), "tiles": float(done)}
    yield Finished(done < count, time.time() - began, figures)


def _laid_out(project: Project, task: SlideTask, model: Model) -> tuple[Tiles, set[int]]:
    """An image's tiles, and which of them are asked for."""
    record = project.image(task.image)
    with closing(project.pixels(task.image)) as slide:
        plan = _plan(slide, record, task, model)
    wanted = {tile.index for tile in plan.tiles(task.regions)}
    return Tiles(task.folder, plan, wanted), wanted


def _plan(slide: Slide, record: ImageRecord, task: SlideTask, model: Model) -> Plan:
    """The plan of before, or a new one."""
    if (task.folder / PLAN).is_file():
        return Plan.read(task.folder / PLAN)
    return make_plan(slide, record.mpp, record.sha, model)


def _model(run: Run, device: str) -> Model:
    """The model in the run's folder: a run's, or the starter with what it learned."""
    if (run.dir / INIT).is_file():
        return load_model(run.dir / INIT, device)
    learned = {
        name: Network(name, read_weights(run.dir / f"{name}.safetensors")[0])
        for name in (CENTRES, OUTLINE)
        if (run.dir / f"{name}.safetensors").is_file()
    }
    look = at_click(learned[OUTLINE]) if OUTLINE in learned else None
    return Starter(look, learned.get(CENTRES), str(run.spec().get("key", "")))
