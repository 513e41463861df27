"""What the walk happens on: a project of three images, strangers, and runs that have finished."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.measure import regionprops

from napari_noisyseg import samples
from napari_noisyseg.exchange.labels import write_labels
from napari_noisyseg.instances import middles
from napari_noisyseg.slides import Box, open_image, read_labels
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.runs import Run
from napari_noisyseg.worker.adoption.adopt import adopt_finished

CLICKED = 25
"""points that the first image begins with"""
NEW = 100_000
"""from here on labels of a run stand for nuclei without a point"""
Random = np.random.Generator
Labels = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Tissue:
    """A file of tissue with its nuclei; `truth` None where nobody knows them."""

    path: Path
    mpp: float
    truth: Path | None = None


@dataclass
class Scene:
    """The project's folder, files to be added, a file to be opened in napari, and the truth."""

    project: Path
    others: list[Path]
    strangers: list[Path]
    truth: dict[str, Labels] = field(default_factory=dict)


def build(folder: Path, data: Path | None) -> Scene:
    """A project of three images of different size and resolution, some of it annotated.

    With `data` they are of that folder of real tissue, else crops of the bundled field.
    """
    inside, others, strangers = _bundled(folder) if data is None else _of(data)
    scene = Scene(folder / "walk.noisyseg", others, strangers)
    with Project.create(scene.project) as project:
        for tissue in inside:
            name = project.add_image(tissue.path, mpp=tissue.mpp).name
            if tissue.truth is not None:
                scene.truth[name] = np.asarray(read_labels(tissue.truth), np.int32)
        _annotate(project, scene)
        finish_run(project, scene, np.random.default_rng(0))
        adopt_finished(project)
    return scene


def _of(data: Path) -> tuple[list[Tissue], list[Path], list[Path]]:
    monuseg = sorted((data / "monuseg" / "images").glob("*.png"))[0]
    tnbc = sorted((data / "tnbc" / "images").glob("*.png"))[0]
    hist = sorted((data / "dsb2018" / "hist" / "images").glob("*.png"))[0]
    inside = [Tissue(monuseg, 0.25, _masks(monuseg)), Tissue(tnbc, 0.23, _masks(tnbc))]
    more = sorted((data / "cpm15" / "images").glob("*.png"))
    return [*inside, Tissue(hist, 0.5, _masks(hist))], more[:2], more[2:4]


def _masks(image: Path) -> Path | None:
    found = image.parent.parent / "labels" / f"{image.stem}.tif"
    return found if found.exists() else None


def _bundled(folder: Path) -> tuple[list[Tissue], list[Path], list[Path]]:
    with open_image(samples.FIELD) as slide:
        rgb = slide.read(Box(0, 0, *slide.shape))
    truth = np.asarray(read_labels(samples.FIELD_NUCLEI), np.int32)
    made = [Tissue(samples.FIELD, samples.FIELD_MPP, samples.FIELD_NUCLEI)]
    cuts = (("wide", 0.4, Box(40, 0, 340, 420)), ("small", 0.5, Box(200, 250, 400, 400)))
    for name, mpp, box in cuts:
        masks = folder / f"{name}-nuclei.tif"
        write_labels(masks, truth[box.slices], mpp)
        made.append(Tissue(_saved(folder / f"{name}.png", rgb[box.slices]), mpp, masks))
    more = _saved(folder / "more.png", np.rot90(rgb[:180, :300]))
    return made, [more], [_saved(folder / "stranger.png", np.rot90(rgb[256:, :256]))]


def _saved(path: Path, rgb: NDArray[np.uint8]) -> Path:
    Image.fromarray(np.ascontiguousarray(rgb)).save(path)
    return path


def _annotate(project: Project, scene: Scene) -> None:
    """The first image has points and a field, the second a few points."""
    first, second = [record.name for record in project.images()][:2]
    for name, count in ((first, CLICKED), (second, 5)):
        labels = scene.truth.get(name)
        if labels is not None:
            places = middles(labels, int(labels.max()))
            places = places[np.isfinite(places).all(axis=1)]
            project.nuclei.add_many(name, places[:: max(1, len(places) // count)][:count])
    height, width = scene.truth[first].shape
    project.nuclei.add_field(first, Box(0, 0, height // 2, width // 2))


# --- runs that have finished ---------------------------------------------------------------------


def finish_run(project: Project, scene: Scene, random: Random) -> Run | None:
    """A run's folder as a child leaves it: the true nuclei, some moved, some missing."""
    names = [r.name for r in project.images() if r.name in scene.truth]
    chosen = [name for name in names if random.random() < 0.7] or names[:1]
    if not chosen:
        return None
    run = project.runs.new()
    run.write_spec({"method": "scnet"})
    folder = run.dir / "results"
    folder.mkdir()
    entries = [_write(folder, project, name, scene.truth[name], random) for name in chosen]
    (folder / "index.json").write_text(json.dumps({"regions": entries}), "utf-8")
    return run


def _write(
    folder: Path, project: Project, name: str, truth: Labels, random: Random
) -> dict[str, Any]:
    record = project.image(name)
    labels = _numbered(project, name, _moved(truth, random))
    maps = {"probability": (labels > 0).astype(np.float16)}
    maps["uncertainty"] = random.random(labels.shape).astype(np.float16)
    np.savez(folder / f"{name}.npz", labels=labels, **maps)  # type: ignore[arg-type]
    box = Box(0, 0, record.height, record.width)
    rows = [_row(one, record.mpp, random) for one in regionprops(labels)]
    return {"file": f"{name}.npz", "image": name, "box": list(box), "candidates": rows}


def _moved(truth: Labels, random: Random) -> Labels:
    dy, dx = (int(v) for v in random.integers(-3, 4, 2))
    moved = np.roll(truth, (dy, dx), (0, 1))
    lost = random.random(int(truth.max()) + 1) < 0.2
    lost[0] = True
    return np.where(lost[moved], 0, moved).astype(np.int32)


def _numbered(project: Project, name: str, labels: Labels) -> Labels:
    """Nuclei with a point in them carry its serial, the others large numbers."""
    table = np.arange(int(labels.max()) + 1) + NEW
    table[0] = 0
    height, width = labels.shape
    for nucleus in project.nuclei.of(name, every=True):
        y, x = (int(v + 0.5) for v in (nucleus.y, nucleus.x))
        value = labels[min(y, height - 1), min(x, width - 1)]
        if value and table[value] >= NEW:
            table[value] = nucleus.serial
    return table[labels].astype(np.int32)


def _row(one: Any, mpp: float, random: Random) -> dict[str, Any]:
    return {
        "label": int(one.label), "serial": 0 if one.label >= NEW else int(one.label),
        "y": float(one.centroid[0]), "x": float(one.centroid[1]),
        "score": float(random.uniform(0.3, 1)), "reason": "the edge is faint",
        "area_um2": float(one.area * mpp**2),
    }  # fmt: skip
