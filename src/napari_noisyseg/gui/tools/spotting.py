"""Where the nuclei of the image in front lie: read out of the way, piece by piece, and kept."""

from __future__ import annotations

from functools import partial

from psygnal import Signal

from napari_noisyseg.gui.change import FRONT, Change, What
from napari_noisyseg.gui.session import Session
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import Aspect
from napari_noisyseg.store.spots import SpotReader, Spots

ASPECTS = Aspect.CANDIDATES | Aspect.OUTLINES | Aspect.DECISIONS | Aspect.POINTS | Aspect.CLASSES


class Spotting:
    """What runs found in the image in front, as places; read when somebody asks for them.

    Between two pieces other work has its turn. `spots` are those of the newest reading that came
    to its end, None before; of another image never.
    """

    changed = Signal()
    """`spots` are others"""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.spots: Spots | None = None
        self._of: tuple[Project, str] | None = None
        self._reader: SpotReader | None = None
        self._version = self._reading = -1
        session.on(What.IMAGES | FRONT, self._follow)

    def want(self) -> Spots | None:
        """What is known now; what is missing or old is read, and `changed` tells."""
        self._turn()
        self._read()
        return self.spots

    def _follow(self, change: Change) -> None:
        self._turn()

    def _turn(self) -> None:
        """Another image is in front: what was read is of no use."""
        project, image = self.session.project, self.session.image
        of = (project, image) if project is not None and image is not None else None
        if of != self._of:
            self._of, self.spots, self._version, self._reading = of, None, -1, -1
            self._reader = project.nuclei.spots(image) if project and image else None

    def _read(self) -> None:
        """Read on where there is news and nothing is being read."""
        if self._of is None or self._reader is None or self._reading >= 0:
            return
        project, image = self._of
        version = project.nuclei.version(image, ASPECTS)
        if version != self._version:
            self._reading = version
            self._step(self._reader)

    def _step(self, reader: SpotReader) -> None:
        self.session.submit(
            reader.step, partial(self._stepped, reader), partial(self._failed, reader)
        )

    def _stepped(self, reader: SpotReader, found: Spots | None) -> None:
        self._turn()
        if reader is not self._reader:
            return
        if found is None:
            self.session.later(partial(self._step, reader))
            return
        self.spots, self._version, self._reading = found, self._reading, -1
        self.changed.emit()

    def _failed(self, reader: SpotReader, error: BaseException) -> None:
        if reader is self._reader:
            # not tried again until something changes
            self._version, self._reading = self._reading, -1
            self.session.failed(error)
