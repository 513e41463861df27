"""What goes wrong without anybody looking: exceptions, words of failure, a window that stalls."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

from napari.utils.notifications import notification_manager
from qtpy.QtCore import Qt, QTimer, qInstallMessageHandler
from qtpy.QtWidgets import QApplication

from napari_noisyseg.gui.jobs import Jobs
from napari_noisyseg.gui.session import Session
from napari_noisyseg.worker.lessons.beside import learn_beside

TICK_MS = 5
PATIENCE, LESSON = 60.0, 900.0
"""seconds that work in the background may take, and such as a child does at the lowest priority:
half a minute of processor time after some hundred decisions, far more on a busy machine"""
TURNS = 4
"""turns of the event loop without work in the background that count as rest"""
HARMLESS = ("propagateSizeHints", "QXcbConnection", "XDG_RUNTIME_DIR", "does not support raise")
FAILED = "that did not work"


class Errors(logging.Handler):
    """Collects, as words, whatever is an error anywhere in the process; `close` gives all back."""

    def __init__(self, session: Session) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []
        self._hooks = sys.excepthook, threading.excepthook
        sys.excepthook = self._raised
        threading.excepthook = lambda args: self._raised(*args[:3])
        self._qt = qInstallMessageHandler(self._of_qt)
        logging.getLogger().addHandler(self)
        notification_manager.notification_ready.connect(self._of_napari)
        session.noticed.connect(self._noticed)

    def take(self) -> list[str]:
        """What was found since the last call."""
        found, self.found = self.found, []
        return found

    def close(self) -> None:
        """Let go of everything."""
        sys.excepthook, threading.excepthook = self._hooks
        qInstallMessageHandler(self._qt)
        logging.getLogger().removeHandler(self)
        notification_manager.notification_ready.disconnect(self._of_napari)
        super().close()

    def emit(self, record: logging.LogRecord) -> None:
        """Logging: an error was logged."""
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            text += ": " + _where(record.exc_info[1])
        self.found.append(f"logged: {text}")

    def _raised(self, kind: Any, error: Any, trace: Any, *rest: Any) -> None:
        self.found.append(f"raised: {_where(error)}")

    def _of_qt(self, kind: Any, context: Any, text: str) -> None:
        if not any(word in text for word in HARMLESS):
            self.found.append(f"Qt: {text}")

    def _of_napari(self, note: Any) -> None:
        if str(note.severity) == "error":
            self.found.append(f"napari: {note.message}")

    def _noticed(self, text: str) -> None:
        if text.startswith(FAILED):
            self.found.append(f"notice: {text}")


def _where(error: BaseException | None) -> str:
    if error is None:
        return "?"
    last = traceback.extract_tb(error.__traceback__)[-3:]
    places = " < ".join(f"{x.filename.rsplit('/', 1)[-1]}:{x.lineno}" for x in reversed(last))
    return f"{type(error).__name__}: {error} ({places})"


class Work:
    """Knows which work in the background was asked for and is not answered yet."""

    def __init__(self) -> None:
        self._ends: dict[object, float] = {}
        self._do = Jobs.do
        setattr(Jobs, "do", self._counted(Jobs.do))  # noqa: B010 (mypy forbids the plain way)

    def close(self) -> None:
        """Count no more."""
        setattr(Jobs, "do", self._do)  # noqa: B010

    @property
    def waiting(self) -> int:
        """How many pieces are not answered."""
        return len(self._ends)

    def _counted(self, do: Callable[..., None]) -> Callable[..., None]:
        def counted(jobs: Any, work: Any, then: Any, failed: Any) -> None:
            piece = object()
            lesson = getattr(work, "func", None) is learn_beside
            self._ends[piece] = time.monotonic() + (LESSON if lesson else PATIENCE)
            do(jobs, work, self._answering(piece, then), self._answering(piece, failed))

        return counted

    def _answering(self, piece: object, act: Callable[[Any], object]) -> Callable[[Any], None]:
        def answered(found: Any) -> None:
            self._ends.pop(piece, None)
            act(found)

        return answered

    def rest(self) -> bool:
        """Let the window live until nothing is at work any more; False where that never comes."""
        quiet = 0
        while quiet < TURNS:
            QApplication.processEvents()
            quiet = 0 if self._ends else quiet + 1
            if self._ends:
                time.sleep(0.001)
            if any(time.monotonic() > end for end in self._ends.values()):
                # it is told once, and not waited for again
                self._ends.clear()
                return False
        return True


class Stalls:
    """The longest time in which the window could not answer, while it is watched, in ms.

    `worst` is by the clock; `busiest` by the processor time of the window's own thread, which other
    programs do not prolong.
    """

    def __init__(self) -> None:
        self.worst = self.busiest = 0.0
        self.on = False
        self._last = self._used = 0.0
        self._timer = QTimer(interval=TICK_MS, timerType=Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._tick)
        self._timer.start()

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Watch; the figures are those of this time alone."""
        self.worst, self.busiest, self.on = 0.0, 0.0, True
        self._last, self._used = time.perf_counter(), time.thread_time()
        yield
        self._tick()
        self.on = False

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """What the walk itself does meanwhile does not count."""
        self._tick()
        yield
        self._last, self._used = time.perf_counter(), time.thread_time()

    def _tick(self) -> None:
        now, used = time.perf_counter(), time.thread_time()
        if self.on:
            self.worst = max(self.worst, (now - self._last) * 1e3)
            self.busiest = max(self.busiest, (used - self._used) * 1e3)
        self._last, self._used = now, used

    def close(self) -> None:
        """Stop."""
        self._timer.stop()
