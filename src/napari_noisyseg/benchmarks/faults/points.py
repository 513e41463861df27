"""The points at which a program can be killed: before and after each fsync, rename and commit."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

CALLS = ("fsync", "rename", "replace", "link", "unlink", "mkdir", "rmdir")
Passing = Callable[[str, tuple[Any, ...]], None]
"""Hears of each point: what was (or will be) done, and with what."""


def watch(before: Passing, after: Passing) -> None:
    """Let every such call of this process, and every commit, be heard of, from now on."""
    for name in CALLS:
        setattr(os, name, _heard(name, getattr(os, name), before, after))

    class Heard(sqlite3.Connection):
        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
            if sql not in ("COMMIT", "BEGIN IMMEDIATE"):
                return super().execute(sql, *parameters)
            before(sql, ())
            cursor = super().execute(sql, *parameters)
            after(sql, ())
            return cursor

        def backup(self, target: sqlite3.Connection, **options: Any) -> None:
            before("backup", ())
            super().backup(target, **options)
            after("backup", ())

        def executescript(self, script: str) -> sqlite3.Cursor:
            before("script", ())
            cursor = super().executescript(script)
            after("script", ())
            return cursor

    connect = sqlite3.connect
    sqlite3.connect = lambda *a, **o: connect(*a, **{"factory": Heard, **o})


def _heard(
    name: str, real: Callable[..., Any], before: Passing, after: Passing
) -> Callable[..., Any]:
    def call(*arguments: Any, **options: Any) -> Any:
        before(name, arguments)
        result = real(*arguments, **options)
        after(name, arguments)
        return result

    return call


class Log:
    """What a child says while it lives; what was said stays said when it is killed."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def say(self, word: str, value: object) -> None:
        """One line."""
        os.write(self._file, f"{word} {value}\n".encode())


def said(path: Path, word: str) -> list[str]:
    """All values of a word in a log."""
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    return [line.partition(" ")[2] for line in lines if line.startswith(f"{word} ")]
