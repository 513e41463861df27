"""The outlines at clicks as nuclei to be judged, before any training and after each lesson.

They come into the project as a run's results do, under a name that no run has: who accepts or
redraws them teaches the outlines of the rest (`adapting`), which then come in again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from napari_noisyseg import stains
from napari_noisyseg.coarse.project import clicked, labels_of, regions
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import Aspect, Nucleus
from napari_noisyseg.training.refine import Evidence, judge
from napari_noisyseg.worker.adoption.adopt import REFINED, adopt_results
from napari_noisyseg.worker.adoption.found import CLICKS, Result, rows_of

SHAPING = Aspect.POINTS | Aspect.FIELDS | Aspect.IMAGES | Aspect.LEARNED


def offer(
    project: Project,
    images: Iterable[str] | None = None,
    tell: Callable[[str], object] | None = None,
) -> list[str]:
    """Let the outlines at clicks be judged in images where no run's nuclei are; their names.

    Needs the project's lock. What is up to date, and what a person settled, stays as it is. An
    image that cannot be read (a slide that was moved) is passed over where `tell` hears why;
    without it NoisySegError is raised.
    """
    names = [record.name for record in project.images()] if images is None else list(images)
    done = []
    for name in names:
        try:
            if is_due(project, name):
                _offer(project, name)
                done.append(name)
        except NoisySegError as error:
            if tell is None:
                raise
            tell(f"the outlines at the clicks in {name} cannot be reviewed: {error}")
    return done


def _offer(project: Project, name: str) -> None:
    version = project.nuclei.version()
    again = project.nuclei.adopted_run(name) is not None
    results = [
        _result(project, name, box, nuclei) if nuclei else _nothing(name, box)
        for box, nuclei in clicked(project, name)
        # where clicks were taken away, what was drawn for them goes as well
        if nuclei or again
    ]
    source = {"run": CLICKS, "method": "outline", "annotation_version": version}
    adopt_results(project, CLICKS, name, results, source)


def is_due(project: Project, image: str) -> bool:
    """Whether `offer` would bring anything: clicks, no run's nuclei, and news since the last."""
    run = project.nuclei.adopted_run(image)
    if run is None:
        return any(nuclei for _, nuclei in clicked(project, image))
    if run != CLICKS:
        return False
    made = project.labels.source(image, REFINED).get("annotation_version")
    # a stranger's word on it may be of any type
    if type(made) is not int:
        made = -1
    if made >= project.nuclei.version(image, SHAPING):
        return False
    # without a region nothing can say when it was made: due while there is something to take away
    return bool(regions(project, image)) or any(
        c.run for c in project.nuclei.candidates(image, CLICKS)
    )


def _nothing(image: str, box: Box) -> Result:
    """A region in which nobody clicked."""
    return Result(image, box, np.zeros(box.shape, np.int32), {}, rows_of([]))


def _result(project: Project, image: str, box: Box, nuclei: list[Nucleus]) -> Result:
    """One region's outlines as a run would have found them, each with confidence and reason."""
    mpp = project.image(image).mpp
    made = labels_of(project, image, box, ("outline",))
    serials = [n.serial for n in nuclei]
    labels = np.where(np.isin(made.outlines, serials), made.outlines, 0).astype(np.int32)
    probability = made.probability
    density = stains.densities(made.rgb, stains.FIXED)[0].astype(np.float32)
    seen = Evidence(probability, np.zeros_like(probability), density, made.rgb, mpp)
    clicks = {n.serial: n for n in nuclei}
    rows = [
        {
            "label": found.label, "serial": found.label, "area_um2": found.area_um2,
            "y": clicks[found.label].y - box.y0, "x": clicks[found.label].x - box.x0,
            "score": found.score, "reason": found.reason,
        }
        for found in judge(seen, labels, serials, made.certainty())
    ]  # fmt: skip
    # no map: far from clicks it would say that there is nothing
    return Result(image, box, labels, {}, rows_of(rows))
