"""The panel's menu: opening, importing and exporting, each a file dialog and one call."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_noisyseg.exchange import formats, importing
from napari_noisyseg.gui.bringing import Read, bring_in
from napari_noisyseg.gui.session import SUFFIX, Session
from napari_noisyseg.gui.settings import setting
from napari_noisyseg.gui.window.exportdialog import ExportDialog
from napari_noisyseg.gui.window.overview import flip_overview
from napari_noisyseg.slides import IMAGE_SUFFIXES

Act = Callable[[Session, QWidget], None]


def _chosen(kind: Literal["points", "masks"]) -> list[formats.Format]:
    """The formats that a file can be chosen in here and now."""
    return [f for f in formats.read(kind) if f.installed and not f.is_folder]


def _pattern(words: str, kind: Literal["points", "masks"]) -> str:
    """What a file dialog shows: every file that can be read as such."""
    endings = dict.fromkeys(ending for f in _chosen(kind) for ending in f.all_endings)
    return f"{words} ({' '.join(f'*{ending}' for ending in endings)})"


def _titles(kind: Literal["points", "masks"]) -> str:
    return ", ".join(f.title for f in _chosen(kind))


POINT_FILES = _pattern("Points", "points")
MASK_FILES = _pattern("Masks", "masks")


def open_project(session: Session, parent: QWidget) -> None:
    """Open another project."""
    chosen = QFileDialog.getExistingDirectory(parent, f"Open a project (NAME{SUFFIX})")
    if chosen:
        with session.guard():
            session.open(Path(chosen))


def new_project(session: Session, parent: QWidget) -> None:
    """Make a project at a place of one's choice."""
    proposed = str(session.proposed_path())
    chosen, _ = QFileDialog.getSaveFileName(parent, "New project", proposed, f"*{SUFFIX}")
    if chosen:
        with session.guard():
            path = Path(chosen)
            session.create(path if path.suffix == SUFFIX else path.with_name(path.name + SUFFIX))
            if session.image_layer() is not None:
                session.require_image()


def add_images(session: Session, parent: QWidget) -> None:
    """Take more image files into the project."""
    patterns = " ".join(f"*{suffix}" for suffix in sorted(IMAGE_SUFFIXES))
    chosen, _ = QFileDialog.getOpenFileNames(parent, "Add images", "", f"Images ({patterns})")
    with session.acting():
        icc = setting("slides", "icc", False)
        added = [session.require_project().add_image(Path(path), icc=icc) for path in chosen]
        session.sync()
        if added:
            session.show_image(added[-1].name)


def import_points(session: Session, parent: QWidget) -> None:
    """Points of the active image from a file."""
    _import(session, parent, POINT_FILES, importing.import_points)


def import_rough(session: Session, parent: QWidget) -> None:
    """Rough masks of the active image from a file."""
    _import(session, parent, MASK_FILES, importing.import_rough)


def import_clean(session: Session, parent: QWidget) -> None:
    """Trusted masks of the active image from a file."""

    def accept(project: Any, image: str, path: Path) -> Any:
        return importing.import_clean(project, image, path, complete=False)

    _import(session, parent, MASK_FILES, accept, "trusted masks")


def _import(
    session: Session, parent: QWidget, kinds: str, read: Read, masks: str = "rough masks"
) -> None:
    chosen, _ = QFileDialog.getOpenFileName(parent, "Import", "", kinds)
    if chosen:
        bring_in(session, Path(chosen), read, masks)


def export(session: Session, parent: QWidget) -> None:
    """Ask what goes out, in which form and where, and write it."""
    with session.guard():
        ExportDialog(session, parent).open()


def show_folder(session: Session, parent: QWidget) -> None:
    """Show where the project lies."""
    if session.project is not None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(session.project.path.parent)))


def remove_image(session: Session, parent: QWidget) -> None:
    """Take the active image from the project; undo brings it back with all its annotation."""
    with session.acting():
        session.front.remove()


def show_overview(session: Session, parent: QWidget) -> None:
    """Show the overview, or hide it."""
    flip_overview(session)


def show_keys(session: Session, parent: QWidget) -> None:
    """Show every key."""
    binding = session.keys.find("F1")
    if binding is not None:
        binding.press()


MENU: tuple[tuple[str, str, Act] | None, ...] = (
    ("Open project…", "Open a .noisyseg folder", open_project),
    ("New project…", "Make a project where you choose", new_project),
    ("Add images…", "Add more images or slides to this project", add_images),
    ("Remove this image", "Undo brings it back with its annotation", remove_image),
    None,
    ("Import points…", f"Points, or a point in each outline: {_titles('points')}", import_points),
    ("Import rough masks…", f"Masks to be corrected: {_titles('masks')}", import_rough),
    (
        "Import trusted masks…",
        f"Masks that count as accepted nuclei: {_titles('masks')}",
        import_clean,
    ),
    (
        "Export nuclei…",
        "All refined nuclei or only accepted ones, in the format you choose",
        export,
    ),
    None,
    ("Overview", "A small map of the whole image, to see where you are (O)", show_overview),
    ("Show folder", "Where the project lies on disk", show_folder),
    ("All keys", "F1", show_keys),
)
