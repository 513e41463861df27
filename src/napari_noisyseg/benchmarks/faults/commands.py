"""Kills of whole commands: what they made is there or not, and the same command then works."""

from __future__ import annotations

import contextlib
import io
import os
import runpy
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_noisyseg import samples
from napari_noisyseg.benchmarks.faults import kills as killing
from napari_noisyseg.benchmarks.faults import points
from napari_noisyseg.benchmarks.faults.counts import Counts
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.store import Project

PROJECT = "p.noisyseg"


def _commands(folder: Path) -> list[list[str]]:
    """Words of each command, in an order in which they work one after the other."""
    project, out = str(folder / PROJECT), str(folder / "out")
    given = ["--images", str(samples.FIELD), "--points", str(samples.FIELD_POINTS)]
    masks = ["--masks", str(samples.FIELD_NUCLEI)]
    return [
        ["create", project, *given, *masks],
        ["derive", project, "--kind", "voronoi"],
        ["export", project, out, "--format", "geojson", "--layer", "rough"],
    ]


def run(*, kills: int, seed: int, folder: Path) -> Counts:
    """Kill commands `kills` times at points spread over them; half: what then does not work."""
    children, counts = killing.context(), Counts()
    before = folder / "before"
    before.mkdir()
    each = -(-kills // len(_commands(before)))
    for number, words in enumerate(_commands(before)):
        whole = folder / f"whole-{number}"
        shutil.copytree(before, whole)
        log = folder / f"log-{number}"
        child = children.Process(target=work, args=(_commands(whole)[number], log, killing.NEVER))
        killing.ended(child, None)
        total = int(points.said(log, "points")[0])
        random = np.random.default_rng((seed, number))
        for point in sorted(random.choice(total, min(each, total), replace=False).tolist()):
            counts += _killed(children, before, folder / f"kill-{number}-{point}", number, point)
        shutil.rmtree(before)
        whole.rename(before)
        print(f"{words[0]}: {total} points", file=sys.stderr)
    return counts


def _killed(children: Any, before: Path, place: Path, number: int, point: int) -> Counts:
    shutil.copytree(before, place)
    words, log = _commands(place)[number], place / "log"
    killing.ended(children.Process(target=work, args=(words, log, point)), None)
    wrong = _unsound(place / PROJECT)
    done = bool(points.said(log, "code"))
    if not (words[0] == "create" and (place / PROJECT).exists()):
        again = children.Process(target=work, args=(words, place / "log2", killing.NEVER))
        killing.ended(again, None)
        if points.said(place / "log2", "code") != ["0"]:
            wrong.append(f"{words[0]} does not work again: {points.said(place / 'log2', 'said')}")
    wrong += _unsound(place / PROJECT)
    left = {p.name for p in place.rglob(".*") if ".new-" in p.name or ".export-" in p.name}
    wrong += [f"{name} is left" for name in left | {p.name for p in place.glob(".*")}]
    for text in wrong:
        print(f"{place}: {text}", file=sys.stderr)
    if not wrong:
        shutil.rmtree(place)
    return Counts(1, int(done), 0, int(bool(wrong)))


def _unsound(path: Path) -> list[str]:
    """What is wrong with a project that may not be there."""
    if not path.exists():
        return []
    try:
        with Project.open(path) as project:
            names = [record.name for record in project.images()]
            marked = [len(project.nuclei.of(name)) for name in names]
            for name in names:
                project.labels.levels(name, "voronoi")
    except NoisySegError as error:
        return [str(error)]
    return [] if names and all(marked) else ["a project appeared before it was filled"]


def work(words: Sequence[str], log: Path, at: int) -> None:
    """The child: run a command, die at point `at`, else say its exit code."""
    out, passed = points.Log(log), 0

    def passing(what: str, with_what: Sequence[Any]) -> None:
        nonlocal passed
        if passed == at:
            os.kill(os.getpid(), signal.SIGKILL if os.name == "posix" else signal.SIGTERM)
        passed += 1

    points.watch(passing, passing)
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = _command(words)
    out.say("said", " ".join(said.getvalue().split())[-300:])
    out.say("points", passed)
    out.say("code", code)


def _command(words: Sequence[str]) -> object:
    """Run `noisyseg` with these words, as `python -m` does; its exit code."""
    sys.argv = ["noisyseg", *words]
    try:
        runpy.run_module("napari_noisyseg", run_name="__main__")
    except SystemExit as ended:
        return ended.code
    return 0
