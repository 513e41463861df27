"""What is on a disk for sure: contents that were synced, under names whose folders were.

A power cut may drop everything else. Linux alone: elsewhere a file cannot be read through the
handle that it is synced by.
"""

from __future__ import annotations

import os
import shutil
import stat
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from napari_noisyseg.store.database import NAME

SQLITE = tuple(f"{NAME}{ending}" for ending in ("-wal", "-shm", "-journal"))
"""Files whose names and contents are SQLite's own care: they are as SQLite left them."""


@dataclass
class Node:
    """A file or folder as the disk has it for sure: content, or names; None before the first."""

    handle: int
    content: bytes | None = None
    names: dict[str, Node] | None = field(default=None)


class Disk:
    """The disk below a folder, which is all synced at the beginning."""

    def __init__(self, top: Path) -> None:
        self._top = top
        self._nodes: dict[int, Node] = {}
        self._begin(top)

    def _begin(self, path: Path) -> None:
        if path.is_dir():
            for inner in path.iterdir():
                self._begin(inner)
        self._take(path)

    def _node(self, path: Path) -> Node | None:
        """The node of what lies there now; its handle is kept, so that no other gets its number."""
        try:
            handle = os.open(path, os.O_RDONLY)
        except OSError:
            return None
        number = os.fstat(handle).st_ino
        if number in self._nodes:
            os.close(handle)
        return self._nodes.setdefault(number, Node(handle))

    def _take(self, path: Path) -> None:
        node = self._node(path)
        if node is None:
            return
        if stat.S_ISDIR(os.fstat(node.handle).st_mode):
            inner = {name: self._node(path / name) for name in os.listdir(path)}  # noqa: PTH208
            node.names = {name: n for name, n in inner.items() if n is not None}
        else:
            node.content = path.read_bytes()

    def synced(self, handle: int) -> None:
        """A file or folder was synced by this handle."""
        path = Path(f"/proc/self/fd/{handle}").readlink()
        if path == self._top or self._top in path.parents:
            self._take(path)

    def cut(self, target: Path, random: np.random.Generator | None) -> None:
        """Write what is left after a power cut now: only what is sure, or by chance some more."""
        node = self._node(self._top)
        assert node is not None
        self._write(node, self._top, target, random)

    def _write(
        self, node: Node, now: Path | None, target: Path, random: np.random.Generator | None
    ) -> None:
        """Write a node, which lies at `now` (None: nowhere any more)."""
        if not stat.S_ISDIR(os.fstat(node.handle).st_mode):
            target.write_bytes(self._left(node, random))
            return
        target.mkdir()
        here = set() if now is None else set(os.listdir(now))  # noqa: PTH208
        for name in sorted(here | set(node.names or {})):
            inside = now / name if now is not None and name in here else None
            if inside is not None and name in SQLITE and now == self._top:
                shutil.copy(inside, target / name)
                continue
            sure = (node.names or {}).get(name)
            present = None if inside is None else self._node(inside)
            chosen = present if random is not None and random.random() < 0.5 else sure
            if chosen is not None and name != "lock.json":
                self._write(chosen, inside if chosen is present else None, target / name, random)

    def _left(self, node: Node, random: np.random.Generator | None) -> bytes:
        """A file's content: what was synced, nothing, or by chance what it is or half of that."""
        size = os.fstat(node.handle).st_size
        if self._is_database(node):
            return os.pread(node.handle, size, 0)
        if random is None or node.content is not None:
            return node.content or b""
        return os.pread(node.handle, int(random.choice([0, size // 2, size])), 0)

    def _is_database(self, node: Node) -> bool:
        """SQLite syncs its file itself, below this program."""
        return os.pread(node.handle, 16, 0) == b"SQLite format 3\0"
