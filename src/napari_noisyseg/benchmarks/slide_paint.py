"""`slide-paint`: strokes anywhere on a whole slide, and panning over very many nuclei."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import JobError
from ..slides import Box
from ..store import Project
from ..worker.adoption.adopt import adopt_finished
from . import many, sheet
from .display import on_display
from .report import Report
from .slides import HEIGHT, WIDTH

FIELD = 1000
"""side of a field in px"""
STROKES = (60, 300)
NUCLEI = (20_000, 200_000)
FRAMES = (60, 200)
"""each of the quick and of the long form"""
PATIENCE_MS = 10_000
"""after which a stroke counts as lost"""


def run(data: Path, full: bool) -> Report:
    """Strokes in fields at the middle and the corners of 100,000 x 80,000 px; frames of a pan."""
    with tempfile.TemporaryDirectory() as scratch:
        strokes = _hand(_fields(data, Path(scratch)), "paint", STROKES[full])["strokes"]
    with tempfile.TemporaryDirectory() as scratch:
        frames = _hand(_nuclei(data, Path(scratch), NUCLEI[full]), "pan", FRAMES[full])
    kept = [t for t in strokes if t == t]
    p95 = {name: float(np.percentile(times, 95)) for name, times in frames.items()}
    figures = {
        "stroke_p95_ms": float(np.percentile(kept, 95)),
        "strokes_lost": float(len(strokes) - len(kept)),
        "pan_ratio": p95["nuclei"] / p95["bare"],
        "pan_p95_ms": p95["nuclei"],
        "bare_p95_ms": p95["bare"],
    }
    return Report("slide-paint", figures, [{"nuclei": NUCLEI[full], "strokes": len(strokes)}])


def _fields(data: Path, folder: Path) -> Path:
    """A project of the largest slide with a field in its middle and in each corner."""
    sheet.write(data, folder / "slide.tif", HEIGHT, WIDTH)
    with Project.create(folder / "paint.noisyseg") as project:
        name = project.add_image(folder / "slide.tif").name
        far = (HEIGHT - FIELD, WIDTH - FIELD)
        middle = (far[0] // 2, far[1] // 2)
        for y, x in [middle, *((y, x) for y in (0, far[0]) for x in (0, far[1]))]:
            project.nuclei.add_field(name, Box(y, x, y + FIELD, x + FIELD), complete=False)
        return project.path


def _nuclei(data: Path, folder: Path, count: int) -> Path:
    """A project of a slide in which a run found so many nuclei."""
    many.make(data, folder, count)
    path = folder / "many.noisyseg"
    with Project.open(path) as project:
        adopt_finished(project)
    return path


def _hand(project: Path, what: str, count: int) -> dict[str, Any]:
    """The hand in a process of its own, on a virtual display where there is none."""
    words = [str(project), what, str(count)]
    command = on_display([sys.executable, "-P", "-m", "napari_noisyseg.gui.slidehand", *words])
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise JobError(f"slide-paint: the window broke off: {done.stderr.strip()[-300:]}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found
