"""Who judges: the name that decisions carry, and whether it is a second person who sees nothing."""

from __future__ import annotations

import getpass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_noisyseg.gui.controllers.review import ReviewController


@cache
def system_name() -> str:
    """The name by which the system knows the person; empty where it knows none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""


class Who:
    """The person at the window; `blind`: a second one, who sees nothing of what others said."""

    def __init__(self, review: ReviewController, name: str) -> None:
        self._review = review
        self.name = name or system_name()
        self.blind = False

    def be(self, name: str) -> None:
        """Let decisions carry this name from now on; without one, the system's."""
        review, name = self._review, name.strip() or system_name()
        if name == self.name:
            return
        self.name = name
        if review.queue is not None:
            review.queue.reviewer = name
        if self.blind:  # what is left to be judged depends on who judges
            self.be_second(False)
            self.be_second(True)
        review.changed.emit()

    def be_second(self, blind: bool) -> None:
        """Judge what others decided without seeing it, or see and decide again."""
        review = self._review
        if blind == self.blind or review.session.project is None:
            review.changed.emit()
            return
        review.end_edit()
        self.cover(False)
        self._judge(blind)
        self.cover(review.open)
        review.begin_anew()

    def reset(self) -> None:
        """Another project is open."""
        self.cover(False)
        self._judge(False)

    def _judge(self, blind: bool) -> None:
        """Blind or not; a second person takes back nothing of others."""
        self.blind, undoing = blind, self._review.session.undoing
        if blind:
            undoing.hold()
        else:
            undoing.since = 0

    def cover(self, covers: bool) -> None:
        """In a blind review nothing of what was decided is seen on the canvas."""
        if self.blind:
            self._review.session.look(blind=covers)
