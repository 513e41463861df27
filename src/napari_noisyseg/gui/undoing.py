"""Undo and redo: what each would do now, in words, and word of what is out of sight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from psygnal import Signal

from napari_noisyseg.gui.change import What
from napari_noisyseg.gui.keys import shown

if TYPE_CHECKING:
    from napari_noisyseg.gui.session import Session

SEEN = {
    "annotate": What.POINTS | What.FIELDS | What.ROUGH | What.CLASSES,
    "review": What.DECISIONS | What.OUTLINES | What.CLASSES | What.COMMENTS,
}
"""what is seen in a step when it is undone there"""
SAID = {"undo": f"Undone: {{}}. {shown('Ctrl+Shift+Z')} brings it back.", "redo": "Done again: {}."}


class Next(NamedTuple):
    """The actions that undo and redo would take up, in words; empty where there is none."""

    undo: str
    redo: str


class Undoing:
    """Goes back and forth in the project's actions.

    `since`: no action up to this one is undone or done again. A second person, who judges blind,
    changes nothing of what others did.
    """

    told = Signal(str)
    """what was undone or redone, empty where it is seen; makes what was told before it old"""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._going = False
        self.since = 0
        session.settled.connect(self._settled)

    def next(self) -> Next:
        """What can be undone and redone in a project that can be written."""
        project = self._session.project
        if project is None or not project.writable:
            return Next("", "")
        return Next(*project.nuclei.coming(self.since))

    def hold(self) -> None:
        """From here on, what was done until now stays as it is."""
        project = self._session.project
        newest = project.nuclei.history(1) if project is not None else []
        self.since = newest[0].id if newest else 0

    def _settled(self) -> None:
        """After something else was done, what was undone before it cannot be brought back."""
        if not self._going and not self.next().redo:
            self.told.emit("")

    def travel(self, way: Literal["undo", "redo"]) -> str | None:
        """Undo or redo, and go to the image in which it happened: it is seen what was changed."""
        self._going = True
        try:
            return self._travel(way)
        finally:
            self._going = False

    def _travel(self, way: Literal["undo", "redo"]) -> str | None:
        session, project = self._session, self._session.project
        if project is None:
            return None
        with session.acting():
            before = project.nuclei.version()
            held = self.since > 0 and not getattr(self.next(), way)
            words: str | None = None if held else getattr(project.nuclei, way)()
            if words is None:
                blind = " in this blind review" if held else ""
                session.say(f"there is nothing left to {way}{blind}")
                return None
            entry = project.nuclei.journal(before)[-1]
            session.sync()
            if entry.image in session.front.names() and entry.image != session.image:
                session.show_image(entry.image)
            seen = SEEN.get(session.view.step, What.NOTHING) & What(int(entry.aspects))
            self.told.emit("" if seen else SAID[way].format(words))
            return words
        return None
