"""What runs found, on the canvas: adopted maps and nuclei, as a person has left them since."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from napari_noisyseg.gui.canvas import drawing, layers
from napari_noisyseg.gui.canvas.drawing import Drawn
from napari_noisyseg.gui.canvas.outlines import outlines_of
from napari_noisyseg.gui.change import FRONT, Change, What
from napari_noisyseg.gui.kinds import KINDS, OF_RUN, is_labels
from napari_noisyseg.gui.session import Session
from napari_noisyseg.gui.tools.reading import read_results, traced
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import Aspect

SHOWN = What.CANDIDATES | What.OUTLINES | What.DECISIONS | What.POINTS | What.IMAGES
SHOWN |= What.CLASSES
FOUND = Aspect.CANDIDATES
SETTLED = Aspect.CANDIDATES | Aspect.OUTLINES | Aspect.DECISIONS | Aspect.POINTS | Aspect.IMAGES
SETTLED |= Aspect.CLASSES
Versions = dict[tuple[str, str], int]
Read = tuple[dict[str, Any], Drawn | None]


class Results:
    """Keeps the layers of the image in front at what the project holds; read out of the way.

    A kind is read when it is first to be seen, and again when something changed that it shows.
    While a run's previews are on the canvas (`held`), what is stored waits.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.held = False
        self._age = 0
        self._version: Versions = {}
        self._reading: set[tuple[str, str]] = set()
        self._found: set[tuple[str, str]] = set()
        self._earlier: tuple[Any, dict[str, str]] = None, {}
        session.on(SHOWN | FRONT | What.VIEW, self._follow)

    def _follow(self, change: Change) -> None:
        if change.what & What.PROJECT:
            for known in (self._version, self._reading, self._found):
                known.clear()
        if change.concerns(self.session.image):
            self.refresh()
        if change.what & What.VIEW:
            self._colour()

    def _colour(self) -> None:
        """The outlines have their states' colours, or those of the nuclei's classes."""
        image = self.session.image
        layer = layers.find(self.session.viewer, image, "refined") if image is not None else None
        by_class = self.session.view.by_class
        if layer is not None and outlines_of(layer).by_group != by_class:
            outlines_of(layer).by_group = by_class

    def forget(self) -> None:
        """What is on the canvas came from elsewhere, or is old without a word: read it again."""
        self._age += 1
        self._version.clear()
        self.refresh()

    def refresh(self) -> None:
        """Read what is to be seen and is not, or not any more, as it is stored."""
        project, image = self.session.project, self.session.image
        if project is None or image is None:
            return
        adopted = project.nuclei.adopted_run(image) is not None
        self.session.look(found=adopted or self.held)
        if self.held or not adopted:
            return
        due = [kind for kind in OF_RUN if self._due(project, image, kind)]
        if due:
            self._reading.update((image, kind) for kind in due)
            versions = {kind: _version(project, image, kind) for kind in due}
            self.session.submit(
                partial(_read, project, image, tuple(due)),
                partial(self._arrived, project, image, versions, self._age),
                partial(self._failed, image, versions, self._age),
            )

    def _due(self, project: Project, image: str, kind: str) -> bool:
        key = (image, kind)
        if key in self._reading:
            return False
        layer = layers.find(self.session.viewer, image, kind)
        if layer is None and not self.session.view.shows(kind):
            return False
        old = self._version.get(key) != _version(project, image, kind)
        return old or (layer is None and key in self._found)

    def _read_as(self, image: str, versions: dict[str, int], age: int) -> Versions:
        """No longer being read; as of which version each kind is, now or once it is shown."""
        for kind in versions:
            self._reading.discard((image, kind))
        if age != self._age:  # what was read meanwhile is to be read again
            versions = dict.fromkeys(versions, -1)
        return {(image, kind): at for kind, at in versions.items()}

    def _failed(self, image: str, versions: dict[str, int], age: int, error: BaseException) -> None:
        self._version |= self._read_as(image, versions, age)
        self.session.failed(error)

    def _arrived(
        self, project: Project, image: str, versions: dict[str, int], age: int, found: Read
    ) -> None:
        read = self._read_as(image, versions, age)
        if project is not self.session.project or image not in self.session.front.names():
            return
        if self.held or layers.find(self.session.viewer, image, "image") is None:
            return
        self._version |= read
        self._found.update((image, kind) for kind in found[0])
        self._show(project, image, *found)
        self.refresh()  # what was decided while this was read

    def _show(
        self, project: Project, image: str, found: dict[str, Any], drawn: Drawn | None
    ) -> None:
        record, viewer = project.image(image), self.session.viewer
        for kind, data in found.items():
            layer = layers.find(viewer, image, kind)
            if is_labels(kind):
                lines = drawn if kind == "refined" else None
                if layer is None or not layers.repaint_changed(layer, data):
                    layers.show_labels(viewer, record, kind, data, drawn=lines)
                elif lines is not None:
                    drawing.draw(layer, kind, lines)
            else:
                layers.show_map(viewer, record, kind, data)
        self._colour()
        self.session.tell(What.LABELS, image)

    def stored(self, kinds: Iterable[str] = KINDS) -> list[str]:
        """Kinds that there are of the image in front, stored or as a preview."""
        project, image = self.session.project, self.session.image
        if project is None or image is None:
            return []
        held, viewer = project.labels.kinds(image), self.session.viewer
        return [k for k in kinds if k in held or layers.find(viewer, image, k) is not None]

    def earlier(self) -> dict[str, str]:
        """Kinds of the image in front that are of an earlier run than the nuclei, with its method.

        The run of the nuclei made no such map: a network trained on points corrects no masks.
        """
        project, image = self.session.project, self.session.image
        if project is None or image is None or self.held:
            return {}
        now = project, image, project.nuclei.version(image, FOUND)
        if self._earlier[0] != now:  # the disk is asked once for each run
            self._earlier = now, _of_earlier_runs(project, image)
        return self._earlier[1]


def _of_earlier_runs(project: Project, image: str) -> dict[str, str]:
    # not what the outlines' layer says: that is written after the nuclei, whose version this is of
    last, held = project.nuclei.adopted_run(image), project.labels.kinds(image)
    if last is None:
        return {}
    sources = {kind: project.labels.source(image, kind) for kind in OF_RUN if kind in held}
    return {
        kind: str(source.get("method", ""))
        for kind, source in sources.items()
        if source.get("run", last) != last
    }


def _version(project: Project, image: str, kind: str) -> int:
    aspects = SETTLED if kind == "refined" else FOUND
    return project.nuclei.version(image, aspects)


def _read(project: Project, image: str, kinds: tuple[str, ...]) -> Read:
    """What is stored, and the outlines in it, traced out of the way."""
    found = read_results(project, image, kinds)
    return found, traced(project, image, found)
