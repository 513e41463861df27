"""Writes the coarse labels of every image to the project, region by region, out of the way."""

from __future__ import annotations

from typing import Any

from napari_noisyseg.coarse import CoarseLabels
from napari_noisyseg.coarse.project import KINDS, points_in, regions
from napari_noisyseg.gui.session import Session
from napari_noisyseg.slides import Box
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import Aspect

SHAPING = Aspect.POINTS | Aspect.FIELDS | Aspect.IMAGES | Aspect.DECISIONS
"""what coarse labels are made from"""


class Deriver:
    """`run` starts; `left` counts the regions still to do; `up_to_date` asks the project."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._waiting: list[tuple[str, Box]] = []
        self._project: Project | None = None

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
            bool(held) and fitted and all(s.get("annotation_version", -1) >= last for s in sources)
        )

    def run(self) -> None:
        """Derive every image that has points in a field and is not up to date."""
        project = self.session.project
        if project is None or self._waiting:
            return
        self._project = project
        self._waiting = [
            (record.name, box)
            for record in project.images()
            if not self.up_to_date(record.name) and project.nuclei.fields(record.name)
            for box in regions(project, record.name)
        ]
        self._next()

    def _next(self) -> None:
        project = self._project
        if project is None or self.session.project is not project or not self._waiting:
            self._waiting, self._project = [], None
            return
        image, box = self._waiting[0]
        record, fit = project.image(image), project.labels.fit(image)
        points, known = points_in(project, image, box), project.nuclei.known(image, box)
        slide, version = project.pixels(image), project.nuclei.version()

        def work() -> dict[str, Any]:
            with slide:
                rgb = slide.read(box)
            labels = CoarseLabels(rgb, points, known, record.mpp, fit=fit)
            return {**{kind: getattr(labels, kind) for kind in KINDS}, "fit": labels.fit}

        self.session.submit(work, lambda made: self._write(image, box, made, version))

    def _write(self, image: str, box: Box, made: dict[str, Any], version: int) -> None:
        project = self._project
        if project is None or self.session.project is not project:
            self._waiting, self._project = [], None
            return
        with self.session.guard():
            fit = made["fit"] or project.labels.fit(image)
            source = {"derived_from": "points", "annotation_version": version, "fit": fit}
            for kind in KINDS:
                project.labels.write_box(image, kind, box, made[kind], source)
            if made["fit"]:
                project.labels.set_fit(image, made["fit"])
        self._waiting.pop(0)
        for kind in KINDS:
            self.session.labels_changed.emit(image, kind)
        self._next()
