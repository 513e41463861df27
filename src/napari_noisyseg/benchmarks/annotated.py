"""`annotated-field` and `jitter`: points of one field, two minutes of training, refined nuclei."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..instances import from_points
from ..metrics import aji
from ..stains.deconvolution import FIXED, densities
from . import baselines, trainings
from .ledger import rows_of
from .report import Report, Row, mean
from .tissue import Field, fields, inner_points, shifted

SECONDS, JITTER_SECONDS = 120.0, 60.0
IMAGES = 10
JITTER_IMAGES = 6
"""with three shifts and two trainings each: what fits 40 minutes"""
SHIFTS = (0, 4, 8)


def run(data: Path, full: bool) -> Report:
    """Ten fields of MoNuSeg; the long form goes on with 30, and with other tissue."""
    jobs = [(f.stem, partial(_field, f)) for f in _chosen(data, full)]
    rows, complete = rows_of("annotated-field", full, jobs)
    figures = {
        key: mean(rows, key)
        for key in (
            "aji",
            "aji_starter",
            "aji_outline",
            "aji_without_network",
            "aji_local",
            "aji_otsu_voronoi",
            "aji_random_forest",
        )
    }
    figures["first_preview_seconds"] = _worst(rows, "first_preview_seconds")
    figures["seconds"] = _worst(rows, "seconds")
    return Report("annotated-field", {**figures, "complete": float(complete)}, rows)


def _chosen(data: Path, full: bool) -> list[Field]:
    monuseg = fields(data, "monuseg")
    if not full:
        return monuseg[:IMAGES]
    return monuseg + fields(data, "cpm15") + fields(data, "tnbc_samples")


def _worst(rows: list[Row], key: str) -> float:
    return max(float(str(row[key])) for row in rows)


def _field(field: Field) -> Row:
    truth, rgb = field.truth(), field.rgb()
    points = inner_points(truth)
    coarse = baselines.coarse_of(rgb, points, field.mpp, ("cluster", "local", "outline"))
    otsu = baselines.cut_by_cells(baselines.otsu_mask(rgb), coarse.cells)
    forest = baselines.cut_by_cells(baselines.random_forest_mask(rgb, coarse), coarse.cells)
    return {
        "nuclei": len(points),
        "aji_local": aji(coarse.instances, truth),
        "aji_outline": aji(coarse.outlines, truth),
        "aji_without_network": aji(without_network(field, points), truth),
        "aji_otsu_voronoi": aji(otsu, truth),
        "aji_random_forest": aji(forest, truth),
        **_trained(field, points, truth, SECONDS),
    }


def without_network(field: Field, points: NDArray[np.float64]) -> NDArray[np.int32]:
    """Nuclei read at points as after a training, from a prediction that says nothing.

    What stands above it is what the network has learned.
    """
    rgb = field.rgb()
    nothing = np.full(rgb.shape[:2], 0.5, np.float32)
    return from_points(nothing, points, densities(rgb, FIXED)[0], field.mpp, rgb)


def _trained(
    field: Field, points: NDArray[np.float64], truth: NDArray[np.int32], seconds: float
) -> Row:
    """Two trainings: nothing learned from masks, and as people get it, with the starter."""
    scores, timed = [], []
    for starter in (False, True):
        with tempfile.TemporaryDirectory() as scratch:
            project = trainings.project_of_points(Path(scratch), [field], [points])
            timed.append(trainings.train(project, "scnet", seconds=seconds, starter=starter))
            scores.append(aji(trainings.refined(project, field.stem), truth))
    return {
        "aji": scores[0],
        "aji_starter": scores[1],
        "first_preview_seconds": max(one.first_preview for one in timed),
        "seconds": max(one.seconds for one in timed),
    }


def jitter(data: Path, full: bool) -> Report:
    """Points shifted at random by up to 0, 4 and 8 px, as in the paper's Fig. 7; a minute each."""
    chosen = fields(data, "monuseg")[: None if full else JITTER_IMAGES]
    jobs: list[tuple[str, Callable[[], Row]]] = [
        (f"{field.stem} {by} px", partial(_shifted, field, by)) for field in chosen for by in SHIFTS
    ]
    rows, complete = rows_of("jitter", full, jobs)
    figures = {"complete": float(complete)}
    for by in SHIFTS:
        of_shift = [row for row in rows if row["shift"] == by]
        figures[f"aji_{by}"] = mean(of_shift, "aji")
        figures[f"aji_local_{by}"] = mean(of_shift, "aji_local")
        figures[f"aji_outline_{by}"] = mean(of_shift, "aji_outline")
        figures[f"aji_{by}_starter"] = mean(of_shift, "aji_starter")
    return Report("jitter", figures, rows)


def _shifted(field: Field, by: int) -> Row:
    truth, rgb = field.truth(), field.rgb()
    height, width = truth.shape
    points = shifted(inner_points(truth), by, (height, width), seed=by)
    coarse = baselines.coarse_of(rgb, points, field.mpp, ("local", "outline"))
    untrained = {
        "aji_local": aji(coarse.instances, truth),
        "aji_outline": aji(coarse.outlines, truth),
    }
    return {"shift": by, **untrained, **_trained(field, points, truth, JITTER_SECONDS)}
