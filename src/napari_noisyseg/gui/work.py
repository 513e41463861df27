"""How slow work is asked for: out of the way where there is a window, else at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class Submit(Protocol):
    """Does work out of the way, then calls one of the two where it was asked."""

    def __call__(
        self,
        work: Callable[[], Any],
        done: Callable[[Any], object],
        failed: Callable[[BaseException], object] | None = None,
    ) -> None:
        """`failed` hears of an error; without it the error becomes a notice."""


def at_once(
    work: Callable[[], Any],
    done: Callable[[Any], object],
    failed: Callable[[BaseException], object] | None = None,
) -> None:
    """Do the work here and now: what a test wants, and a session without a window."""
    try:
        found = work()
    except Exception as error:
        if failed is None:
            raise
        failed(error)
    else:
        done(found)
