"""Files that are whole or not there, and on the disk when it is said that they are."""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

SIDE_BY_SIDE = 8
"""files that are waited for at once: the disk then writes its journal once for several"""


def sync(path: Path) -> None:
    """Wait until a file's content (or a folder's list of names) has reached the disk."""
    if path.is_dir() and os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        flush(handle)
    finally:
        os.close(handle)


def sync_all(files: Iterable[Path]) -> None:
    """`sync` of files that are there, side by side, then once of each folder that holds them."""
    there = [file for file in dict.fromkeys(files) if file.exists()]
    with ThreadPoolExecutor(SIDE_BY_SIDE) as workers:
        # what goes wrong in any of them is raised here
        list(workers.map(sync, there))
        list(workers.map(sync, {file.parent for file in there}))


def flush(handle: int) -> None:
    """`os.fsync`; on macOS, where that stops at the drive's own memory, what goes beyond it."""
    if sys.platform == "darwin":
        import fcntl

        with contextlib.suppress(OSError):
            fcntl.fcntl(handle, fcntl.F_FULLFSYNC)
            return
    os.fsync(handle)


def make_folder(path: Path) -> None:
    """A folder, with those above it that are missing; on the disk when this returns."""
    missing = [p for p in (path, *path.parents) if not p.exists()]
    for folder in reversed(missing):
        make_inside(folder)


def make_inside(path: Path) -> None:
    """A folder in one that is there; on the disk when this returns.

    Where the one above is gone (a project that was moved), it does not come to life again.
    """
    if not path.is_dir():
        path.mkdir(exist_ok=True)
        sync(path.parent)


@contextlib.contextmanager
def writing(path: Path, durable: bool = True) -> Iterator[BinaryIO]:
    """A file to fill, which then gets the name `path` at once; on error nothing changes.

    durable: on the disk when this returns, content first, so that no power cut leaves half of it.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with draft.open("xb") as file:
            yield file
            if durable:
                file.flush()
                flush(file.fileno())
        draft.replace(path)
        if durable:
            sync(path.parent)
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)


def write_atomically(path: Path, content: str | bytes, durable: bool = True) -> None:
    """Write beside, then rename: a reader sees the old content or the new, never half of one."""
    with writing(path, durable) as file:
        file.write(content.encode() if isinstance(content, str) else content)
