"""`gui`: how smooth the window stays while a run trains beside it, and what share the run gets."""

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
    """One field of MoNuSeg in a real window: idle, then while SC-Net trains on it.

    Each of the two alone on the machine, and beside other programs that want every core.
    """
    field = fields(data, "monuseg")[0]
    seconds = FULL_TRAINING_SECONDS if full else TRAINING_SECONDS
    with tempfile.TemporaryDirectory() as scratch:
        project = project_of_points(Path(scratch), [field], [inner_points(field.truth())])
        measured = _probe(project, seconds)
    figures = {**_alone(measured["idle"], measured["training"]), **_busy(measured)}
    return Report("gui", figures, [{"while": key, **row} for key, row in measured.items()])


def _alone(idle: dict[str, float], training: dict[str, float]) -> dict[str, float]:
    return {
        "idle_p99_ms": idle["p99_ms"],
        "training_p99_ms": training["p99_ms"],
        "p99_ratio": training["p99_ms"] / idle["p99_ms"],
        "worst_stall_ms": training["max_ms"],
        "idle_worst_stall_ms": idle["max_ms"],
        "point_delay_ratio": training["point_ms"] / idle["point_ms"],
    }


def _busy(measured: dict[str, dict[str, float]]) -> dict[str, float]:
    """While a program per core spins: the window's p99, and the share of a core in training."""
    idle, busy, both = (measured[key] for key in ("idle", "busy", "busy training"))
    return {
        "busy_p99_ratio": both["p99_ms"] / busy["p99_ms"],
        "busy_over_idle_p99": both["p99_ms"] / idle["p99_ms"],
        "busy_alone_over_idle_p99": busy["p99_ms"] / idle["p99_ms"],
        "busy_worst_stall_ms": both["max_ms"],
        "busy_share": both["share"],
        "busy_point_delay_ratio": both["point_ms"] / busy["point_ms"],
    }


def _probe(project: Path, seconds: float) -> dict[str, dict[str, float]]:
    """The probe in a process of its own, on a virtual display where there is none."""
    words = [str(project), f"{IDLE_SECONDS:g}", f"{seconds:g}"]
    command = on_display([sys.executable, "-P", "-m", "napari_noisyseg.gui.probe", *words])
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise JobError(f"gui: the window did not come to its end: {done.stderr.strip()[-300:]}")
    found: dict[str, dict[str, float]] = json.loads(done.stdout.strip().splitlines()[-1])
    return found
