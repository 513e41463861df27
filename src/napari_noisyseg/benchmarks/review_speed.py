"""`review-speed`: from a key in the real window to the next nucleus drawn, and the memory."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import JobError
from ..store import Project
from ..worker.adoption.adopt import adopt_finished
from .display import on_display
from .many import rows_of
from .report import Report
from .tissue import Field, fields, inner_points

NUCLEI = 500
SHIFT = (2, -1)
"""pixels by which what the run found lies off the truth"""
LOOKS, FULL_LOOKS = 250, 500
"""decisions whose next nucleus is timed"""
DECISIONS = 2000
IMAGES = 5
"""of the long form's second project, whose order goes from image to image"""
SEED = 4


def run(data: Path, full: bool) -> Report:
    """500 nuclei of a field of MoNuSeg, reviewed by keys; with `full` of five fields as well.

    `next_...`: from the key to the next nucleus drawn, after a rest as a person's eye needs it;
    `hurried_...`: without any rest. `..._cpu_ms`: processor time of the window's thread.
    """
    some = fields(data, "monuseg")
    one = next(f for f in some if len(np.unique(f.truth())) > NUCLEI)
    figures, rows = _figures([one], FULL_LOOKS if full else LOOKS, DECISIONS)
    if full:
        across, more = _figures(some[:IMAGES], LOOKS, LOOKS)
        figures |= {f"across_{key}": v for key, v in across.items() if key.startswith("next")}
        rows += more
    return Report("review-speed", figures, rows)


def _figures(
    some: Sequence[Field], looks: int, decisions: int
) -> tuple[dict[str, float], list[dict[str, object]]]:
    with tempfile.TemporaryDirectory() as scratch:
        project = make(Path(scratch), some)
        found = _reviewed(project, looks, decisions)
    calm, hurried = (np.array(found[key], float).reshape(-1, 2) for key in ("calm", "hurried"))
    memory = found["memory_mb"]
    figures = {
        "nuclei": float(NUCLEI),
        "decisions": float(decisions),
        "next_p95_ms": _percentile(calm[:, 0], 95),
        "next_p50_ms": _percentile(calm[:, 0], 50),
        "next_cpu_ms": _percentile(calm[:, 1], 50),
        "next_p95_cpu_ms": _percentile(calm[:, 1], 95),
        "hurried_p95_ms": _percentile(hurried[:, 0], 95),
        "memory_mb": float(memory[-1]),
        "memory_growth_mb": float(memory[-1] - memory[0]),
    }
    row = {"images": len(some), "looks": len(calm), "memory_mb": memory}
    return {k: v for k, v in figures.items() if v == v}, [row]


def _percentile(values: NDArray[np.float64], q: float) -> float:
    return float(np.percentile(values, q)) if len(values) else float("nan")


def make(folder: Path, some: Sequence[Field], count: int = NUCLEI) -> Path:
    """A project of `count` nuclei in these fields, clicked, and found by a run a little off."""
    with Project.create(folder / "review.noisyseg") as project:
        run, random = project.runs.new(), np.random.default_rng(SEED)
        run.write_spec({"method": "scnet"})
        target = run.dir / "results"
        target.mkdir()
        regions = []
        for k, one in enumerate(some):
            share = count * (k + 1) // len(some) - count * k // len(some)
            name = project.add_image(one.image, mpp=one.mpp).name
            truth = _first(one.truth(), share)
            nuclei = project.nuclei.add_many(name, inner_points(truth))
            serials = np.array([0, *(n.serial for n in nuclei)], np.int32)
            labels = serials[np.roll(truth, SHIFT, (0, 1))]
            np.savez(target / f"{k}.npz", labels=labels)
            found = [{**row, "serial": row["label"], "score": float(random.beta(5, 2)),
                      "reason": "the edge is faint"} for row in rows_of(labels)]  # fmt: skip
            regions.append({"file": f"{k}.npz", "image": name, "box": [0, 0, *labels.shape],
                            "candidates": found})  # fmt: skip
        (target / "index.json").write_text(json.dumps({"regions": regions}), "utf-8")
        adopt_finished(project)
        return project.path


def _first(labels: NDArray[np.int32], count: int) -> NDArray[np.int32]:
    """The first nuclei of a field alone, numbered from 1 without a gap."""
    values = np.unique(labels)[1 : count + 1]
    table = np.zeros(int(labels.max()) + 1, np.int32)
    table[values] = np.arange(1, len(values) + 1)
    return np.asarray(table[labels], np.int32)


def _reviewed(project: Path, looks: int, decisions: int) -> dict[str, Any]:
    """The reviewer in a process of its own, on a virtual display where there is none."""
    words = [str(project), str(looks), str(decisions)]
    command = on_display([sys.executable, "-P", "-m", "napari_noisyseg.gui.reviewer", *words])
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise JobError(f"review-speed: the window broke off: {done.stderr.strip()[-300:]}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found
