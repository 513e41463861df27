"""`soak`: a day's work in one window in fast motion; does its memory grow, does it ever stall?"""

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

ACTS, FULL_ACTS = 900, 5760
"""of the short form, and of the long one: what a person does in eight hours, one act in 5 s"""
SEED, NUMBER = "NOISYSEG_SOAK_SEED", "NOISYSEG_SOAK_ACTS"
"""of the environment: another day, and how many acts it has"""


def run(data: Path, full: bool) -> Report:
    """Annotate, look, train, adapt and review three images of real tissue, again and again."""
    seed = int(os.environ.get(SEED, "1"))
    acts = int(os.environ.get(NUMBER, str(FULL_ACTS if full else ACTS)))
    return report(_soaked(data, seed, acts))


def report(soaked: dict[str, Any]) -> Report:
    """What the day came to: what went wrong, and which objects became more and more."""
    troubles = [*soaked["disagreements"], *soaked["exceptions"]]
    figures = {
        "acts": float(soaked["acts"]),
        "memory_growth_mb": soaked["memory_growth_mb"],
        "memory_mb": soaked["megabytes"][-1] if soaked["megabytes"] else float("nan"),
        "worst_stall_ms": soaked["worst_stall_ms"],
        "worst_turn_cpu_ms": soaked["worst_turn_cpu_ms"],
        "exceptions": float(len(soaked["exceptions"])),
        "disagreements": float(len(soaked["disagreements"])),
    }
    rows: list[dict[str, object]] = [
        {"what": f"act {one['act']}, {one['did']}", "found": one["words"]} for one in troubles
    ]
    # each holds its pixels once more, as a texture, and growth is to be read beside them
    held = [f"{mb:.0f} MB with {n}" for mb, n in zip(*_held(soaked), strict=True)]
    rows.append({"what": "layers in the window", "found": ", ".join(held)})
    rows += [
        {"what": kind, "found": f"{counts[0]} … {counts[-1]} objects"}
        for kind, counts in soaked["grown"].items()
    ]
    return Report("soak", figures, rows)


def _held(soaked: dict[str, Any]) -> tuple[list[float], list[int]]:
    """Readings of the memory and layers of the window then, six of them at most."""
    every = max(1, len(soaked["layers"]) // 6)
    return soaked["megabytes"][every - 1 :: every], soaked["layers"][every - 1 :: every]


def _soaked(data: Path, seed: int, acts: int) -> dict[str, Any]:
    """The day in a process of its own, on a virtual display where there is none."""
    with tempfile.TemporaryDirectory() as scratch:
        words = [scratch, str(seed), str(acts), str(data)]
        command = on_display(
            [sys.executable, "-P", "-m", "napari_noisyseg.gui.wander.soak", *words]
        )
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise JobError(f"soak: seed {seed} broke off, see above")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found
