"""What controllers of a review need of a session, without a window."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

from psygnal import Signal

from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.gui.change import Change, What
from napari_noisyseg.gui.undoing import Undoing
from napari_noisyseg.gui.view import View
from napari_noisyseg.store.project import Project


class Session:
    """Tells of what the journal has, as the real one; errors and news are kept in `said`."""

    settled = Signal()

    def __init__(self, project: Project) -> None:
        self.project, self.image = project, project.images()[0].name
        self.said: list[str] = []
        self.looks: dict[str, Any] = {}
        self.view, self.front = View(step="review"), SimpleNamespace(names=self._names)
        self.undoing: Any = Undoing(self)  # type: ignore[arg-type]
        self._acts: list[Callable[[Change], object]] = []
        self._seen = project.nuclei.version()

    def on(self, what: What, act: Callable[[Change], object]) -> Callable[[], None]:
        hear = lambda change: act(change) if change.what & what else None  # noqa: E731
        self._acts.append(hear)
        return lambda: self._acts.remove(hear)

    def tell(self, what: What, image: str | None = None) -> None:
        for act in list(self._acts):
            act(Change(what, image))

    def sync(self) -> None:
        entries = self.project.nuclei.journal(self._seen)
        for entry in entries:
            self._seen = entry.version
            self.tell(What(int(entry.aspects)), entry.image)

    @contextlib.contextmanager
    def acting(self) -> Iterator[None]:
        try:
            yield
        except NoisySegError as error:
            self.failed(error)
        finally:
            self.sync()
        self.settled.emit()

    def _names(self) -> list[str]:
        return [record.name for record in self.project.images()]

    def undo(self) -> None:
        self.undoing.travel("undo")

    def redo(self) -> None:
        self.undoing.travel("redo")

    def look(self, **changes: Any) -> None:
        self.looks |= changes

    def show_image(self, name: str) -> None:
        self.image = name

    @contextlib.contextmanager
    def guard(self) -> Iterator[None]:
        try:
            yield
        except NoisySegError as error:
            self.failed(error)

    def say(self, words: str) -> None:
        self.said.append(words)

    def notice(self, words: str) -> None:
        self.said.append(words)

    def failed(self, error: BaseException) -> None:
        self.said.append(str(error))
