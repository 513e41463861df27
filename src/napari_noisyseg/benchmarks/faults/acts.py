"""A seeded script of acts on a project, and what the project then holds, as one word."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.measure import regionprops

from napari_noisyseg import samples
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box, open_image, read_labels
from napari_noisyseg.store import Project, pyramid
from napari_noisyseg.store.durable import make_inside, write_atomically, writing
from napari_noisyseg.store.records import STATES
from napari_noisyseg.worker.adoption.adopt import REFINED, adopt_finished

SIDE = 96
IMAGE = "tissue"
WHOLE = Box(0, 0, SIDE, SIDE)


def begin(path: Path) -> None:
    """A project of a crop of real tissue with some of its nuclei clicked."""
    with Project.create(path) as project:
        project.add_array(_tissue(0), IMAGE, samples.FIELD_MPP)
        project.nuclei.add_many(IMAGE, [(12.0, 20.0), (40.0, 44.0), (70.0, 30.0)])


def _tissue(corner: int) -> NDArray[np.uint8]:
    box = Box(corner, corner, corner + SIDE, corner + SIDE)
    with open_image(samples.FIELD) as slide:
        return slide.read(box)


class Script:
    """Acts on a project, the same for the same seed; `step` returns once the act is confirmed."""

    def __init__(self, path: Path, seed: int) -> None:
        self.project, self._seed = Project.open(path), seed
        self._acts: tuple[Callable[[np.random.Generator], object], ...] = (
            self._click, self._click, self._paint, self._paint, self._move, self._decide,
            self._draw, self._undo, self._redo, self._field, self._train, self._derive,
            self._open_again, self._name, self._image, self._learn, self._restore, self._remove,
            self._scale,
        )  # fmt: skip

    def step(self, number: int) -> None:
        """Do the act of this number."""
        random = np.random.default_rng((self._seed, number))
        # every kind comes, in another order for each seed
        order = np.random.default_rng(self._seed).permutation(len(self._acts))
        self._acts[order[number % len(order)]](random)

    def close(self) -> None:
        """Close the project."""
        self.project.close()

    def _ids(self) -> list[str]:
        nuclei = self.project.nuclei.of(IMAGE)
        return [n.id for n in sorted(nuclei, key=lambda n: n.serial)]

    def _one(self, random: np.random.Generator) -> list[str]:
        ids = self._ids()
        return [ids[int(random.integers(len(ids)))]] if ids else []

    def _click(self, random: np.random.Generator) -> None:
        self.project.nuclei.add_many(IMAGE, random.uniform(0, SIDE - 1, (3, 2)))

    def _paint(self, random: np.random.Generator) -> None:
        y, x = (int(v) for v in random.integers(0, SIDE - 20, 2))
        box = Box(y, x, y + 20, x + 20)
        before = self.project.nuclei.painted(IMAGE, box=box)
        after = np.where(random.random((20, 20)) < 0.5, int(random.integers(1, 9)), before)
        self.project.nuclei.paint(IMAGE, box, before, after.astype(np.int32))
        if random.random() < 0.5:
            self.project.flush()

    def _move(self, random: np.random.Generator) -> None:
        for id in self._one(random):
            self.project.nuclei.move(id, *random.uniform(0, SIDE - 1, 2))

    def _remove(self, random: np.random.Generator) -> None:
        if ids := self._one(random):
            self.project.nuclei.remove(ids)

    def _decide(self, random: np.random.Generator) -> None:
        found = sorted(c.serial for c in self.project.nuclei.judged(IMAGE))
        ids = {c.serial: c.id for c in self.project.nuclei.judged(IMAGE)}
        if found:
            state = STATES[int(random.integers(len(STATES)))]
            self.project.nuclei.decide([ids[found[int(random.integers(len(found)))]]], state)

    def _draw(self, random: np.random.Generator) -> None:
        for id in self._one(random):
            y, x = (int(v) for v in random.integers(0, SIDE - 10, 2))
            mask = np.ones((8, 9), bool)
            self.project.nuclei.set_outline(id, Box(y, x, y + 8, x + 9), mask, "drawn")

    def _undo(self, random: np.random.Generator) -> None:
        done = [e.words for e in self.project.nuclei.history() if e.state == "done"]
        # the script needs its image
        if done and done[0] != f"add the image {IMAGE}":
            self.project.nuclei.undo()

    def _redo(self, random: np.random.Generator) -> None:
        self.project.nuclei.redo()

    def _field(self, random: np.random.Generator) -> None:
        y, x = (int(v) for v in random.integers(0, SIDE // 2, 2))
        self.project.nuclei.add_field(IMAGE, Box(y, x, y + 40, x + 40), bool(random.random() < 0.5))

    def _name(self, random: np.random.Generator) -> None:
        self.project.nuclei.set_class(self._one(random), f"class {int(random.integers(3))}")

    def _derive(self, random: np.random.Generator) -> None:
        labels = random.integers(0, 3, (SIDE, SIDE)).astype(np.uint8)
        self.project.labels.write(IMAGE, "voronoi", labels, {"from": "points"})

    def _image(self, random: np.random.Generator) -> None:
        number = len(self.project.images())
        self.project.add_array(_tissue(100 + 20 * number), f"image {number}", 0.25)

    def _scale(self, random: np.random.Generator) -> None:
        self.project.set_mpp(IMAGE, float(random.choice([0.25, 0.3, 0.5])))

    def _learn(self, random: np.random.Generator) -> None:
        self.project.learned.keep("outline", random.bytes(2000), {"nuclei": 9})

    def _open_again(self, random: np.random.Generator) -> None:
        path = self.project.path
        self.project.close()
        self.project = Project.open(path)

    def _restore(self, random: np.random.Generator) -> None:
        path = self.project.path
        self.project.close()
        Project.restore(path)
        self.project = Project.open(path)
        # runs that the backup does not know are taken in again, as a window does
        adopt_finished(self.project)

    def _train(self, random: np.random.Generator) -> None:
        """A run as its child leaves it, taken in."""
        labels = np.asarray(read_labels(samples.FIELD_NUCLEI), np.int32)[WHOLE.slices]
        shifted = np.roll(labels, tuple(int(v) for v in random.integers(-2, 3, 2)), (0, 1))
        known = {n.serial for n in self.project.nuclei.of(IMAGE, every=True)}
        shifted = np.where(shifted > 0, shifted + max(known, default=0), 0).astype(np.int32)
        rows = [
            {"label": p.label, "serial": 0, "y": p.centroid[0], "x": p.centroid[1], "score": 0.5,
             "reason": "small", "area_um2": float(p.area)}
            for p in regionprops(shifted)
        ]  # fmt: skip
        with self.project.runs.making() as run:
            run.write_spec({"method": "scnet"})
        entry = {"file": "0.npz", "image": IMAGE, "box": list(WHOLE), "candidates": rows}
        with pyramid.told("the run broke"):
            make_inside(run.dir / "results")
            with writing(run.dir / "results" / "0.npz") as file:
                np.savez(file, labels=shifted, probability=(shifted > 0).astype(np.float16))
            write_atomically(run.dir / "results" / "index.json", json.dumps({"regions": [entry]}))
        adopt_finished(self.project)


def state(project: Project) -> str:
    """All that people did, and what was confirmed beside it, as one word."""
    nuclei = project.nuclei
    said: dict[str, Any] = {
        "classes": [(c.name, c.color) for c in nuclei.classes()],
        "history": [(e.words, e.state) for e in nuclei.history(10_000)],
        "learned": (found := project.learned.of("outline")) and _hash(found.path.read_bytes()),
    }
    for record in project.images():
        name, box = record.name, Box(0, 0, record.height, record.width)
        with project.pixels(name) as slide:
            pixels = _hash(slide.read(box).tobytes())
        derived = project.labels.read(name, "voronoi")
        said[name] = [
            pixels,
            (record.mpp, record.mpp_assumed),
            sorted((n.serial, n.y, n.x, n.class_name, n.state, n.frozen)
                   for n in nuclei.of(name, every=True)),
            sorted((*f.box, f.complete) for f in nuclei.fields(name)),
            sorted((n.serial, *o.box, _hash(o.mask.tobytes()))
                   for n, o in nuclei.outlines(name, STATES)),
            {p: _hash(nuclei.painted(name, p).tobytes()) for p in nuclei.planes(name)},
            sorted((c.serial, *c.outline.box, c.score, c.state) for c in nuclei.candidates(name)),
            "" if derived is None else _hash(derived.tobytes()),
        ]  # fmt: skip
    return _hash(json.dumps(said, sort_keys=True, default=str).encode())


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def disagreements(path: Path) -> list[str]:
    """What does not agree in a project: caches and strokes, undo and redo, readers, results."""
    found = []
    with Project.open(path) as project:
        before = state(project)
        project.rebuild()
        if state(project) != before:
            found.append("painted caches differ from their strokes")
        if project.nuclei.undo() is not None:
            project.nuclei.redo()
            if state(project) != before:
                found.append("undo and redo do not lead back")
        found += [text for r in project.images() if (text := _results(project, r.name))]
        with Project.open(path, write=False) as reader:
            if state(reader) != before:
                found.append("a reader sees something else")
    left = [p for p in path.rglob(".*") if ".new-" in p.name or ".old-" in p.name]
    return found + [f"{p} is left" for p in left]


def _results(project: Project, image: str) -> str:
    """What is wrong with the adopted results of an image; "" where nothing is."""
    if project.nuclei.adopted_run(image) is None:
        return ""
    try:
        labels = project.labels.read(image, REFINED)
    except NoisySegError as error:
        return str(error)
    if labels is None:
        return "nuclei were adopted without their labels"
    known = {c.serial for c in project.nuclei.candidates(image)}
    known |= {n.serial for n in project.nuclei.of(image, every=True)}
    # as all who read them see them: a removed nucleus stays in the stored ones, for undo
    seen = project.nuclei.settled(image, Box(0, 0, *labels.shape), np.asarray(labels, np.int32))
    return "" if set(np.unique(seen).tolist()) - {0} <= known else "labels of no nucleus"
