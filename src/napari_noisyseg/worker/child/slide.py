"""The child's work on slides: tiles into the run's folder, from which they are adopted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path

from napari_noisyseg.coarse.readers import file_of, readers_in
from napari_noisyseg.coarse.starter import CENTRES, OUTLINE
from napari_noisyseg.events import Event, Finished, Started, Stepped, Warned
from napari_noisyseg.regular_file import read_bytes
from napari_noisyseg.slides import Slide
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import ImageRecord
from napari_noisyseg.store.runs import Run
from napari_noisyseg.store.spec import RunSpec, read_spec
from napari_noisyseg.whole import (
    Model,
    Plan,
    Tile,
    TileNuclei,
    Tiles,
    load_trained,
    make_plan,
    predicted,
)
from napari_noisyseg.whole.drive import Source
from napari_noisyseg.whole.model import Starter
from napari_noisyseg.whole.stitch import PLAN
from napari_noisyseg.worker.adoption.tiles import SlideTask, tasks_of

INIT = "init.safetensors"


def predict_slides(folder: Path, stopping: Callable[[], bool]) -> Iterator[Event]:
    """Predict what is missing of each image, until asked to stop; an "epoch" is a tile.

    Reads the project, where the pixels are found, and writes nowhere but in the run's folder.
    """
    run, began = Run(folder), time.time()
    spec = read_spec(run.dir)
    model = _model(run, spec.device)
    with Project.open(folder.parents[1], write=False) as project:
        tasks = [(task, *_laid_out(project, task, model)) for task in tasks_of(run)]
        count = sum(len(wanted) for _, _, wanted in tasks)
        done = sum(len(wanted & tiles.done) for _, tiles, wanted in tasks)
        first, nuclei = done, 0
        note = f"on the workers of {spec.scheduler}" if spec.scheduler else ""
        yield Started(spec.method, count, 0, spec.device, note, unit="tile")
        for task, tiles, wanted in tasks:
            due = [tiles.plan.tile(n) for n in sorted(wanted - tiles.done)]
            with closing(project.pixels(task.image)) as slide:
                for found in _source(run, spec, slide, model, tiles.plan, stopping)(due):
                    tiles.add(found)
                    nuclei += len(found)
                    done += 1
                    left = (time.time() - began) / (done - first) * (count - done)
                    yield Stepped(done - 1, done - 1, count, {}, left)
    figures = {"nuclei": float(nuclei), "tiles": float(done)}
    yield Finished(done < count, time.time() - began, figures)


def _source(
    run: Run,
    spec: RunSpec,
    slide: Slide,
    model: Model,
    plan: Plan,
    stopping: Callable[[], bool],
) -> Source:
    """What predicts tiles: this machine, or the workers that the run's spec names."""

    def here(tiles: Iterable[Tile], ending: Callable[[], bool] = stopping) -> Iterator[TileNuclei]:
        return predicted(slide, model, plan, tiles, ending)

    if spec.scheduler is None:
        return here
    # only now Dask is needed
    from napari_noisyseg.worker.cluster.address import Scheduler
    from napari_noisyseg.worker.cluster.either import there_or_here
    from napari_noisyseg.worker.cluster.parcel import Parcel, proof_of

    scheduler = Scheduler.of(spec.scheduler, spec.insecure)
    path, proof = proof_of(slide, plan.sha)
    parcel = Parcel(path, None, plan.document(), _files(run), spec.device, proof)

    def there(tiles: Iterable[Tile]) -> Iterator[TileNuclei]:
        return there_or_here(
            scheduler, parcel, tiles, here, stopping, lambda words: run.say(Warned(words))
        )

    return there


def _files(run: Run) -> dict[str, bytes]:
    """The weights in the run's folder, as workers know them."""
    from napari_noisyseg.worker.cluster.parcel import LARGEST, RUN

    names = {INIT: RUN, **{file_of(name): name for name in (CENTRES, OUTLINE)}}
    there = {file: name for file, name in names.items() if (run.dir / file).is_file()}
    return {name: read_bytes(run.dir / file, LARGEST) for file, name in there.items()}


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
    """The model in the run's folder: a run's, or the starter; with what the starter learned."""
    readers, key = readers_in(run.dir), str(run.spec().get("key", ""))
    if (run.dir / INIT).is_file():
        return load_trained(run.dir / INIT, device, readers, key)
    return Starter(readers, key)
