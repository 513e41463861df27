"""Coarse labels of every image kept up to date in the project, region by region, out of the way."""

from __future__ import annotations

from functools import partial

from napari_noisyseg.coarse import CoarseLabels
from napari_noisyseg.coarse.project import KINDS, look_of, points_in, regions
from napari_noisyseg.gui.change import What
from napari_noisyseg.gui.session import Session
from napari_noisyseg.slides import Box
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import Aspect

SHAPING = Aspect.POINTS | Aspect.FIELDS | Aspect.IMAGES | Aspect.DECISIONS | Aspect.LEARNED
"""what coarse labels are made from"""


class Deriver:
    """`run` writes what is not up to date; `left` counts the regions still to do."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._waiting: list[tuple[str, Box]] = []
        self._project: Project | None = None
        self._failed_at = -1

    @property
    def left(self) -> int:
        """Regions still to do, the one at work included."""
        return len(self._waiting)

    def up_to_date(self, image: str) -> bool:
        """Whether the project holds labels of an image's points and fields of now."""
        project = self.session.project
        if project is None:
            return False
        held = [kind for kind in KINDS if kind in project.labels.kinds(image)]
        last = project.nuclei.version(image, SHAPING)
        sources = [project.labels.source(image, kind) for kind in held]
        fit = project.labels.fit(image)
        # labels that the command line derived do not say which fit they rest on
        fitted = all(s.get("fit", fit) == fit for s in sources)
        return (
            len(held) == len(KINDS)
            and fitted
            and all(s.get("annotation_version", -1) >= last for s in sources)
        )

    def run(self) -> None:
        """Derive every image with fields and nuclei, clicked or found, that is not up to date."""
        project = self.session.project
        if project is None or not project.writable or self._waiting:
            return
        if self._failed_at == project.nuclei.version():
            return  # what failed would fail again; the next action tries again
        self._project = project
        self._waiting = [
            (record.name, box)
            for record in project.images()
            if project.nuclei.fields(record.name)
            and project.nuclei.counts(record.name).nuclei
            and not self.up_to_date(record.name)
            for box in regions(project, record.name)
        ]
        self._next()

    def _next(self) -> None:
        project = self._project
        if project is None or self.session.project is not project or not self._waiting:
            self._waiting, self._project = [], None
            return
        image, box = self._waiting[0]
        work = partial(_derive, project, image, box, project.nuclei.version())
        done, failed = partial(self._written, project, image), partial(self._failed, project)
        self.session.submit(work, done, failed)

    def _failed(self, project: Project, error: BaseException) -> None:
        self._waiting, self._project = [], None
        if self.session.project is project:
            self._failed_at = project.nuclei.version()
            self.session.failed(error)

    def _written(self, project: Project, image: str, _: None) -> None:
        if self._waiting:
            self._waiting.pop(0)
        self.session.tell(What.LABELS, image)
        self._next()


def _derive(project: Project, image: str, box: Box, version: int) -> None:
    """Make and write the labels of one region.

    `version` was asked for before: a click that comes meanwhile makes the labels old, not lost.
    """
    record, fit = project.image(image), project.labels.fit(image)
    points, known = points_in(project, image, box), project.nuclei.known(image, box)
    with project.pixels(image) as slide:
        rgb = slide.read(box)
    labels = CoarseLabels(rgb, points, known, record.mpp, fit=fit, look=look_of(project))
    arrays = {kind: getattr(labels, kind) for kind in KINDS}
    fit = labels.fit or fit
    source = {"derived_from": "points", "annotation_version": version, "fit": fit}
    for kind, array in arrays.items():
        project.labels.write_box(image, kind, box, array, source)
    if labels.fit:
        project.labels.set_fit(image, labels.fit)
