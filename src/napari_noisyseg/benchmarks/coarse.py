"""`coarse`: how fast coarse labels come, how fast they follow a click, and how right they are."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..coarse import CoarseLabels
from ..metrics import aji
from . import straight
from .report import Report, Row, mean
from .tissue import Field, fields, inner_points

CROWDED = "TCGA-HE-7128-01Z-00-DX1"
"""the field that is timed: it has more than the 700 nuclei wanted"""
NUCLEI = 700
REPEATS = 5
CLICKS = 200
SAMPLED = 70
"""nuclei that the short form times of the straight way, the others taken to last as long"""
FIRST = 10
"""images of MoNuSeg that the quality of outlines is given on"""
OTHERS = ("cpm15", "tnbc_samples")

Points = Mapping[int, tuple[float, float]]


def run(data: Path, full: bool) -> Report:
    """Speed on one field of 700 nuclei, quality on all of MoNuSeg, CPM-15 and TNBC.

    The long form times the straight way on all nuclei of the field, not on a tenth of them.
    """
    speed = _speed(data, full)
    monuseg = [_quality(field) for field in fields(data, "monuseg")]
    others = {name: [_quality(field) for field in fields(data, name)] for name in OTHERS}
    figures = {
        **speed,
        "background_precision_mean": mean(monuseg, "background_precision"),
        "background_precision_worst": min(float(str(r["background_precision"])) for r in monuseg),
        "nucleus_precision_mean": mean(monuseg, "nucleus_precision"),
        "ignored_share_mean": mean(monuseg, "ignored_share"),
        "nucleus_share_mean": mean(monuseg, "nucleus_share"),
        "local_aji_mean": mean(monuseg[:FIRST], "local_aji"),
        "local_aji_all_mean": mean(monuseg, "local_aji"),
        **{f"local_aji_{name}_mean": mean(rows, "local_aji") for name, rows in others.items()},
    }
    return Report("coarse", figures, [*monuseg, *(row for rows in others.values() for row in rows)])


def _speed(data: Path, full: bool) -> dict[str, float]:
    field = next(f for f in fields(data, "monuseg") if f.stem == CROWDED)
    rgb, points = field.rgb(), numbered(inner_points(field.truth()), NUCLEI)
    _derive(rgb, points, field.mpp)  # imports and caches of the first call are not the labels'
    took = [_timed(rgb, points, field.mpp) for _ in range(REPEATS)]
    labels = _derive(rgb, points, field.mpp)
    straight_seconds = straight.seconds(rgb, points, labels, len(points) if full else SAMPLED)
    seconds = float(np.median(took))
    return {
        "nuclei": float(len(points)),
        "full_seconds": seconds,
        "full_speedup": straight_seconds / seconds,
        "straight_seconds": straight_seconds,
        "click_p95_ms": float(np.percentile(_clicks(labels), 95)),
    }


def _timed(rgb: NDArray[np.uint8], points: Points, mpp: float) -> float:
    start = time.perf_counter()
    _derive(rgb, points, mpp)
    return time.perf_counter() - start


def _derive(rgb: NDArray[np.uint8], points: Points, mpp: float) -> CoarseLabels:
    """All three labels of a field that is known throughout."""
    labels = CoarseLabels(rgb, points, np.ones(rgb.shape[:2], bool), mpp)
    for kind in ("voronoi", "cluster", "local"):
        getattr(labels, kind)
    return labels


def _clicks(labels: CoarseLabels) -> list[float]:
    """Milliseconds that each of many clicks took, anywhere, all three labels kept up to date."""
    took = []
    for serial, place in enumerate(np.random.default_rng(0).uniform(0, 999, (CLICKS, 2)), 10**6):
        start = time.perf_counter()
        labels.add(serial, float(place[0]), float(place[1]))
        took.append(1000 * (time.perf_counter() - start))
        labels.remove(serial)
    return took


def _quality(field: Field) -> Row:
    truth = field.truth()
    labels = _derive(field.rgb(), numbered(inner_points(truth)), field.mpp)
    nucleus, background = labels.cluster == 1, labels.cluster == 0
    return {
        "key": field.stem,
        "nuclei": int(len(np.unique(truth)) - 1),
        "background_precision": float((truth[background] == 0).mean()),
        "nucleus_precision": float((truth[nucleus] > 0).mean()),
        "ignored_share": float((labels.cluster == 2).mean()),
        "nucleus_share": float(nucleus.mean()),
        "local_aji": aji(labels.instances, truth),
    }


def numbered(points: NDArray[np.float64], at_most: int | None = None) -> Points:
    """Points by serial, evenly thinned out to `at_most`."""
    if at_most is not None and len(points) > at_most:
        points = points[np.linspace(0, len(points) - 1, at_most).round().astype(int)]
    return {serial: (float(y), float(x)) for serial, (y, x) in enumerate(points, 1)}
