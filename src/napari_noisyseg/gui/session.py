"""One viewer's work: the open project, what is in front, and one word to all when either changes.

Every human action goes to the project first. Whoever shows something hears of it from the
project's journal, through `changed`, whoever acted: a click, an undo, a run that was adopted,
another process. Errors become a notice. Nothing here needs Qt.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import platformdirs
from psygnal import EmitLoopError, Signal

from napari_noisyseg.coarse.project import regions
from napari_noisyseg.errors import NoisySegError, in_window
from napari_noisyseg.gui.canvas import garbage, layers, tissue
from napari_noisyseg.gui.canvas.painter import Painter
from napari_noisyseg.gui.change import Change, What
from napari_noisyseg.gui.front import Front
from napari_noisyseg.gui.keys import Keys
from napari_noisyseg.gui.kinds import AFAR
from napari_noisyseg.gui.undoing import Undoing
from napari_noisyseg.gui.view import View
from napari_noisyseg.gui.work import Submit, at_once
from napari_noisyseg.slides import Box
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import ImageRecord

log = logging.getLogger(__name__)
SUFFIX = ".noisyseg"


class Session:
    """The open project (or none yet) and what is in front, in one napari viewer.

    `submit` does work out of the way where there is a window; `aside` does so for work of minutes,
    which nothing else waits for. `later(act)` acts when the present event is over.
    """

    changed = Signal(Change)
    """the one word that anything changed; `on` hears just what one asks for"""
    settled = Signal()
    """an action succeeded: what was refused before it is over"""
    ending = Signal()
    """the window is about to go: stop threads and timers"""
    noticed = Signal(str)
    """something went wrong or was refused, with its remedy"""
    news = Signal(str)
    """something happened that a person may want to know"""

    def __init__(self, viewer: Any) -> None:
        self.viewer = layers.unwrap(viewer)
        self.project: Project | None = None
        self.view = View()
        self.keys = Keys()
        self.submit: Submit = at_once
        self.aside: Submit = at_once
        self.later: Callable[[Callable[[], object]], object] = lambda act: act()
        self.saved_at: datetime | None = None
        self.resumes = False
        self._seen = 0
        self._together, self._removals = False, 0
        self.front = Front(self)
        self.undoing = Undoing(self)
        self.painter = Painter(self.viewer, lambda: self.view, self.front.by_hand)
        self.viewer.layers.events.inserted.connect(self._on_inserted)
        self.viewer.layers.events.removed.connect(self._on_removed)
        self.viewer.layers.events.reordered.connect(self._on_reordered)

    # --- hearing -------------------------------------------------------------------------------

    def on(self, what: What, act: Callable[[Change], object]) -> Callable[[], None]:
        """Call `act` with every change that touches `what`; the answer ends it.

        One listener's error is told and keeps nobody else from hearing.
        """

        def hear(change: Change) -> None:
            if change.what & what:
                with self.guard():
                    act(change)

        self.changed.connect(hear)
        return lambda: self.changed.disconnect(hear, missing_ok=True)

    def tell(self, what: What, image: str | None = None) -> None:
        """Tell everybody what changed (what the journal knows is told by `sync`)."""
        self.changed.emit(Change(what, image))

    def sync(self) -> None:
        """Tell what the project's journal has that was not told yet, whoever did it."""
        project = self.project
        if project is None:
            return
        entries = project.nuclei.journal(self._seen)
        if not entries:
            return
        self._seen, self.saved_at = entries[-1].version, datetime.now()
        told: dict[str | None, What] = {}
        for entry in entries:
            told[entry.image] = told.get(entry.image, What.NOTHING) | What(int(entry.aspects))
        images = any(what & What.IMAGES for what in told.values())
        with self.together() if images else nullcontext():
            if images:
                self.front.settle()
            for image, what in told.items():
                self.tell(what, image)

    def look(self, **changes: Any) -> None:
        """Show something else: another step, tool or toggle (fields of `View`)."""
        self._turn(replace(self.view, **changes))

    def toggle(self, kind: str, shown: bool) -> None:
        """Switch a kind of layer on or off, for the steps like the present one.

        What stands for nuclei from afar goes, and comes, with them.
        """
        view = self.view
        for one in tuple(view.afar) if kind == AFAR else (kind,):
            view = view.toggled(one, shown)
        self._turn(view)

    def _turn(self, view: View) -> None:
        """The one place where what is shown becomes something else."""
        before, self.view = self.view, view
        many = (view.image, view.step) != (before.image, before.step)
        with self.together() if many else nullcontext():
            self.painter.paint()  # also where nothing changed: a hand may have switched one off
            if view != before:
                turned = view.image != before.image
                self.tell(What.IMAGE | What.VIEW if turned else What.VIEW)

    @contextmanager
    def together(self) -> Iterator[None]:
        """The canvas is drawn once, after all that is done inside; may be nested.

        napari draws, and searches for garbage, after every layer that comes, goes, or is hidden.
        """
        if self._together:
            yield
            return
        self._together, removals = True, self._removals
        try:
            with ExitStack() as ending, self.viewer.layers.batched_update():
                yield
                # where nothing went there is no garbage worth the tenth of a second of a search
                if self._removals == removals:
                    ending.enter_context(garbage.unsearched())
        finally:
            self._together = False

    # --- project -------------------------------------------------------------------------------

    def open(self, path: Path, break_lock: bool = False) -> None:
        """Open the project at `path` in place of the present one and show its first image.

        One that somebody else holds is opened for reading, with a notice that says who. The
        present one stays as it is.
        """
        if self._is_ours(path):
            return
        try:
            project = Project.open(path, break_lock=break_lock)
        except NoisySegError as refusal:
            project = Project.open(path, write=False)
            self.notice(f"{refusal}. Opened read-only: nothing can be changed")
        self._take(project)
        for word in project.notices:
            self.say(word)
        names = [record.name for record in project.images()]
        here = [name for name in names if layers.find(self.viewer, name, "image") is not None]
        if names:
            self.show_image((here or names)[-1 if here else 0])

    def _is_ours(self, path: Path) -> bool:
        """Whether that is the open project, and still ours to write."""
        try:
            return (
                self.project is not None and self.project.held and self.project.path.samefile(path)
            )
        except OSError:  # one of them is gone
            return False

    def create(self, path: Path) -> None:
        """Make a new project at `path` and let it take the place of the present one."""
        self._take(Project.create(path))

    def resume(self) -> None:
        """Go on with the project that lies beside the image, when there is one."""
        if self.project is None and self.image_layer() is not None:
            path = self.proposed_path()
            if path.exists():
                with self.guard():
                    self.open(path)

    def close(self) -> None:
        """Let the project go (it is saved already); what we made goes, opened images stay."""
        project, self.project = self.project, None
        if project is None:
            return
        project.close()
        self.view = self.view.of(None)
        with self.together():
            self.front.leave()
            self.tell(What.PROJECT | What.IMAGE)

    def shut(self) -> None:
        """The viewer is going: release the lock and tell nobody; safe to call twice."""
        for signal in (
            self.changed,
            self.noticed,
            self.news,
            self.undoing.told,
            self.settled,
            self.ending,
            self.keys.changed,
        ):
            signal.disconnect()
        self.painter.stop()
        self.viewer.layers.events.inserted.disconnect(self._on_inserted)
        self.viewer.layers.events.removed.disconnect(self._on_removed)
        self.viewer.layers.events.reordered.disconnect(self._on_reordered)
        project, self.project = self.project, None
        if project is not None:
            project.close()

    def _take(self, project: Project) -> None:
        self.close()
        self.project, self.saved_at = project, datetime.now()
        self._seen = project.nuclei.version()
        self.view = self.view.of(None)
        for layer in layers.images(self.viewer):
            self.front.recognise(layer)
        self.tell(What.PROJECT | What.IMAGE)

    @property
    def writable(self) -> bool:
        """Whether actions can be saved: there is no project yet, or it is ours to write."""
        return self.project is None or self.project.writable

    def require_project(self, layer: Any = None) -> Project:
        """The open project; with none, one is made (the first action) beside that image layer's
        file, or that of the image in front.
        """
        if self.project is None:
            path = self.proposed_path(layer)
            if path.exists():
                self.open(path)
            else:
                self.create(path)
        assert self.project is not None
        return self.project

    def proposed_path(self, layer: Any = None) -> Path:
        """Where a project would be made: beside the image's file, else in the user's data."""
        layer = layer if layer is not None else self.image_layer()
        source = tissue.source_path(layer) if layer is not None else None
        if source is not None and tissue.may_write(source.parent):
            return source.with_name(source.stem + SUFFIX)
        name = tissue.file_name(layer.name if layer is not None else "untitled")
        return platformdirs.user_data_path("noisyseg", appauthor=False) / f"{name}{SUFFIX}"

    # --- images --------------------------------------------------------------------------------

    @property
    def image(self) -> str | None:
        """Name of the image in front; None when none of the project's is."""
        return self.view.image

    def image_layer(self) -> Any | None:
        """The napari layer of the image in front: in the project, or about to be its first."""
        return self.front.layer()

    def record(self) -> ImageRecord | None:
        """The record of the image in front, or None."""
        if self.project is None or self.image is None:
            return None
        return self.project.image(self.image)

    def require_image(self) -> ImageRecord:
        """The record of the image in front; a first image is taken into the project by this."""
        return self.record() or self.front.require()

    def show_image(self, name: str) -> None:
        """Bring an image of the project to the front; the others and theirs are hidden."""
        self.front.show(name)

    def region(self) -> Box | None:
        """What painting and live labels work on: all of a small image, one field of a large one.

        None where there is no image yet, or a large one without a field.
        """
        record = self.record()
        if record is None or self.project is None:
            return None
        boxes = regions(self.project, record.name)
        focus = self.front.focus
        near = [box for box in boxes if focus and box.contains(*focus)]
        return next(iter(near or boxes), None)

    def set_mpp(self, mpp: float) -> None:
        """Set the resolution of the image in front, now known, in µm per pixel."""
        with self.acting():
            self.front.set_mpp(mpp)

    def _on_inserted(self, event: Any) -> None:
        if layers.is_image(event.value):
            with self.guard():
                self.front.arrived(event.value)
        elif layers.tag(event.value):
            return
        self.tell(What.LAYERS)

    def _on_removed(self, event: Any) -> None:
        self._removals += 1
        with self.guard():
            self.front.gone(event.value)
        self.tell(What.LAYERS)

    def _on_reordered(self, event: Any) -> None:
        self.later(self.front.sink)

    # --- actions -------------------------------------------------------------------------------

    @contextmanager
    def guard(self) -> Iterator[None]:
        """What goes wrong inside is told in a notice and ends there."""
        try:
            yield
        except Exception as caught:
            error = caught.__cause__ if isinstance(caught, EmitLoopError) else caught
            if isinstance(error, NoisySegError):
                self.notice(in_window(error))
                return
            log.exception("unexpected error")
            self.notice(f"that did not work: {error}. Nothing that was saved is lost.")

    def failed(self, error: BaseException) -> None:
        """Tell of an error that came from elsewhere."""
        with self.guard():
            raise error

    @contextmanager
    def acting(self) -> Iterator[None]:
        """Around one human action: an error is told, and whatever was done is heard by all."""
        with self.guard():
            try:
                yield
            finally:
                self.sync()
            self.settled.emit()

    def undo(self) -> str | None:
        """Take back the last action; its words, or None when there is nothing left."""
        return self.undoing.travel("undo")

    def redo(self) -> str | None:
        """Do again what was last undone; its words, or None."""
        return self.undoing.travel("redo")

    def notice(self, text: str) -> None:
        """Say what is wrong, where, and how to mend it."""
        self.noticed.emit(text)

    def say(self, text: str) -> None:
        """Say what happened."""
        self.news.emit(text)


def session_of(viewer: Any) -> Session:
    """The one session of a viewer, made when first asked for; it lives as long as the viewer."""
    viewer = layers.unwrap(viewer)
    found = viewer.__dict__.get("_noisyseg_session")
    if found is None:
        found = Session(viewer)
        object.__setattr__(viewer, "_noisyseg_session", found)
    session: Session = found
    return session
