"""One viewer's work: the open project, the active image, and word to all when either changes.

Every human action goes to the project first and is shown only then. Errors become a notice.
Nothing here needs Qt: a plain `napari.components.ViewerModel` will do.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import platformdirs
from napari.utils.notifications import show_info, show_warning
from psygnal import EmitLoopError, Signal

from napari_noisyseg.coarse.project import regions
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.gui.canvas import layers
from napari_noisyseg.gui.keys import Keys
from napari_noisyseg.slides import Box
from napari_noisyseg.store.project import Project
from napari_noisyseg.store.records import ImageRecord

log = logging.getLogger(__name__)
SUFFIX = ".noisyseg"
Submit = Callable[[Callable[[], Any], Callable[[Any], object]], None]


def at_once(work: Callable[[], Any], done: Callable[[Any], object]) -> None:
    """Do the work here and now: what a test wants, and a session without a window."""
    done(work())


class Session:
    """The open project (or none yet) and the active image of one napari viewer.

    `submit(work, done)` runs `work` out of the way where there is a window, and `done(result)`
    in the main thread; an error becomes a notice. `later(act)` acts when the present event is over.
    """

    project_changed = Signal()
    """a project was opened or closed, or images came or went"""
    image_changed = Signal()
    """another image is the active one"""
    annotation_changed = Signal(str)
    """points, fields, outlines or strokes of the named image changed"""
    labels_changed = Signal(str, str)
    """a label image (image name, kind) was written to the project"""
    runs_changed = Signal()
    """a run was started, stopped, finished or adopted"""
    review_changed = Signal()
    """decisions, or the candidates to decide on, changed"""
    ending = Signal()
    """the window is about to go: stop threads and timers"""
    noticed = Signal(str)
    """something was said to the person"""

    def __init__(self, viewer: Any) -> None:
        self.viewer = layers.unwrap(viewer)
        self.project: Project | None = None
        self.keys = Keys()
        self.submit: Submit = at_once
        self.later: Callable[[Callable[[], object]], object] = lambda act: act()
        self.saved_at: datetime | None = None
        self.stated_mpp: float | None = None
        self.resumes = False
        self._active: str | None = None
        self._focus: tuple[float, float] | None = None
        self.viewer.layers.selection.events.active.connect(self._on_selection)
        self.viewer.layers.events.inserted.connect(self._on_inserted)

    # --- project -------------------------------------------------------------------------------

    def open(self, path: Path, break_lock: bool = False) -> None:
        """Open the project at `path` in place of the present one and show its first image.

        One that somebody else holds is opened for reading, with a notice that says who.
        """
        try:
            project = Project.open(path, break_lock=break_lock)
        except NoisySegError as held:
            project = Project.open(path, write=False)
            self.notice(f"{held}. Opened for reading: nothing can be changed")
        self._take(project)
        for word in project.notices:
            self.say(word)
        self.project_changed.emit()
        if project.images() and self.image is None:
            self.show_image(project.images()[0].name)

    def create(self, path: Path) -> None:
        """Make a new project at `path` and let it take the place of the present one."""
        self._take(Project.create(path))
        self.project_changed.emit()

    def resume(self) -> None:
        """Go on with the project that lies beside the image, when there is one."""
        if self.project is None and self.image_layer() is not None:
            path = self.proposed_path()
            if path.exists():
                with self.guard():
                    self.open(path)

    def close(self) -> None:
        """Let the project go (it is saved already); the layers stay as they are."""
        project, self.project, self._active = self.project, None, None
        if project is not None:
            project.close()
            self.project_changed.emit()

    def shut(self) -> None:
        """The viewer is going: release the lock and tell nobody; safe to call twice."""
        for signal in (
            self.project_changed, self.image_changed, self.annotation_changed, self.labels_changed,
            self.runs_changed, self.review_changed, self.noticed, self.ending, self.keys.changed,
        ):  # fmt: skip
            signal.disconnect()
        self.viewer.layers.selection.events.active.disconnect(self._on_selection)
        self.viewer.layers.events.inserted.disconnect(self._on_inserted)
        self.close()

    def _take(self, project: Project) -> None:
        if self.project is not None:
            self.close()
        self.project, self.saved_at = project, datetime.now()
        for layer in layers.images(self.viewer):
            self._recognise(layer)

    @property
    def writable(self) -> bool:
        """Whether actions can be saved: there is no project yet, or it is ours to write."""
        return self.project is None or self.project.writable

    def require_project(self) -> Project:
        """The open project; with none, one is made beside the active image (the first action)."""
        if self.project is None:
            path = self.proposed_path()
            if path.exists():
                self.open(path)
            else:
                self.create(path)
        assert self.project is not None
        return self.project

    def proposed_path(self) -> Path:
        """Where a project would be made: beside the image's file, else in the user's data."""
        layer = self.image_layer()
        source = layers.source_path(layer) if layer is not None else None
        if source is not None and layers.may_write(source.parent):
            return source.with_name(source.stem + SUFFIX)
        name = layers.file_name(layer.name if layer is not None else "untitled")
        return platformdirs.user_data_path("noisyseg", appauthor=False) / f"{name}{SUFFIX}"

    # --- images --------------------------------------------------------------------------------

    @property
    def image(self) -> str | None:
        """Name of the active image in the project; None when it is not part of it yet."""
        return self._active

    def image_layer(self) -> Any | None:
        """The napari layer of the active image: in the project or about to be."""
        if self._active is not None:
            found = layers.find(self.viewer, self._active, "image")
            if found is not None:
                return found
        return layers.candidate(self.viewer)

    def record(self) -> ImageRecord | None:
        """The active image's record, or None."""
        if self.project is None or self._active is None:
            return None
        return self.project.image(self._active)

    def require_image(self) -> ImageRecord:
        """The active image's record; the layer is taken into the project if it is not there yet."""
        record = self.record()
        if record is not None:
            return record
        layer = layers.candidate(self.viewer)
        if layer is None:
            raise NoisySegError("no image is open: drop an H&E image or slide into the window")
        self.require_project()
        return self.adopt_layer(layer)

    def region(self) -> Box | None:
        """What painting and live labels work on: all of a small image, one field of a large one.

        None where there is no image yet, or a large one without a field.
        """
        record = self.record()
        if record is None or self.project is None:
            return None
        boxes = regions(self.project, record.name)
        near = [box for box in boxes if self._focus and box.contains(*self._focus)]
        return next(iter(near or boxes), None)

    def focus(self, y: float, x: float) -> None:
        """Work goes on at (y, x): on a large image the field there becomes the region."""
        self._focus = (y, x)

    def adopt_layer(self, layer: Any) -> ImageRecord:
        """Take an Image layer of napari into the project and make it the active image."""
        project = self.require_project()
        record = self._recognise(layer) or layers.add_to(project, layer, self.stated_mpp)
        layers.mark(layer, record.name, "image")
        layers.place(self.viewer, layer, record)
        self._touch()
        self._activate(record.name)
        self.project_changed.emit()
        return record

    def set_mpp(self, mpp: float) -> None:
        """Set the resolution of the active image, now known, in µm per pixel."""
        record, layer = self.record(), self.image_layer()
        if record is None:
            self.stated_mpp = mpp
            self.project_changed.emit()
        elif not math.isclose(record.mpp, mpp, rel_tol=1e-4) or record.mpp_assumed:
            assert self.project is not None
            self.project.set_mpp(record.name, mpp)
            if layer is not None:
                layers.place(self.viewer, layer, self.project.image(record.name))
            self._touch()
            self.project_changed.emit()

    def remove_image(self) -> None:
        """Take the active image out of the project; its layers go, undo brings it back."""
        record = self.record()
        if record is None or self.project is None:
            raise NoisySegError("this image is in no project yet: there is nothing to remove")
        self.project.remove_image(record.name)
        self._touch()
        self._active = None
        for layer in layers.of_image(self.viewer, record.name):
            self.viewer.layers.remove(layer)
        left = self.project.images()
        if left:
            self.show_image(left[0].name)
        else:
            self.image_changed.emit()
        self.project_changed.emit()

    def show_image(self, name: str) -> None:
        """Make `name` the active image: show it and its layers, hide those of the others."""
        assert self.project is not None
        record = self.project.image(name)
        layers.show_image(self.viewer, self.project, record)
        self._activate(name)

    def _activate(self, name: str) -> None:
        if name != self._active:
            self._active, self._focus = name, None
            self.image_changed.emit()

    def _recognise(self, layer: Any) -> ImageRecord | None:
        """The project's record of an Image layer that it already holds, else None."""
        if self.project is None:
            return None
        record = layers.record_of(self.project, layer)
        if record is not None:
            layers.mark(layer, record.name, "image")
            layers.place(self.viewer, layer, record)
            self._activate(record.name)
        return record

    def _on_selection(self) -> None:
        name = layers.image_name(self.viewer.layers.selection.active)
        if name is not None and self.project is not None and name in self._names():
            self._activate(name)

    def _on_inserted(self, event: Any) -> None:
        if layers.is_image(event.value):
            with self.guard():
                self._recognise(event.value)
            if self.resumes:
                self.resume()
            self.image_changed.emit()

    def _names(self) -> set[str]:
        return {record.name for record in self.project.images()} if self.project else set()

    # --- actions -------------------------------------------------------------------------------

    @contextmanager
    def guard(self) -> Iterator[None]:
        """What goes wrong inside is told in a notice and ends there."""
        try:
            yield
        except Exception as caught:
            error = caught.__cause__ if isinstance(caught, EmitLoopError) else caught
            if isinstance(error, NoisySegError):
                self.notice(str(error))
                return
            log.exception("unexpected error")
            self.notice(f"that did not work: {error}. Nothing that was saved is lost.")

    def failed(self, error: BaseException) -> None:
        """Tell of an error that came from elsewhere."""
        with self.guard():
            raise error

    @contextmanager
    def acting(self, image: str | None = None) -> Iterator[None]:
        """Around one human action on `image` (the active one by default): guards, then tells."""
        with self.guard():
            yield
            self._touch()
            name = image or self._active
            if name is not None:
                self.annotation_changed.emit(name)

    def undo(self) -> str | None:
        """Take back the last action; its words, or None when there is nothing left."""
        return self._history("undo")

    def redo(self) -> str | None:
        """Do again what was last undone; its words, or None."""
        return self._history("redo")

    def _history(self, way: str) -> str | None:
        words: str | None = None
        if self.project is None:
            return None
        with self.guard():
            words = getattr(self.project.nuclei, way)()
            self._touch()
            self.project_changed.emit()
            for name in layers.shown(self.viewer):
                self.annotation_changed.emit(name)
            self.review_changed.emit()
        return words

    def _touch(self) -> None:
        self.saved_at = datetime.now()

    def notice(self, text: str) -> None:
        """Say what is wrong, where, and how to mend it."""
        show_warning(text)
        self.noticed.emit(text)

    def say(self, text: str) -> None:
        """Say what happened."""
        show_info(text)
        self.noticed.emit(text)


def session_of(viewer: Any) -> Session:
    """The one session of a viewer, made when first asked for; it lives as long as the viewer."""
    viewer = layers.unwrap(viewer)
    found = viewer.__dict__.get("_noisyseg_session")
    if found is None:
        found = Session(viewer)
        object.__setattr__(viewer, "_noisyseg_session", found)
    session: Session = found
    return session
