"""`gui`: how smooth the window stays while a run trains beside it."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from ..errors import JobError
from .display import on_display
from .report import Report
from .tissue import fields, inner_points
from .trainings import project_of_points

IDLE_SECONDS, TRAINING_SECONDS = 20.0, 60.0
FULL_TRAINING_SECONDS = 240.0


def run(data: Path, full: bool) -> Report:
    """One field of MoNuSeg in a real window: idle, then while SC-Net trains on it."""
    field = fields(data, "monuseg")[0]
    seconds = FULL_TRAINING_SECONDS if full else TRAINING_SECONDS
    with tempfile.TemporaryDirectory() as scratch:
        project = project_of_points(Path(scratch), [field], [inner_points(field.truth())])
        measured = _probe(project, seconds)
    idle, training = measured["idle"], measured["training"]
    figures = {
        "idle_p99_ms": idle["p99_ms"],
        "training_p99_ms": training["p99_ms"],
        "p99_ratio": training["p99_ms"] / idle["p99_ms"],
        "worst_stall_ms": training["max_ms"],
        "idle_worst_stall_ms": idle["max_ms"],
        "point_delay_ratio": training["point_ms"] / idle["point_ms"],
    }
    return Report("gui", figures, [{"while": key, **row} for key, row in measured.items()])


def _probe(project: Path, seconds: float) -> dict[str, dict[str, float]]:
    """The probe in a process of its own, on a virtual display where there is none."""
    words = [str(project), f"{IDLE_SECONDS:g}", f"{seconds:g}"]
    command = on_display([sys.executable, "-m", "napari_noisyseg.gui.probe", *words])
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise JobError(f"gui: the window did not come to its end: {done.stderr.strip()[-300:]}")
    found: dict[str, dict[str, float]] = json.loads(done.stdout.strip().splitlines()[-1])
    return found
