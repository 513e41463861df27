"""What a person switched on or off on the canvas, as it is found again after a restart."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from napari_noisyseg.gui.change import Change, What
from napari_noisyseg.gui.kinds import MARKS
from napari_noisyseg.gui.session import Session
from napari_noisyseg.gui.settings import keep, setting

GROUP, OVERVIEW, SWITCHED = "view", "overview", "switched"
WANTED = {"auto": None, "on": True, "off": False}
"""the overview: where the image is large, always, never"""
KEPT = (*MARKS, "refined")
"""kinds that stay switched on or off; from afar they are dots. Others belong to one run"""
PLACES = {"marking": False, "results": True}
Toggles = Mapping[tuple[bool, str], bool]


class Remembered:
    """Begins with what was kept, and keeps each change at once; for one window's session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        wanted = WANTED.get(setting(GROUP, OVERVIEW, "auto"))
        session.look(overview=wanted, toggles=toggles_of(setting(GROUP, SWITCHED, "")))
        self._last = self._now()
        session.on(What.VIEW, self._follow)

    def _now(self) -> tuple[str, str]:
        view = self._session.view
        wanted = next(word for word, value in WANTED.items() if value is view.overview)
        return wanted, text_of(view.toggles)

    def _follow(self, change: Change) -> None:
        now = self._now()
        for key, before, value in zip((OVERVIEW, SWITCHED), self._last, now, strict=True):
            if value != before:
                keep(GROUP, key, value)
        self._last = now


def toggles_of(text: str) -> Toggles:
    """Toggles as they are kept: `results refined off, marking fields off`; odd ones go."""
    parts = [part.split() for part in text.split(",")]
    known = [p for p in parts if len(p) == 3 and p[0] in PLACES and p[1] in KEPT]
    found = {(PLACES[p[0]], p[1]): p[2] == "on" for p in known if p[2] in ("on", "off")}
    return MappingProxyType(found)


def text_of(toggles: Toggles) -> str:
    """Undo of `toggles_of`, of the kinds that are kept."""
    place = {value: word for word, value in PLACES.items()}
    kept = sorted((place[at], kind, on) for (at, kind), on in toggles.items() if kind in KEPT)
    return ", ".join(f"{at} {kind} {'on' if on else 'off'}" for at, kind, on in kept)
