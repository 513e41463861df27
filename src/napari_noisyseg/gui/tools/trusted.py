"""Outlines that a person drew, brought or accepted stand in place of those guessed at clicks."""

from __future__ import annotations

from typing import Any

from napari_noisyseg.gui.canvas import drawing, layers
from napari_noisyseg.gui.canvas.outlines import outline_paths, outlines_of
from napari_noisyseg.gui.change import FRONT, Change, What
from napari_noisyseg.gui.session import Session
from napari_noisyseg.gui.tools.live import LiveLabels
from napari_noisyseg.store.records import STATES, Aspect

KIND = "outline"
SETTLED = Aspect.OUTLINES | Aspect.DECISIONS | Aspect.POINTS
FOLLOWED = What.OUTLINES | What.DECISIONS | What.POINTS | What.LABELS | What.VIEW | FRONT


class Trusted:
    """Pins them in the layer of outlines at clicks, whose pixels stay what they are."""

    def __init__(self, session: Session, live: LiveLabels) -> None:
        self._session, self._live = session, live
        self._pinned: tuple[Any, ...] = ()
        session.on(FOLLOWED, self._follow)

    def _follow(self, change: Change) -> None:
        project, image = self._session.project, self._session.image
        if project is None or image is None or not self._session.view.shows(KIND):
            return
        layer, box = layers.find(self._session.viewer, image, KIND), self._live.box
        now = (layer, box, project.nuclei.version(image, SETTLED))
        if layer is None or box is None or now == self._pinned:
            return
        self._pinned = now
        settled = [
            (nucleus, outline)
            for nucleus, outline in project.nuclei.outlines(image, STATES, box)
            if nucleus.frozen and nucleus.state != "rejected"
        ]
        paths = {n.serial: [p - box.origin for p in outline_paths(o)] for n, o in settled}
        overlay = outlines_of(layer)
        if paths or overlay.pinned:
            overlay.pin(paths, {n.serial: _pen(n.state) for n, _ in settled})
            drawing.draw(layer, KIND)


def _pen(state: str) -> str:
    return "untouched" if state == "unreviewed" else state
