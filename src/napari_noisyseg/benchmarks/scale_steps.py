"""What is timed of a very large project: `python -m …scale_steps FOLDER STEP`, one JSON line."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil

from ..exchange.exporting import export as export_to
from ..review.queue import ReviewQueue
from ..slides import Box
from ..store import Project
from ..worker.adoption.adopt import adopt as adopt_run
from .many import IMAGE
from .report import Row

DECISIONS = 200
LOOKS = 200
SEEN = (1000, 1600)
"""pixels of the image in the window at full resolution"""
SEED = 5


def adopt(folder: Path) -> Row:
    """Take a run's results in."""
    with Project.open(folder / "many.noisyseg") as project:
        began = time.perf_counter()
        adopt_run(project, project.runs.list()[0])
        return {"adopt_seconds": time.perf_counter() - began}


def use(folder: Path) -> Row:
    """Open, make the queue, judge one nucleus after the other, look here and there."""
    began = time.perf_counter()
    with Project.open(folder / "many.noisyseg") as project:
        project.nuclei.counts()
        opened = time.perf_counter()
        queue = ReviewQueue(project)
        queued = time.perf_counter()
        return {
            "nuclei": len(queue),
            "open_seconds": opened - began,
            "queue_seconds": queued - opened,
            "next_ms": _next(queue),
            "viewport_ms": _viewport(project),
        }


def _next(queue: ReviewQueue) -> float:
    """A decision, and the next nucleus with its outline: p95 in ms."""
    row, took = 0, []
    for k in range(DECISIONS):
        began = time.perf_counter()
        queue.decide([queue.items[row].id], "accepted" if k % 3 else "rejected")
        row = queue.open_after(row) or 0
        queue.outline(queue.items[row]).mask.any()
        took.append(time.perf_counter() - began)
    return float(np.percentile(took, 95)) * 1e3


def _viewport(project: Project) -> float:
    """The nuclei in the window, outlines and decisions, somewhere else each time: p95 in ms."""
    record, (height, width) = project.image(IMAGE), SEEN
    generator, took = np.random.default_rng(SEED), []
    for _ in range(LOOKS):
        y = int(generator.integers(max(1, record.height - height)))
        x = int(generator.integers(max(1, record.width - width)))
        box = Box(y, x, y + height, x + width)
        began = time.perf_counter()
        for candidate in project.nuclei.candidates(IMAGE, box=box):
            candidate.outline.mask.any()
        took.append(time.perf_counter() - began)
    return float(np.percentile(took, 95)) * 1e3


def export(folder: Path) -> Row:
    """GeoJSON and CSV, nuclei a second."""
    row: Row = {}
    with Project.open(folder / "many.noisyseg", write=False) as project:
        count = project.nuclei.counts().candidates
        for format in ("geojson", "csv"):
            began = time.perf_counter()
            (path,) = export_to(project, folder / format, format)
            row[f"{format}_per_second"] = count / (time.perf_counter() - began)
            path.unlink()
    return row


STEPS: dict[str, Callable[[Path], Row]] = {"adopt": adopt, "use": use, "export": export}


def _peak_mb() -> float:
    """The most memory that this process has held so far."""
    if sys.platform == "win32":
        return float(psutil.Process().memory_info().peak_wset) / 2**20
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak) / (2**20 if sys.platform == "darwin" else 2**10)


if __name__ == "__main__":
    measured = STEPS[sys.argv[2]](Path(sys.argv[1]))
    print(json.dumps({"step": sys.argv[2], **measured, "memory_mb": _peak_mb()}))
