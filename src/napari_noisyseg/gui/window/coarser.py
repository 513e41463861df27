"""A slide without coarser levels gets some while it is looked at; the canvas turns to them."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

from napari_noisyseg.errors import in_window
from napari_noisyseg.gui.canvas.lazy import coarser_of
from napari_noisyseg.gui.change import What
from napari_noisyseg.gui.session import Session
from napari_noisyseg.slides import Level
from napari_noisyseg.slides.coarser import Coarser
from napari_noisyseg.store.coarser import Room, State, gigabytes, too_full
from napari_noisyseg.store.project import Project
from napari_noisyseg.worker.parent.coarser import Making


class Seen(NamedTuple):
    """What there is of the levels of an image, and the room for them."""

    state: State
    levels: list[Level]
    room: Room


class CoarserWatch:
    """Looks, whenever it is asked to, whether the image in front needs levels or has got them."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._busy = False
        self._given_up: set[tuple[Project, str]] = set()
        self._making: dict[tuple[Project, str], Making] = {}

    def look(self) -> None:
        """See to the image in front; a glance where nothing is to be done."""
        session, project, image = self._session, self._session.project, self._session.image
        if self._busy or project is None or image is None or (project, image) in self._given_up:
            return
        layer = session.image_layer()
        coarser = coarser_of(layer) if layer is not None else None
        if coarser is None or coarser.made:
            return
        self._busy = True
        # asked first: what has ended by now has left its levels, if it made any
        making = self._making.get((project, image))
        over = making is not None and making.ended
        done = partial(self._seen, project, image, layer, coarser, over)
        session.submit(partial(see, project, image), done, partial(self._failed, project, image))

    def leave(self) -> None:
        """The window is going; what is being made is made all the same."""
        for making in self._making.values():
            making.leave()
        self._making.clear()

    def _seen(
        self,
        project: Project,
        image: str,
        layer: Any,
        coarser: Coarser,
        over: bool,
        seen: Seen,
    ) -> None:
        """over: what makes them has ended."""
        self._busy = False
        if project is not self._session.project:
            return
        if seen.state == "made":
            coarser.use(seen.levels)
            layer.refresh()
            self._session.tell(What.LAYERS, image)
            if (making := self._making.pop((project, image), None)) is not None:
                making.leave()
                self._session.say(f"{image}: its coarser resolutions are ready")
            return
        making = self._making.get((project, image))
        if making is not None and over:
            why = making.words() or "it was stopped"
            self._give_up(project, image, f"{image}: coarser levels were not made: {why}")
        elif making is None and seen.state == "missing" and project.writable:
            self._begin(project, image, seen.room)

    def _begin(self, project: Project, image: str, room: Room) -> None:
        if not room.enough:
            self._give_up(project, image, too_full(image, room))
            return
        self._session.say(
            f"{image} has one resolution only: coarser ones are made in the background, in the "
            f"project (up to {gigabytes(room.needed)}; {gigabytes(room.free)} are free)"
        )
        self._making[project, image] = Making(project.path, image)

    def _failed(self, project: Project, image: str, error: BaseException) -> None:
        self._busy = False
        # of one that was closed meanwhile nothing can be read
        if project is self._session.project:
            self._give_up(project, image, in_window(error))

    def _give_up(self, project: Project, image: str, words: str) -> None:
        """Say why, once."""
        self._given_up.add((project, image))
        if (making := self._making.pop((project, image), None)) is not None:
            making.leave()
        self._session.notice(words)


def see(project: Project, image: str) -> Seen:
    """What there is; reads the disk."""
    return Seen(
        project.coarser.state(image), project.coarser.levels(image), project.coarser.room(image)
    )
