"""Kills of the window itself while somebody works in it: what it showed as done is there."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from napari_noisyseg.benchmarks.display import on_display
from napari_noisyseg.benchmarks.faults import acts, points
from napari_noisyseg.benchmarks.faults.counts import Counts
from napari_noisyseg.errors import JobError, NoisySegError
from napari_noisyseg.slides import Box
from napari_noisyseg.store import Project
from napari_noisyseg.store.records import Aspect

CHILD = "napari_noisyseg.gui.wander.killed"
STARTS = (0, 45)
"""acts of the day from which on it is annotated, and reviewed"""
MOST = 8
"""acts after which a window is killed at the latest"""
ACT = 0.4
"""seconds that an act takes or more, where nothing else wants the processor"""
PATIENCE = 300.0
"""seconds that a window may take for all that"""
TOUCHED = {
    "points": Aspect.POINTS, "fields": Aspect.FIELDS, "rough": Aspect.ROUGH,
    "decided": Aspect.DECISIONS | Aspect.OUTLINES | Aspect.CANDIDATES | Aspect.POINTS,
}  # fmt: skip
"""what is shown, and what an act in flight must not have touched for it to be compared"""


def run(*, kills: int, seed: int, folder: Path) -> Counts:
    """Kill a window `kills` times at random moments, half in annotating, half in reviewing."""
    random, counts = np.random.default_rng(seed), Counts()
    for number in range(kills):
        place = folder / f"kill-{number}"
        place.mkdir()
        after = float(random.uniform(1, MOST))
        _killed(place, seed + number, STARTS[number % len(STARTS)], after)
        counts += judge(place / "walk.noisyseg", place / "log")
        if not counts.lost + counts.half:
            shutil.rmtree(place)
    return counts


def _killed(place: Path, seed: int, first: int, after: float) -> None:
    """Start a window, and kill it after so many acts: 3.4 is well into the fourth."""
    log, words = place / "log", [str(place), str(seed), str(first), str(place / "log")]
    with (place / "words").open("wb") as said:
        child = subprocess.Popen(
            on_display([sys.executable, "-P", "-m", CHILD, *words]), stdout=said, stderr=said
        )
        end, acted, since = time.monotonic() + PATIENCE, 0, time.monotonic()
        while acted + (time.monotonic() - since) / ACT < after or acted < int(after):
            if child.poll() is not None or time.monotonic() > end:
                child.kill()
                raise JobError(f"the window did not work: {(place / 'words').read_text()[-300:]}")
            if (done := len(points.said(log, "shown"))) > acted:
                acted, since = done, time.monotonic()
            time.sleep(ACT / 20)
        with contextlib.suppress(ProcessLookupError):
            # the program, not the display that it may have been given
            kill = signal.SIGKILL if os.name == "posix" else signal.SIGTERM
            os.kill(int(points.said(log, "ready")[0]), kill)
        child.wait(PATIENCE)


def judge(path: Path, log: Path) -> Counts:
    """What a kill left of a project, held against what the window had shown; one kill's counts."""
    said = [json.loads(line) for line in points.said(log, "shown")]
    told = max(map(int, points.said(log, "told")), default=0)
    try:
        with Project.open(path) as project:
            gone = _gone(project, said[-1] if said else {}, told)
        wrong = acts.disagreements(path)
    except (NoisySegError, OSError) as error:
        gone, wrong = [], [str(error)]
    for text in gone + wrong:
        print(f"{path}: {text}", file=sys.stderr)
    return Counts(1, len(said), int(bool(gone)), int(bool(wrong)))


def _gone(project: Project, shown: Mapping[str, Any], told: int) -> list[str]:
    """What was shown and is not stored."""
    version, image = project.nuclei.version(), shown.get("image")
    found = []
    if version < max(told, shown.get("version", 0)):
        found.append(f"the window knew of step {told}, the project of {version}")
    if image is None or image not in {record.name for record in project.images()}:
        return found
    later = project.nuclei.journal(shown["version"])
    since = Aspect.NOTHING
    for entry in later:
        since |= entry.aspects
    stored = _stored(project, image, shown)
    for kind, aspects in TOUCHED.items():
        if kind in shown and not since & aspects and not _same(shown[kind], stored[kind]):
            found.append(f"{kind} of {image} were shown as {shown[kind]}, stored: {stored[kind]}")
    return found


def _stored(project: Project, image: str, shown: Mapping[str, Any]) -> dict[str, Any]:
    """What the project holds, told as the window tells what it shows."""
    nuclei = project.nuclei
    judged = [c for record in project.images() for c in nuclei.judged(record.name)]
    box = shown.get("rough", [[0, 0, 0, 0]])[0]
    drawn = np.ascontiguousarray(nuclei.painted(image, "rough", Box(*box)), np.int32)
    return {
        "points": {str(n.serial): [n.y, n.x] for n in nuclei.of(image)},
        "fields": [[edge - 0.5 for edge in field.box] for field in nuclei.fields(image)],
        "rough": [box, hashlib.sha256(drawn.tobytes()).hexdigest()],
        "decided": {c.id: c.state for c in judged if c.state != "unreviewed"},
    }


def _same(shown: Any, stored: Any) -> bool:
    """Whether two tellings are the same, numbers but for their rounding."""
    if isinstance(shown, dict):
        return shown.keys() == stored.keys() and all(_same(shown[k], stored[k]) for k in shown)
    if isinstance(shown, list):
        pairs = zip(shown, stored, strict=False)
        return len(shown) == len(stored) and all(_same(a, b) for a, b in pairs)
    if isinstance(shown, int | float):
        return bool(abs(shown - stored) < 0.01)
    return bool(shown == stored)
