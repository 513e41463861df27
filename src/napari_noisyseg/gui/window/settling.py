"""What ties a session to its window: a thread for slow work, and an end when the window goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QEvent, QObject, QTimer

from napari_noisyseg.gui.jobs import Jobs
from napari_noisyseg.gui.readers import prefer_us_for_slides
from napari_noisyseg.gui.session import Session
from napari_noisyseg.gui.settings import setting
from napari_noisyseg.gui.window.coarser import CoarserWatch
from napari_noisyseg.gui.window.keyfilter import canvases, window_of
from napari_noisyseg.gui.window.overview import Overview
from napari_noisyseg.gui.window.remembered import Remembered
from napari_noisyseg.gui.work import Submit, at_once

LOOK_MS = 1000
"""between two looks at what another process did to the project"""


class _Ending(QObject):  # type: ignore[misc]
    """Sees a window off. A close that a person takes back (napari asks) ends nothing.

    Qt hides a window once its closing is accepted, while its children are still whole.
    """

    def __init__(self, window: QObject, end: Callable[[], None]) -> None:
        super().__init__(window)
        self._window, self._end = window, end
        self._closing = False
        window.installEventFilter(self)

    def eventFilter(self, watched: Any, event: Any) -> bool:
        """Qt: look on, take nothing."""
        if watched is self._window:
            if event.type() == QEvent.Type.Close:
                self._closing = self._window.isVisible()
                if not self._closing:
                    self._finish()
            elif event.type() == QEvent.Type.Hide and self._closing and not event.spontaneous():
                self._finish()
        return False

    def _finish(self) -> None:
        # events still come while Qt takes the window apart, and find half of us gone
        self._window.removeEventFilter(self)
        self._end()


def _submit_of(session: Session, jobs: Jobs) -> Submit:
    def submit(
        work: Callable[[], Any],
        done: Callable[[Any], object],
        failed: Callable[[BaseException], object] | None = None,
    ) -> None:
        jobs.do(work, done, failed or session.failed)

    return submit


def settle(session: Session) -> None:
    """Give a session its thread, and its end with its window; once."""
    window = window_of(session.viewer)
    if window is None or session.submit is not at_once:
        return
    jobs, lessons = Jobs(), Jobs()
    coarser = CoarserWatch(session)

    def end() -> None:
        session.ending.emit()
        coarser.leave()
        lessons.close()
        jobs.close()
        session.shut()

    session.submit, session.aside = _submit_of(session, jobs), _submit_of(session, lessons)
    session.later = lambda act: QTimer.singleShot(0, act)
    _Ending(window, end)
    watch = QTimer(window, interval=LOOK_MS)
    watch.timeout.connect(session.sync)
    watch.timeout.connect(coarser.look)
    session.ending.connect(lambda: watch.stop())
    watch.start()
    Remembered(session)
    for canvas in canvases(session.viewer)[:1]:
        session.__dict__["overview"] = Overview(session, canvas)
    if setting("slides", "open_with_noisyseg", True):
        prefer_us_for_slides()
