"""Trainings as a person would start them: the command line, on a project in a scratch folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import JobError
from ..store import Project
from .tissue import Field

CPU_THREADS = 2
"""the figures are meant for a laptop of two cores"""


@dataclass(frozen=True, slots=True)
class Trained:
    """A finished training: its project, its run's folder, and what its events say."""

    project: Path
    run: Path
    seconds: float
    first_preview: float


def noisyseg(*words: str | Path, gpu: bool = False) -> str:
    """Run one command in a child of its own; its stdout. Raises JobError with its last words.

    gpu: whether the child sees one; the figures of a laptop are made without.
    """
    command = [sys.executable, "-P", "-m", "napari_noisyseg", *map(str, words)]
    env = dict(os.environ) if gpu else _two_cores()
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    if done.returncode:
        raise JobError(f"noisyseg {words[0]}: {done.stderr.strip().splitlines()[-1:]}")
    return done.stdout


def _two_cores() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": str(CPU_THREADS), "CUDA_VISIBLE_DEVICES": ""}


def project_of_points(
    folder: Path, images: Sequence[Field], points: Sequence[NDArray[np.float64]]
) -> Path:
    """A project whose images are fields marked as a whole by the points given."""
    csv = folder / "points"
    csv.mkdir(parents=True)
    for field, marked in zip(images, points, strict=True):
        rows = "".join(f"{x:g},{y:g}\n" for y, x in marked)
        (csv / f"{field.stem}.csv").write_text("x,y\n" + rows)
    return create(folder, images, "--points", csv)


def project_of_masks(folder: Path, images: Sequence[Field]) -> Path:
    """A project whose images are fields with trusted masks of every nucleus."""
    masks = folder / "masks"
    masks.mkdir(parents=True)
    for field in images:
        (masks / field.labels.name).symlink_to(field.labels.resolve())
    return create(folder, images, "--clean", masks, "--clean-complete")


def create(folder: Path, images: Sequence[Field], *words: str | Path) -> Path:
    """A project of these images in the folder, with more words for `noisyseg create`."""
    project = folder / "benchmark.noisyseg"
    pictures = [word for field in images for word in ("--images", field.image)]
    noisyseg("create", project, *pictures, "--mpp", str(images[0].mpp), *words)
    return project


def train(
    project: Path,
    method: str,
    *words: str,
    seconds: float | None = None,
    starter: bool = False,
) -> Trained:
    """`noisyseg train` on the CPU, timed from command to exit.

    seconds: its time budget, with which the figure depends on the machine and what else it does.
    starter: with the networks that come with the package, which learned from masks of other tissue;
    without them nothing is known but what is given.
    """
    began, clock = time.time(), time.monotonic()
    budget = () if seconds is None else ("--time-budget", f"{seconds:g}")
    reading = ("--init", "starter" if starter else "none")
    here = ("--device", "cpu", "--json")
    command = ("train", project, "--method", method, *budget, *here, *reading, *words)
    out = json.loads(noisyseg(*command))
    run = Path(out["dir"])
    return Trained(project, run, time.monotonic() - clock, _first_preview(run) - began)


def _first_preview(run: Path) -> float:
    for line in (run / "events.jsonl").read_text("utf-8").splitlines():
        event = json.loads(line)
        if event["event"] == "Previewed":
            return float(event["time"])
    return float("nan")


def refined(project: Path, image: str) -> NDArray[np.int32]:
    """The refined nuclei of one image, (H, W)."""
    with Project.open(project, write=False) as opened:
        labels = opened.labels.read(image, "refined")
    if labels is None:
        raise JobError(f"{project}: no refined nuclei of {image}")
    return np.asarray(labels, dtype=np.int32)
