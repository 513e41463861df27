"""Which of undo and redo can do something, for the buttons that do it."""

from __future__ import annotations

from typing import NamedTuple

from napari_noisyseg.store import Project

LOOKED_BACK = 20
"""actions; where more than so many were undone in a row, both are offered"""


class Undoing(NamedTuple):
    """Whether there is anything to undo, and to redo."""

    undo: bool
    redo: bool


def undoing(project: Project | None) -> Undoing:
    """What can be undone and redone in a project that can be written."""
    if project is None or not project.writable:
        return Undoing(False, False)
    states = [entry.state for entry in project.nuclei.history(LOOKED_BACK)]
    # the newest ones are those that were undone: whatever is done after drops them
    return Undoing("done" in states or len(states) == LOOKED_BACK, states[:1] == ["undone"])
