"""Undo and redo: what each would do now, in words, and word of what is out of sight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from psygnal import Signal

from napari_noisyseg.gui.change import What

if TYPE_CHECKING:
    from napari_noisyseg.gui.session import Session
    from napari_noisyseg.store.project import Project
    from napari_noisyseg.store.records import HistoryEntry

LOOKED_BACK = 20
"""actions; where more than so many were undone in a row, both are offered"""
FURTHER = "an earlier action"
SEEN = {
    "annotate": What.POINTS | What.FIELDS | What.ROUGH | What.CLASSES,
    "review": What.DECISIONS | What.OUTLINES | What.CLASSES | What.COMMENTS,
}
"""what is seen in a step when it is undone there"""
SAID = {"undo": "Undone: {}. Ctrl+Shift+Z brings it back.", "redo": "Done again: {}."}


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
        self.since = 0

    def next(self) -> Next:
        """What can be undone and redone in a project that can be written."""
        project = self._session.project
        if project is None or not project.writable:
            return Next("", "")
        entries = self._entries(project)
        done = [entry.words for entry in entries if entry.state == "done"]
        undone = [entry.words for entry in entries if entry.state == "undone"]
        # further back there are others of either kind
        if not done and not self.since and len(entries) == LOOKED_BACK:
            return Next(FURTHER, FURTHER if undone else "")
        return Next([*done, ""][0], [*undone[-1:], ""][0])

    def _entries(self, project: Project) -> list[HistoryEntry]:
        """The newest actions; after `since` all of them."""
        if not self.since:
            return project.nuclei.history(LOOKED_BACK)
        newest = project.nuclei.history(1)[0].id
        return project.nuclei.history(newest - self.since) if newest > self.since else []

    def hold(self) -> None:
        """From here on, what was done until now stays as it is."""
        project = self._session.project
        newest = project.nuclei.history(1) if project is not None else []
        self.since = newest[0].id if newest else 0

    def travel(self, way: Literal["undo", "redo"]) -> str | None:
        """Undo or redo, and go to the image in which it happened: it is seen what was changed."""
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
