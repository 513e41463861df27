"""Nuclei of the image in front, wherever nobody clicked: all of it, its fields, or what is seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qtpy.QtWidgets import QMenu, QPushButton

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.gui.canvas.closeup import visible_box
from napari_noisyseg.gui.session import Session
from napari_noisyseg.slides import Box

Find = Callable[[Sequence[Box] | None], object]


class FindNuclei(QPushButton):  # type: ignore[misc]
    """A button with a menu; `find` is given the boxes, or None for the whole image."""

    def __init__(self, session: Session, find: Find) -> None:
        super().__init__("Find nuclei in this image")
        self._session, self._find = session, find
        self.setToolTip(
            "Outline nuclei tile by tile, with the selected run, or with the starter if no run is "
            "selected. Tiles appear as they are done. After a stop, only missing tiles are done."
        )
        menu = QMenu(self)
        for words, act in (
            ("In all of it", self.everywhere),
            ("In its fields", self.fields),
            ("In what is seen now", self.view),
        ):
            menu.addAction(words).triggered.connect(lambda _=False, act=act: act())
        self.setMenu(menu)

    def everywhere(self) -> None:
        """In the whole image."""
        self._find(None)

    def fields(self) -> None:
        """In the tiles that the image's fields reach into."""
        self._with_boxes(self._of_image)

    def view(self) -> None:
        """In the tiles that are on the screen."""
        self._with_boxes(self._seen)

    def _with_boxes(self, boxes: Callable[[], list[Box]]) -> None:
        try:
            found = boxes()
        except NoisySegError as error:
            self._session.failed(error)
            return
        self._find(found)

    def _of_image(self) -> list[Box]:
        record, project = self._session.require_image(), self._session.require_project()
        return [field.box for field in project.nuclei.fields(record.name)]

    def _seen(self) -> list[Box]:
        record = self._session.require_image()
        seen = visible_box(self._session.viewer, record).clip((record.height, record.width))
        return [] if seen.empty else [seen]
