"""Power cuts: a program's file operations are followed, and what was not synced is dropped."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_noisyseg.benchmarks.faults import acts, kills, points
from napari_noisyseg.benchmarks.faults.counts import Counts
from napari_noisyseg.benchmarks.faults.disk import Disk

AFTER = ("fsync", "rename", "replace", "COMMIT", "rmdir", "unlink")
"""Operations after each of which the power may go."""


def run(*, kills: int, seed: int, folder: Path, acts_each: int = 0) -> Counts:
    """Cut the power `kills` times while a program acts on a project in `folder`; what is left?

    Every second cut drops all that was not synced, the others some of it. Linux alone: elsewhere
    nothing is counted. What is wrong stays in `folder`.
    """
    if sys.platform != "linux":
        return Counts()
    return _run(kills, seed, folder, acts_each)


def _run(cuts: int, seed: int, folder: Path, acts_each: int) -> Counts:
    context, count = kills.context(), acts_each or kills.ACTS
    base = folder / "base.noisyseg"
    acts.begin(base)
    states, total = kills.uninterrupted(context, base, folder, seed, count)
    chosen = np.linspace(0, total - 1, -(-cuts // 2)).astype(int).tolist()
    place = folder / "cuts"
    place.mkdir()
    project = Path(shutil.copytree(base, place / base.name))
    kills.ended(context.Process(target=work, args=(project, place, seed, count, chosen)), None)
    counts = Counts()
    for line in points.said(place / kills.LOG, "cut"):
        done, name = line.split()
        found = kills.judge(place / name / base.name, states, int(done))
        counts += found
        if not found.lost + found.half:
            shutil.rmtree(place / name)
    return counts


def work(path: Path, place: Path, seed: int, count: int, chosen: Sequence[int]) -> None:
    """The child: do the acts, and write what a power cut would leave at the chosen points.

    At each, or where nothing on the disk changes there, at the next one where something does.
    """
    import resource

    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    out, passed, done = points.Log(place / kills.LOG), 0, 0
    disk, busy, due = Disk(path), False, sorted(chosen)

    def before(what: str, with_what: Sequence[Any]) -> None:
        pass

    def after(what: str, with_what: Sequence[Any]) -> None:
        nonlocal passed, busy
        # what is done to write the cut itself is none of the program's
        if busy:
            return
        busy = True
        if what == "fsync":
            disk.synced(with_what[0])
        # as many points as a program that is killed has, which counts before and after
        if due and due[0] <= passed + 1 and what in AFTER:
            due[:] = [point for point in due if point > passed + 1]
            for kind in ("all", "some"):
                name = f"{passed}-{kind}"
                (place / name).mkdir()
                random = None if kind == "all" else np.random.default_rng((seed, passed))
                disk.cut(place / name / path.name, random)
                out.say("cut", f"{done} {name}")
        passed += 2
        busy = False

    points.watch(before, after)
    script = acts.Script(path, seed)
    for number in range(count):
        script.step(number)
        done = number + 1
    script.close()
