"""Readers as they must not be, by which it is seen that the watch sees them."""

from __future__ import annotations

import time
from pathlib import Path


def breaks(path: Path, out: Path) -> None:
    raise ValueError("not a word for a person")


def waits(path: Path, out: Path) -> None:
    time.sleep(3600)


def fills(path: Path, out: Path) -> None:
    pieces = [b"x" * 2**27 for _ in range(6)]
    time.sleep(3600 + len(pieces))


def strays(path: Path, out: Path) -> None:
    (path.parent.parent / "elsewhere").write_text("x")


def follows(path: Path, out: Path) -> None:
    (path.parent / "link").symlink_to(path.parent.parent / "elsewhere")
    (path.parent / "link").write_text("x")


def tidies(path: Path, out: Path) -> None:
    (out / "made").write_text("x")
    (out / "made").replace(path.parent / "moved")
