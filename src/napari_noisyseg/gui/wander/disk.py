"""What the project holds, read by a second pair of eyes that knows nothing of the window."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_noisyseg.coarse import CoarseLabels
from napari_noisyseg.coarse.project import look_of
from napari_noisyseg.slides import Box
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import (
    Aspect,
    Candidate,
    Field,
    ImageRecord,
    JournalEntry,
    Nucleus,
)

SHAPING = Aspect.POINTS | Aspect.FIELDS | Aspect.IMAGES | Aspect.DECISIONS | Aspect.LEARNED
Read = Callable[[], Any]


class Disk:
    """The project opened a second time, for reading; what is large is read once a version."""

    def __init__(self, path: Path) -> None:
        self.project = Project.open(path, write=False)
        self._known: dict[tuple[str, str], tuple[Any, Any]] = {}

    def close(self) -> None:
        """Let go."""
        self.project.close()

    def version(self) -> int:
        """That of the whole project."""
        return self.project.nuclei.version()

    def since(self, version: int) -> list[JournalEntry]:
        """What was stored after a version."""
        return self.project.nuclei.journal(version)

    def images(self) -> dict[str, ImageRecord]:
        """The project's images by name, in their order."""
        return {record.name: record for record in self.project.images()}

    def nuclei(self, image: str) -> dict[int, Nucleus]:
        """By serial."""
        read = self.project.nuclei.of
        found: dict[int, Nucleus] = self._kept(
            image, "nuclei", Aspect.NOTHING, lambda: {n.serial: n for n in read(image)}
        )
        return found

    def fields(self, image: str) -> list[Field]:
        """In the order in which they were drawn."""
        read = self.project.nuclei.fields
        found: list[Field] = self._kept(image, "fields", Aspect.NOTHING, lambda: read(image))
        return found

    def painted(self, image: str, box: Box) -> NDArray[np.int32]:
        """The rough mask in a box."""
        read = self.project.nuclei.painted
        found: NDArray[np.int32] = self._kept(
            image, f"painted {tuple(box)}", Aspect.NOTHING, lambda: read(image, "rough", box)
        )
        return found

    def refined(self, image: str) -> NDArray[np.int32] | None:
        """A run's nuclei as a person has left them; None where no run was adopted."""

        def read() -> NDArray[np.int32] | None:
            if self.project.nuclei.adopted_run(image) is None:
                return None
            stored = self.project.labels.read(image, "refined")
            if stored is None:
                return None
            return self.project.nuclei.settled(image, Box(0, 0, *stored.shape), stored)

        return self._kept(image, "refined", Aspect.NOTHING, read)  # type: ignore[no-any-return]

    def judged(self, image: str) -> dict[str, Candidate]:
        """The nuclei of the review, by id."""
        read = self.project.nuclei.judged
        found: dict[str, Candidate] = self._kept(
            image, "judged", Aspect.NOTHING, lambda: {c.id: c for c in read(image)}
        )
        return found

    def clicked(self, image: str, kind: Literal["outline", "local"]) -> NDArray[Any]:
        """An outline at each point, made again from nothing."""

        def read() -> NDArray[Any]:
            record = self.project.image(image)
            box = Box(0, 0, record.height, record.width)
            with self.project.pixels(image) as slide:
                rgb = slide.read(box)
            points = {n.serial: (n.y, n.x) for n in self.project.nuclei.of(image)}
            known = self.project.nuclei.known(image, box)
            labels = CoarseLabels(
                rgb, points, known, record.mpp, kinds=(kind,), look=look_of(self.project)
            )
            return labels.outlines if kind == "outline" else labels.instances

        return self._kept(image, kind, SHAPING, read)  # type: ignore[no-any-return]

    def _kept(self, image: str, what: str, aspects: Aspect, read: Read) -> Any:
        version = self.project.nuclei.version(image, aspects)
        if self._known.get((image, what), (None, None))[0] != version:
            self._known[image, what] = version, read()
        return self._known[image, what][1]
