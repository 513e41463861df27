"""Slow work off the GUI thread, its result back on it; one thing after the other."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from qtpy.QtCore import QObject, Signal


class Jobs(QObject):  # type: ignore[misc]
    """One thread. What `then` and `failed` get arrives on the GUI thread; after `close` nothing."""

    _arrived = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="noisyseg")
        self._closed = False
        self._arrived.connect(self._deliver)

    def do(
        self,
        work: Callable[[], Any],
        then: Callable[[Any], object],
        failed: Callable[[BaseException], object],
    ) -> None:
        """Run `work`; then exactly one of `then(result)` and `failed(error)`."""
        if self._closed:
            return
        future = self._pool.submit(work)
        future.add_done_callback(lambda done: self._announce(done, then, failed))

    def _announce(self, done: Future[Any], then: Any, failed: Any) -> None:
        if not self._closed and not done.cancelled():
            self._arrived.emit((done, then, failed))

    def _deliver(self, message: tuple[Future[Any], Any, Any]) -> None:
        done, then, failed = message
        if self._closed:
            return
        if (error := done.exception()) is not None:
            failed(error)
        else:
            then(done.result())

    def close(self) -> None:
        """Let what runs come to its end, drop what waits; safe to call twice."""
        self._closed = True
        self._pool.shutdown(wait=True, cancel_futures=True)
