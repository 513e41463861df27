"""`window-walk`: real events at random in the real window; do disk, canvas and panel agree?"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from ..errors import JobError
from .display import on_display
from .report import Report

ACTS = 2000
SEEDS = 3
"""of the long form, from the first one on"""
SEED, NUMBERS = "NOISYSEG_WALK_SEED", "NOISYSEG_WALK_ACTS"
"""of the environment, to walk a walk again: its seed, and its acts (how many, or which: 3,17)"""


def run(data: Path, full: bool) -> Report:
    """A walk through a project of three images of real tissue; with `full` three walks."""
    first = int(os.environ.get(SEED, "1"))
    acts = os.environ.get(NUMBERS, str(ACTS))
    seeds = range(first, first + SEEDS) if full else [first]
    return report([_walk(data, seed, acts) for seed in seeds])


def report(walks: list[dict[str, Any]]) -> Report:
    """What the walks came to: a row for every disagreement and every exception."""
    figures = {
        "acts": float(sum(walk["acts"] for walk in walks)),
        "disagreements": float(sum(len(walk["disagreements"]) for walk in walks)),
        "exceptions": float(sum(len(walk["exceptions"]) for walk in walks)),
        "worst_stall_ms": max(walk["worst_stall_ms"] for walk in walks),
        "worst_turn_cpu_ms": max(walk["worst_turn_cpu_ms"] for walk in walks),
    }
    rows = [
        {"seed": walk["seed"], "act": one["act"], "did": one["did"], "words": one["words"]}
        for walk in walks
        for one in (*walk["disagreements"], *walk["exceptions"])
    ]
    return Report("window-walk", figures, rows)


def _walk(data: Path, seed: int, acts: str) -> dict[str, Any]:
    """One walk in a process of its own, on a virtual display where there is none."""
    with tempfile.TemporaryDirectory() as scratch:
        words = [scratch, str(seed), acts, str(data)]
        command = on_display([sys.executable, "-P", "-m", "napari_noisyseg.gui.wander", *words])
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise JobError(f"window-walk: seed {seed} broke off: {done.stderr.strip()[-300:]}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found
