"""The rest of the nuclei, proposed: to keep or to drop, one by one.

They are learned from those that were clicked, or, before any click, found by the starter.

A suggestion marks nothing. What a person keeps is a point like any other; what a person drops is
remembered and never proposed again. Both are actions: on the disk at once, undone like any other.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from napari_noisyseg.coarse.appearance import MPP
from napari_noisyseg.coarse.centres import LEAST as LEAST_SCORE
from napari_noisyseg.coarse.centres import believed, centres
from napari_noisyseg.coarse.project import centres_of, look_of, regions
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.instances.suggest import FEWEST, LEAST, suggest
from napari_noisyseg.slides import Box
from napari_noisyseg.store.points import SUGGESTED
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import Field, Nucleus

HERE_PX = 6.0
"""Px of 0.25 µm within which a place is that of a nucleus that is marked or dropped already."""
TAKEN_PX = 8.0
"""The same for what the starter finds, which goes by the middle and not by the click."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A place (y, x) in level-0 px that may be a nucleus; score 0..1, higher is surer."""

    image: str
    y: float
    x: float
    score: float


def suggestions(project: Project, image: str, least: float = LEAST) -> list[Suggestion]:
    """Nuclei of one image that may still bear no point, the surest first.

    Learned from the points of the same region; where a run has a probability map, from that too.
    Where there are too few points, from what the starter has seen elsewhere (`least` has no say).
    Errors: `NoisySegError` when a large image has no field, or cannot be read, and with too few
    points where the starter cannot judge.
    """
    boxes = regions(project, image)
    if not boxes:
        raise NoisySegError(
            f"{image} is large: draw a field where nuclei are to be suggested (Annotate ▸ field)"
        )
    found: list[Suggestion] = []
    doubts: list[str] = []
    for box in boxes:
        if len(_marked(project, image, box)) >= FEWEST:
            found += _in_box(project, image, box, least)
            continue
        # read outside of `try`: more clicks do not help where a slide cannot be read
        rgb = _read(project, image, box)
        try:
            found += _unclicked(project, image, box, rgb)
        except NoisySegError as error:
            doubts.append(str(error))
    if len(doubts) == len(boxes):
        raise NoisySegError(
            f"{image}: {doubts[0]}: click at least {FEWEST} nuclei in one field, better a few "
            "dozen of every kind; the rest is learned from them"
        )
    return sorted(_once(found, project.image(image).mpp), key=lambda s: -s.score)


def keep(project: Project, chosen: Sequence[Suggestion], class_name: str | None = None) -> int:
    """Make points of suggestions, as one action; how many. Those marked meanwhile are left out."""
    still = _open(project, chosen)
    with _at_once(project, still, "keep"):
        for image, some in _by_image(still).items():
            places = [(s.y, s.x) for s in some]
            project.nuclei.add_many(image, places, [class_name] * len(some), origin=SUGGESTED)
    return len(still)


def drop(project: Project, chosen: Sequence[Suggestion]) -> None:
    """Remember, as one action, that these are no nuclei."""
    still = _open(project, chosen)
    with _at_once(project, still, "drop"):
        for image, some in _by_image(still).items():
            project.nuclei.drop(image, [(s.y, s.x) for s in some])


def _at_once(
    project: Project, some: Sequence[Suggestion], verb: str
) -> contextlib.AbstractContextManager[None]:
    """One action, whose words are those of the images' own where there is but one."""
    if len({s.image for s in some}) < 2:
        return contextlib.nullcontext()
    return project.nuclei.together(f"{verb} {len(some)} suggestions")


def pending(project: Project, found: Sequence[Suggestion]) -> list[Suggestion]:
    """Those that nobody has kept or dropped, or marked by a click, since they were found."""
    return _open(project, found)


def promised(project: Project, found: Sequence[Suggestion]) -> int:
    """How many lie in fields declared complete, where what is unmarked counts as background."""
    fields: dict[str, list[Field]] = {s.image: project.nuclei.fields(s.image) for s in found}
    return sum(any(f.complete and f.box.contains(s.y, s.x) for f in fields[s.image]) for s in found)


