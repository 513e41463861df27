"""Kills at each fsync, rename and commit, and at random moments: what was confirmed is there."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np

from napari_noisyseg.benchmarks.faults import acts, points
from napari_noisyseg.benchmarks.faults.counts import Counts
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.store import Project
from napari_noisyseg.worker.adoption.adopt import adopt_finished

ACTS = 38
"""Acts of one script: each kind twice."""
NEVER = -1
LOG = "log"


def run(*, kills: int, seed: int, folder: Path, acts_each: int = ACTS) -> Counts:
    """Kill a program `kills` times while it acts on a project in `folder`; look at what is left.

    Half of the kills fall on points spread over the whole script, half on random moments. Every
    kill leaves its project in `folder` only where something was wrong.
    """
    children = context()
    base = folder / "base.noisyseg"
    acts.begin(base)
    began = time.monotonic()
    states, total = uninterrupted(children, base, folder, seed, acts_each)
    seconds = time.monotonic() - began
    random = np.random.default_rng(seed)
    at_points = np.linspace(0, total - 1, (kills + 1) // 2).astype(int).tolist()
    moments = random.uniform(0, seconds, kills - len(at_points)).tolist()
    counts = Counts()
    for number, (point, after) in enumerate(
        [(int(p), None) for p in at_points] + [(NEVER, float(m)) for m in moments]
    ):
        place = folder / f"kill-{number}"
        place.mkdir()
        project = Path(shutil.copytree(base, place / base.name))
        child = children.Process(target=work, args=(project, place / LOG, seed, acts_each, point))
        ended(child, after)
        counts += judge(project, states, len(points.said(place / LOG, "done")))
        if not counts.lost + counts.half:
            shutil.rmtree(place)
    return counts


def context() -> Any:
    """Children that are forked from a process which has everything loaded; spawned on Windows."""
    if sys.platform == "win32":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def uninterrupted(
    children: Any, base: Path, folder: Path, seed: int, count: int
) -> tuple[list[str], int]:
    """The state after each act of a script that nobody disturbs, and how many points it has."""
    place = folder / "whole"
    place.mkdir()
    project = Path(shutil.copytree(base, place / base.name))
    arguments = (project, place / LOG, seed, count, NEVER, True)
    ended(children.Process(target=work, args=arguments), None)
    states = points.said(place / LOG, "state")
    if len(states) != count + 1:
        raise NoisySegError(f"the script of seed {seed} did not come to its end in {place}")
    return states, int(points.said(place / LOG, "points")[0])


def ended(child: BaseProcess, after: float | None) -> None:
    """Start a child and wait for its end, for so many seconds: then it is killed."""
    child.start()
    child.join(after)
    if after is not None and child.is_alive():
        child.kill()
    child.join(120)
    if child.is_alive():
        child.kill()
        child.join()


def work(path: Path, log: Path, seed: int, count: int, at: int, tell: bool = False) -> None:
    """The child: do the acts, say which are done, die at point `at`. tell: say the states too."""
    out, passed = points.Log(log), 0

    def passing(what: str, with_what: Sequence[Any]) -> None:
        nonlocal passed
        if passed == at:
            out.say("died", f"{what} {with_what}")
            os.kill(os.getpid(), signal.SIGKILL if os.name == "posix" else signal.SIGTERM)
        passed += 1

    points.watch(passing, passing)
    script = acts.Script(path, seed)
    if tell:
        out.say("state", acts.state(script.project))
    for number in range(count):
        script.step(number)
        out.say("done", number)
        if tell:
            out.say("state", acts.state(script.project))
    script.close()
    out.say("points", passed)


def judge(path: Path, states: Sequence[str], done: int) -> Counts:
    """What a fault after `done` confirmed acts left of a project; one fault's counts."""
    try:
        with Project.open(path) as project:
            adopt_finished(project)
            found = acts.state(project)
        wrong = acts.disagreements(path)
    except (NoisySegError, OSError) as error:
        print(f"{path}: {error}", file=sys.stderr)
        return Counts(1, done, 0, 1)
    # the act in flight may have been done or not
    lost = found not in states[done : done + 2]
    if lost:
        near = [i for i, s in enumerate(states) if s == found]
        print(f"{path}: {done} acts were confirmed, the state is of {near}", file=sys.stderr)
    for text in wrong:
        print(f"{path}: {text}", file=sys.stderr)
    return Counts(1, done, int(lost), int(bool(wrong)))
