"""`outline`: what a click is worth before any training, and how fast its outline is there."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from ..coarse import CoarseLabels
from ..metrics import aji
from ..noise import points as clicks
from .coarse import CLICKS, CROWDED, FIRST, NUCLEI, REPEATS, Points, numbered
from .report import Report, Row, mean
from .tissue import Field, fields

JITTERS = (0, 4, 8)
"""px by which clicks miss the middle, at most"""
OTHERS = ("cpm15",)
KINDS = ("outline", "local")
LOADED = """
import sys, numpy as np
from napari_noisyseg.coarse import CoarseLabels
rgb = np.full((64, 64, 3), (200, 120, 180), np.uint8)
CoarseLabels(rgb, {1: (32, 32)}, np.ones((64, 64), bool), 0.25).outlines
print("torch" in sys.modules)
"""


def run(data: Path, full: bool) -> Report:
    """AJI of the outlines at exact and at careless clicks beside the untrained ones, and speed.

    The first ten images of MoNuSeg and CPM-15; all images with `full`. Neither set taught the
    starter anything.
    """
    monuseg = fields(data, "monuseg")[: None if full else FIRST]
    rows = [_row(field, "monuseg", by) for field in monuseg for by in JITTERS]
    for name in OTHERS:
        rows += [_row(field, name, by) for field in fields(data, name) for by in JITTERS]
    figures = {}
    for name in ("monuseg", *OTHERS):
        for by in JITTERS:
            some = [r for r in rows if r["set"] == name and r["jitter"] == by]
            tail = f"{by}" if name == "monuseg" else f"{by}_{name}"
            figures[f"aji_{tail}"] = mean(some, "outline")
            figures[f"aji_local_{tail}"] = mean(some, "local")
    figures |= _speed(data) | {"torch_loaded": float(_loads_torch())}
    return Report("outline", figures, rows)


def _row(field: Field, name: str, by: int) -> Row:
    truth = field.truth()
    labels = _labels(field, numbered(clicks(truth, by, seed=by)))
    found = {"outline": labels.outlines, "local": labels.instances}
    return {
        "key": f"{field.stem} {by}", "set": name, "jitter": by, "doubt": labels.doubt,
        **{kind: aji(found[kind], truth) for kind in KINDS},
    }  # fmt: skip


def _labels(field: Field, points: Points, lazy: bool = False) -> CoarseLabels:
    rgb = field.rgb()
    return CoarseLabels(
        rgb, points, np.ones(rgb.shape[:2], bool), field.mpp, kinds=KINDS, lazy=lazy
    )


def _speed(data: Path) -> dict[str, float]:
    """A field of 700 nuclei as a whole; one more click anywhere on it, and then its neighbours."""
    field = next(f for f in fields(data, "monuseg") if f.stem == CROWDED)
    points = numbered(clicks(field.truth(), 0), NUCLEI)
    took = []
    for _ in range(REPEATS):
        labels = _labels(field, points, lazy=True)
        start = time.perf_counter()
        shown = labels.outlines
        took.append(time.perf_counter() - start)
    one, neighbours = [], []
    for serial, place in enumerate(np.random.default_rng(0).uniform(0, 999, (CLICKS, 2)), 10**6):
        start = time.perf_counter()
        labels.add(serial, float(place[0]), float(place[1]))
        one.append(1000 * (time.perf_counter() - start))
        start = time.perf_counter()
        labels.catch_up()
        neighbours.append(1000 * (time.perf_counter() - start))
        assert (shown == serial).any(), "a click without an outline"
        labels.remove(serial)
        labels.catch_up()
    return {
        "field_seconds": float(np.median(took)),
        "click_p50_ms": float(np.median(one)),
        "click_p95_ms": float(np.percentile(one, 95)),
        "neighbours_p95_ms": float(np.percentile(neighbours, 95)),
    }


def _loads_torch() -> bool:
    done = subprocess.run(
        [sys.executable, "-P", "-c", LOADED], capture_output=True, text=True, check=True
    )
    return done.stdout.strip() == "True"