def _read(project: Project, image: str, box: Box) -> NDArray[np.uint8]:
    with project.pixels(image) as slide:
        return slide.read(box)


def _in_box(project: Project, image: str, box: Box, least: float) -> list[Suggestion]:
    record, corner = project.image(image), np.array(box.origin)
    rgb = _read(project, image, box)
    clicked = _places(_marked(project, image, box)) - corner
    dropped = np.concatenate([project.nuclei.dropped(image), _refused(project, image)]) - corner
    map_ = _probability(project, image, box)
    found = suggest(
        rgb, clicked, record.mpp, dropped, map_, least, centres_of(project), look_of(project)
    )
    return [
        Suggestion(image, float(y + box.y0), float(x + box.x0), float(score))
        for (y, x), score in zip(found.points, found.scores, strict=True)
    ]


def _unclicked(project: Project, image: str, box: Box, rgb: NDArray[np.uint8]) -> list[Suggestion]:
    """Where the starter alone expects nuclei in a box, but for those marked or dropped already."""
    mpp = project.image(image).mpp
    near = TAKEN_PX * MPP / mpp
    found = believed(centres(rgb, mpp, network=centres_of(project)), rgb, mpp, look_of(project))
    marked = _places(_marked(project, image, box.grow(math.ceil(near))))
    taken = np.concatenate([marked, project.nuclei.dropped(image), _refused(project, image)])
    places = found.points + box.origin
    away = np.asarray(KDTree(taken).query(places)[0] if len(taken) else [np.inf] * len(places))
    return [
        Suggestion(image, float(y), float(x), float(score))
        for (y, x), score, far in zip(places, found.scores, away > near, strict=True)
        if far and score >= LEAST_SCORE
    ]


def _marked(project: Project, image: str, box: Box) -> list[Nucleus]:
    return [n for n in project.nuclei.of(image, box) if n.state != "rejected"]


def _refused(project: Project, image: str) -> NDArray[np.float64]:
    """Nuclei, marked or found by a run, that a person rejected."""
    every = project.nuclei.of(image, every=True)
    return _places([n for n in every if n.state == "rejected"])


def _places(nuclei: Sequence[Nucleus]) -> NDArray[np.float64]:
    return np.array([(n.y, n.x) for n in nuclei], np.float64).reshape(-1, 2)


def _probability(project: Project, image: str, box: Box) -> NDArray[Any] | None:
    """The newest run's probability in a box, where a run was adopted for all of it."""
    if "probability" not in project.labels.kinds(image):
        return None
    map_ = np.asarray(project.labels.read(image, "probability", box), np.float32)
    return map_ if map_.any() else None


def _once(found: Sequence[Suggestion], mpp: float) -> list[Suggestion]:
    """Where two regions overlap, a nucleus is suggested once."""
    kept: list[Suggestion] = []
    near = HERE_PX * 0.25 / mpp
    for one in sorted(found, key=lambda s: -s.score):
        if all((one.y - k.y) ** 2 + (one.x - k.x) ** 2 > near**2 for k in kept):
            kept.append(one)
    return kept


def _open(project: Project, found: Sequence[Suggestion]) -> list[Suggestion]:
    taken: dict[str, NDArray[np.float64]] = {}
    for image in {s.image for s in found}:
        settled = _places(project.nuclei.of(image, every=True))
        taken[image] = np.concatenate([settled, project.nuclei.dropped(image)])
    near = {image: HERE_PX * 0.25 / project.image(image).mpp for image in taken}
    return [
        s for s in found if not (np.hypot(*(taken[s.image] - (s.y, s.x)).T) <= near[s.image]).any()
    ]


def _by_image(found: Sequence[Suggestion]) -> dict[str, list[Suggestion]]:
    grouped: dict[str, list[Suggestion]] = {}
    for one in found:
        grouped.setdefault(one.image, []).append(one)
    return grouped
