"""A disk that is full or may not be written, from some operation on: told, and nothing lost."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_noisyseg.benchmarks.faults import acts, points
from napari_noisyseg.benchmarks.faults import kills as killing
from napari_noisyseg.benchmarks.faults.counts import Counts
from napari_noisyseg.errors import NoisySegError

REASONS = (errno.ENOSPC, errno.EROFS, errno.EIO)
FREEING = ("unlink", "rmdir")
"""What works on a full disk too."""


def run(*, kills: int, seed: int, folder: Path, acts_each: int = killing.ACTS) -> Counts:
    """Let the disk refuse from `kills` points of a script on; lost, and half: not told in words."""
    children, counts = killing.context(), Counts()
    base = folder / "base.noisyseg"
    acts.begin(base)
    states, total = killing.uninterrupted(children, base, folder, seed, acts_each)
    for number, point in enumerate(np.linspace(0, total - 1, kills).astype(int).tolist()):
        place = folder / f"full-{number}"
        place.mkdir()
        project = Path(shutil.copytree(base, place / base.name))
        reason = REASONS[number % len(REASONS)]
        arguments = (project, place / killing.LOG, seed, acts_each, point, reason)
        killing.ended(children.Process(target=work, args=arguments), None)
        done = len(points.said(place / killing.LOG, "done"))
        found = killing.judge(project, states, done)
        if not points.said(place / killing.LOG, "told"):
            print(f"{project}: the program broke at point {point}", file=sys.stderr)
            found = Counts(found.kills, found.acts, found.lost, 1)
        counts += found
        if not found.lost + found.half:
            shutil.rmtree(place)
    return counts


def work(path: Path, log: Path, seed: int, count: int, at: int, reason: int) -> None:
    """The child: do the acts until one is refused; from point `at` on the disk takes nothing."""
    out, passed = points.Log(log), 0

    def before(what: str, with_what: Sequence[Any]) -> None:
        nonlocal passed
        passed += 1
        if passed > at >= 0 and what not in FREEING:
            if what in ("COMMIT", "BEGIN IMMEDIATE", "script", "backup"):
                raise sqlite3.OperationalError("database or disk is full")
            raise OSError(reason, os.strerror(reason))

    def after(what: str, with_what: Sequence[Any]) -> None:
        nonlocal passed
        passed += 1

    points.watch(before, after)
    try:
        script = acts.Script(path, seed)
        for number in range(count):
            script.step(number)
            out.say("done", number)
        script.close()
        out.say("told", "nothing was refused")
    except NoisySegError as error:
        out.say("told", error)
