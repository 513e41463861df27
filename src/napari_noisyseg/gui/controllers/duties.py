"""What a controller asks of the window's session, and of whoever does work out of the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import ImageRecord

Submit = Callable[
    [Callable[[], Any], Callable[[Any], object], Callable[[BaseException], object]], None
]
"""runs work out of the way, then one of `done(result)` and `failed(error)` where we are"""


class Duties(Protocol):
    """What the session of a viewer does for the controller."""

    @property
    def project(self) -> Project | None:
        """The open project, or none yet."""

    @property
    def image(self) -> str | None:
        """The active image's name in the project."""

    def require_project(self) -> Project:
        """The open project; with none, one is made."""

    def require_image(self) -> ImageRecord:
        """The active image, taken into the project if it is not there yet."""

    def notice(self, text: str) -> object:
        """Say what is wrong and how to mend it."""

    def say(self, text: str) -> object:
        """Say what happened."""

    def failed(self, error: BaseException) -> object:
        """Tell of an error."""
