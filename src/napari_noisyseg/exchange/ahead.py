"""Work done beside that of its user, one piece ahead."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
U = TypeVar("U")


def ahead(work: Callable[[T], U], parts: Iterable[T]) -> Iterator[U]:
    """`map(work, parts)`, where the next part is worked on in a thread while one is used.

    Parts are taken in the thread of the user; no more than two are in memory. For work that lets
    other threads run: NumPy's, files', decoders'.
    """
    with ThreadPoolExecutor(1) as worker:
        waiting: deque[Future[U]] = deque()
        for part in parts:
            waiting.append(worker.submit(work, part))
            if len(waiting) > 1:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
