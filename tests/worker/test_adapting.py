"""Outlines follow a person's decisions: from the project's own nuclei, undone like any action."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage as ndi
from scipy.spatial import KDTree

from napari_noisyseg import samples
from napari_noisyseg.coarse.centres import believed, centres
from napari_noisyseg.coarse.project import labels_of, look_of
from napari_noisyseg.coarse.starter import OUTLINE, read_weights
from napari_noisyseg.slides import Box, read_labels
from napari_noisyseg.store import Project
from napari_noisyseg.store.records import Candidate, Outline
from napari_noisyseg.worker.lessons.adapting import _right, adapt

pytest.importorskip("torch")
WHOLE = Box(0, 0, 512, 512)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    samples.demo_project(tmp_path)
    with Project.open(tmp_path / "tnbc.noisyseg") as opened:
        yield opened


def settle(project: Project, number: int, change: object = None) -> list[int]:
    """Accept true outlines (changed) of the first clicked nuclei; their serials."""
    truth = read_labels(samples.FIELD_NUCLEI)
    image = project.images()[0].name
    outlines: dict[str, Outline] = {}
    serials = []
    for nucleus in project.nuclei.of(image):
        name = int(truth[int(nucleus.y), int(nucleus.x)])
        if name and len(outlines) < number:
            mask = truth == name
            outline = Outline.of(change(mask) if callable(change) else mask, WHOLE)
            assert outline is not None
            outlines[nucleus.id] = outline
            serials.append(nucleus.serial)
    project.nuclei.set_outlines(outlines, "drawn")
    project.nuclei.decide(list(outlines), "accepted")
    return serials


def larger(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Someone draws the rim with it."""
    return np.asarray(ndi.binary_dilation(mask, iterations=3))


def rest(project: Project, known: list[int]) -> float:
    """Median area of the outlines of nuclei that nobody decided on, px."""
    image = project.images()[0].name
    areas = np.bincount(labels_of(project, image, WHOLE, ("outline",)).outlines.ravel())
    areas[[0, *known]] = 0
    return float(np.median(areas[areas > 0]))


@pytest.mark.long
def test_outlines_of_the_rest_follow_and_undo_takes_it_back(project: Project) -> None:
    known = settle(project, 24, larger)
    before = rest(project, known)
    lesson = adapt(project)
    assert lesson.used
    assert lesson.nuclei == 24
    assert "outwards by" in lesson.words
    after = rest(project, known)
    assert after > 1.15 * before
    learned = project.learned.of(OUTLINE)
    assert learned is not None
    weights, about = read_weights(learned.path)
    assert about["nuclei"] == 24
    assert set(weights) >= {"head.weight", "head.bias"}
    assert project.nuclei.undo() == "learn outlines from 24 nuclei"
    assert project.learned.of(OUTLINE) is None
    assert rest(project, known) == before
    project.nuclei.redo()
    assert rest(project, known) == after
    project.learned.forget(OUTLINE)
    assert rest(project, known) == before


def test_few_decisions_wait_and_say_for_what(project: Project) -> None:
    settle(project, 3)
    lesson = adapt(project)
    assert not lesson.used
    assert "3 nuclei with a click are decided" in lesson.words
    assert project.learned.of(OUTLINE) is None


@pytest.mark.long
def test_contradictory_decisions_change_nothing(project: Project) -> None:
    turns = iter(range(1000))

    def anyhow(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        shift = 9 if next(turns) % 2 else -9
        return np.roll(mask, (shift, -shift), (0, 1))

    known = settle(project, 16, anyhow)
    before = rest(project, known)
    lesson = adapt(project)
    assert not lesson.used
    assert "decide on more" in lesson.words
    assert rest(project, known) == before


def test_damaged_weights_leave_the_starter(project: Project) -> None:
    learned = project.learned.keep(OUTLINE, b"no weights", {"nuclei": 9})
    assert look_of(project) is None
    learned.path.unlink()
    assert project.learned.of(OUTLINE) is None


def finds(project: Project) -> tuple[list[str], NDArray[np.float64], NDArray[np.float64]]:
    """What the starter finds where nobody sees a nucleus, as a run's: ids, places; the clicks."""
    record = project.images()[0]
    clicks = np.array([(n.y, n.x) for n in project.nuclei.of(record.name)])
    with project.pixels(record.name) as slide:
        found = centres(slide.read(WHOLE), record.mpp, least=0.1).points
    places = found[KDTree(clicks).query(found)[0] * record.mpp > 2]
    disk = np.hypot(*np.mgrid[-5:6, -5:6]) <= 5
    candidates = []
    for y, x in places.tolist():
        box = Box(int(y) - 5, int(x) - 5, int(y) + 6, int(x) + 6)
        outline = Outline.of(disk, box.clip((512, 512))) if box.clip((512, 512)) == box else None
        if outline is not None:
            candidates.append(Candidate("", 0, y, x, outline, 0.5, "", "r", 5.0))
    project.nuclei.adopt(record.name, "r", candidates)
    made = project.nuclei.candidates(record.name, "r")
    return [c.id for c in made], np.array([(c.y, c.x) for c in made]), clicks


def test_what_is_like_rejected_finds_is_found_no_more(project: Project) -> None:
    image, mpp = project.images()[0].name, project.images()[0].mpp
    ids, places, clicks = finds(project)
    rejected = np.arange(len(ids)) % 2 == 0
    project.nuclei.decide([ids[n] for n in np.flatnonzero(rejected)], "rejected")
    lesson = adapt(project)
    assert lesson.used
    assert lesson.rejected == rejected.sum()
    assert "that you rejected" in lesson.words
    with project.pixels(image) as slide:
        rgb = slide.read(WHOLE)
    every = centres(rgb, mpp, least=0.1)
    left = believed(every, rgb, mpp, look_of(project)).points

    def share(of: NDArray[np.float64], found: NDArray[np.float64]) -> float:
        return float((KDTree(found).query(of)[0] * mpp <= 2).mean())

    assert share(places[~rejected], every.points) == 1
    assert share(places[~rejected], left) < 0.6
    assert share(clicks, left) > share(clicks, every.points) - 0.12
    project.nuclei.undo()
    assert look_of(project) is None


def test_a_rejected_click_teaches_nothing(project: Project) -> None:
    image = project.images()[0].name
    project.nuclei.decide([n.id for n in project.nuclei.of(image)[:20]], "rejected")
    lesson = adapt(project)
    assert (lesson.used, lesson.rejected) == (False, 0)


def test_the_share_of_finds_that_are_right_is_that_of_the_open_ones(project: Project) -> None:
    image = project.images()[0].name
    assert _right(project) == 0.5
    ids, _, _ = finds(project)  # each with a confidence of 0.5
    found = project.nuclei.candidates(image, "r")
    surer = [replace(c, score=0.9 if n % 2 else 0.7) for n, c in enumerate(found)]
    project.nuclei.adopt(image, "r2", surer)
    project.nuclei.decide([c.id for c in surer if c.score == 0.7], "rejected")
    assert _right(project) == pytest.approx(0.9)
    assert len(ids) > 10


def test_few_rejected_finds_are_waited_for(project: Project) -> None:
    ids, _, _ = finds(project)
    project.nuclei.decide(ids[:5], "rejected")
    lesson = adapt(project)
    assert not lesson.used
    assert "outlines learn from 8" in lesson.words
