"""What killed commands left behind, tidied once it is sure that nobody works on it any more."""

from __future__ import annotations

import contextlib
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from napari_noisyseg.store import lock
from napari_noisyseg.store.arrays import is_plain

_DRAFT = re.compile(r"\..+\.(noisyseg\.new-[0-9a-f]{8}|noisyseg\.partial|partial\.new-[0-9a-f]{8})")
_EXPORT = re.compile(r"\.export-[A-Za-z0-9_]+")
_HALF_FILE = re.compile(r"\..+\.[0-9a-f]{8}")
_LOCK_FILE = re.compile(rf"\.{re.escape(lock.NAME)}\..+")
INSTANT = 1.0
"""Seconds for which a living maker may be between two locks."""


@contextlib.contextmanager
def making(folder: Path) -> Iterator[None]:
    """Say in a folder that is being filled who does it; it may have another name at the end."""
    folder.mkdir(exist_ok=True)
    held = lock.Lock(folder)
    held.take()
    try:
        yield
    finally:
        held.release()


def tidy_beside(folder: Path) -> None:
    """Remove what killed commands left in a folder: half-made projects and exports."""
    for path in folder.glob(".*"):
        ours = _DRAFT.fullmatch(path.name) or _EXPORT.fullmatch(path.name)
        if not ours or path.is_symlink() or not path.is_dir():
            continue
        new = ".new-" in path.name  # it has that name for an instant with no lock in it
        if lock.abandoned(path) or _hardly_begun(path) or (new and left_behind(path)):
            shutil.rmtree(path, ignore_errors=True)
        elif _EXPORT.fullmatch(path.name):
            # one that was killed while it tidied up itself is empty
            with contextlib.suppress(OSError):
                path.rmdir()


def left_behind(folder: Path) -> bool:
    """Whether nobody works on a project that was being made: its maker is gone, or wrote no lock.

    Between two locks a living maker has none for an instant, which is waited for.
    """
    end = time.monotonic() + INSTANT
    while not (folder / lock.NAME).exists() and folder.exists() and time.monotonic() < end:
        time.sleep(INSTANT / 10)
    return lock.abandoned(folder) or not (folder / lock.NAME).exists()


def _hardly_begun(folder: Path) -> bool:
    """Whether its maker was killed while it wrote down who it is."""
    with contextlib.suppress(OSError):  # somebody else tidies up as well
        inside = list(folder.iterdir())
        return bool(inside) and all(
            _LOCK_FILE.fullmatch(path.name)
            and is_plain(path)
            and (lock.is_dead(path) or not path.stat().st_size)
            for path in inside
        )
    return False


def tidy(project: Path) -> None:
    """Remove half-written files of a project; for its one writer."""
    models = project / "models"
    if not models.is_symlink():
        for path in models.glob(".*"):
            if _HALF_FILE.fullmatch(path.name) and is_plain(path):
                path.unlink(missing_ok=True)
    for path in project.glob(f".{lock.NAME}.*"):
        if _LOCK_FILE.fullmatch(path.name) and is_plain(path) and lock.is_dead(path):
            path.unlink(missing_ok=True)
