"""`slide-read`, `slide-predict`: slides of any size, opened and predicted in bounded memory."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import JobError
from ..metrics import aji
from ..slides import without_gaps
from ..store.arrays import open_array
from . import sheet
from .report import Report, Row

HEIGHT, WIDTH = 80_000, 100_000
SEED = 5


@dataclass(frozen=True, slots=True)
class Sizes:
    """px of the slide that is compared; of the small and the large one; tiles; kills."""

    compared: int
    small: int
    large: int
    tiles: tuple[int, int] = (256, 1024)
    kills: int = 3


QUICK, LONG = Sizes(1024, 2560, 5120), Sizes(2048, 5000, 20_000, kills=10)


def read(data: Path, full: bool) -> Report:
    """A slide of 100,000 x 80,000 px, to its first pixels, in a fresh process."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "slide.tif"
        sheet.write(data, path, HEIGHT, WIDTH)
        rows = [_child("read", path) for _ in range(5 if full else 3)]
    worst = {key: max(float(str(row[key])) for row in rows) for key in rows[0]}
    return Report("slide-read", worst, rows)


def predict(data: Path, full: bool) -> Report:
    """Speed beside the bare network, memory, and whether tiles and kills leave a trace."""
    return of_sizes(data, LONG if full else QUICK)


def of_sizes(data: Path, sizes: Sizes) -> Report:
    """The figures of `slide-predict` for slides of these sizes."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        slides = {side: folder / f"{side}.tif" for side in _sides(sizes)}
        for side, path in slides.items():
            sheet.write(data, path, side, side)
        speed = _child("speed", slides[sizes.compared], data)
        compared = [
            _child("predict", slides[sizes.compared], folder / f"tiles of {tile}", tile)
            for tile in sizes.tiles
        ]
        labels = [_labels(folder / f"tiles of {tile}") for tile in sizes.tiles]
        killed = _killed(slides[sizes.compared], folder / "killed", sizes, labels[0])
        memory = [
            _child("predict", slides[side], folder / f"memory {side}", 1024)
            for side in (sizes.small, sizes.large)
        ]
    counts = [len(np.unique(found)) - 1 for found in labels]
    figures = {
        "pipeline_share": float(str(speed["pipeline_share"])),
        "memory_ratio": float(str(memory[1]["memory_mb"])) / float(str(memory[0]["memory_mb"])),
        "count_difference": abs(counts[0] - counts[1]) / max(counts[1], 1),
        "aji_between_tiles": aji(_dense(labels[1]), _dense(labels[0])),
        "cut_nuclei": float(_cut(labels[0], labels[1], sizes.tiles)),
        "resumed_difference": killed,
    }
    return Report("slide-predict", figures, [speed, *compared, *memory])


def _sides(sizes: Sizes) -> set[int]:
    return {sizes.compared, sizes.small, sizes.large}


def _labels(folder: Path) -> NDArray[np.int32]:
    return np.asarray(open_array(folder / "slide.ome.zarr", 0, "r")[:])


def _dense(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    return without_gaps(labels)[1]


def _cut(labels: NDArray[np.int32], others: NDArray[np.int32], tiles: tuple[int, int]) -> int:
    """Nuclei with another right across the border of a tile along most of their width.

    That is what a nucleus looks like that was cut in two there. Not counted where larger tiles,
    which have no border there, have two nuclei as well (`others`): the tissue itself has an edge.
    """
    small, large = tiles
    found = 0
    for plane, other in ((labels, others), (labels.T, others.T)):
        for border in range(small, len(plane), small):
            rows, seen = plane[border - 1 : border + 1], other[border - 1 : border + 1]
            apart = (seen[0] != seen[1]) if border % large else np.zeros(plane.shape[1], bool)
            found += _across(rows, apart)
    return found


def _across(rows: NDArray[np.int32], apart: NDArray[np.bool_]) -> int:
    """Pairs in two rows that meet along 8 px and most of their width, not just where `apart`."""
    above, below = rows
    met = (above > 0) & (below > 0) & (above != below)
    found = 0
    for first, second in set(zip(above[met].tolist(), below[met].tolist(), strict=True)):
        both = met & (above == first) & (below == second)
        widest = min(int((above == first).sum()), int((below == second).sum()))
        found += both.sum() >= max(8, 0.8 * widest) and not apart[both].all()
    return found


def _killed(slide: Path, folder: Path, sizes: Sizes, whole: NDArray[np.int32]) -> float:
    """Share of pixels that differ after so many kills at random moments, each resumed."""
    draw, command = random.Random(SEED), _command("predict", slide, folder, sizes.tiles[0])
    began = time.monotonic()
    _child("predict", slide, folder.with_name("unkilled"), sizes.tiles[0])
    lasts = time.monotonic() - began
    for _ in range(sizes.kills):
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            child.wait(draw.uniform(0.2, 0.9) * lasts)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    _child("predict", slide, folder, sizes.tiles[0])
    return float((_labels(folder) != whole).mean())


def _command(step: str, *words: object) -> list[str]:
    return [sys.executable, "-P", "-m", f"{__package__}.slide_steps", step, *map(str, words)]


def _child(step: str, *words: object) -> Row:
    """One step in a process of its own, so that its memory is its own."""
    done = subprocess.run(_command(step, *words), capture_output=True, text=True, check=False)
    if done.returncode:
        raise JobError(f"slides: {step} broke off: {done.stderr.strip()[-300:]}")
    row: Row = json.loads(done.stdout.strip().splitlines()[-1])
    return row
