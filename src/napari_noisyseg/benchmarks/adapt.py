"""`adapt`: whether the outlines of the rest follow when some nuclei of a field are corrected."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..coarse import CoarseLabels
from ..coarse.appearance import appearance
from ..coarse.outline import Look
from ..coarse.starter import OUTLINE, Network, at_click, model_weights
from ..metrics import aji
from ..noise import points as clicks
from .coarse import FIRST
from .report import Report, Row, mean
from .tissue import Field, fields

if TYPE_CHECKING:
    from ..learning.starter.squares import View

JITTER = 4
"""px by which clicks miss the middle, at most"""
CORRECTED = (20, 60)
ORDERS = {"random": "", "queue": "_queue"}
"""Which nuclei are corrected, and how that figure's name ends."""
Ints = NDArray[np.int32]


def run(data: Path, full: bool) -> Report:
    """Nuclei of each field are corrected to the truth: AJI of the others, and of the next image.

    At random, or the least sure first as the review has them. What is learned is used where
    held-out corrections say so; the control arm is the starter as it is. First ten images of
    MoNuSeg; all with `full`.
    """
    some = fields(data, "monuseg")[: None if full else FIRST]
    rows = [
        _row(field, following, number, order)
        for order in ORDERS
        for field, following in zip(some, [*some[1:], some[0]], strict=True)
        for number in CORRECTED
    ]
    figures: dict[str, float] = {}
    for order, tail in ORDERS.items():
        for number in CORRECTED:
            picked = [r for r in rows if r["corrected"] == number and r["order"] == order]
            figures[f"gain_{number}{tail}"] = mean(picked, "gain")
            figures[f"used_{number}{tail}"] = mean(picked, "used")
    figures |= {
        "worst": min(float(str(row["gain"])) for row in rows),
        "gain_next_image": mean([r for r in rows if r["corrected"] == CORRECTED[-1]], "gain_next"),
        "seconds": mean(rows, "seconds"),
        "seconds_worst": max(float(str(row["seconds"])) for row in rows),
    }
    return Report("adapt", figures, rows)


def _row(field: Field, following: Field, number: int, order: str) -> Row:
    from ..learning.starter.adapt import adapt

    truth, places = field.truth(), clicks(field.truth(), JITTER, seed=JITTER)
    serials = np.unique(truth)[1:]
    decided = _ordered(field, places, serials, order, number)[:number]
    view = _view(field, places, serials, np.where(np.isin(truth, decided), truth, 0))
    picks = [(view, at) for at in np.flatnonzero(np.isin(serials, decided)).tolist()]
    start = time.perf_counter()
    found = adapt(model_weights(OUTLINE), picks)
    seconds = time.perf_counter() - start
    look = at_click(Network(OUTLINE, found.weights)) if found.better else None
    rest = serials[~np.isin(serials, decided)]
    before, after = (_aji(field, places, serials, rest, by) for by in (None, look))
    others = clicks(following.truth(), JITTER, seed=JITTER)
    every = np.unique(following.truth())[1:]
    there, then = (_aji(following, others, every, every, by) for by in (None, look))
    return {
        "key": f"{field.stem} {number} {order}", "corrected": number, "order": order,
        "used": float(found.better),
        "before": before, "after": after, "gain": after - before, "gain_next": then - there,
        "held_out_before": found.before, "held_out_after": found.after, "seconds": seconds,
    }  # fmt: skip


def _ordered(
    field: Field, places: NDArray[np.float64], serials: Ints, order: str, seed: int
) -> Ints:
    """The nuclei in the order in which they are corrected."""
    if order == "random":
        return np.random.default_rng(seed).permutation(serials)
    rgb = field.rgb()
    points = {int(s): (float(y), float(x)) for s, (y, x) in zip(serials, places, strict=True)}
    known = np.ones(rgb.shape[:2], bool)
    sure = CoarseLabels(rgb, points, known, field.mpp, kinds=("outline",)).certainty()
    return np.array(sorted(serials.tolist(), key=lambda s: sure[s]), serials.dtype)


def _view(
    field: Field, places: NDArray[np.float64], serials: NDArray[np.int32], settled: Ints
) -> View:
    import torch

    from ..learning.starter.squares import View

    planes = torch.from_numpy(appearance(field.rgb(), field.mpp)).half()
    labels = torch.from_numpy(settled.astype(np.int32))
    return View(planes, labels, places, serials.astype(np.int64))


def _aji(
    field: Field, places: NDArray[np.float64], serials: Ints, scored: Ints, look: Look | None
) -> float:
    """AJI of some of the nuclei, the others taken from both sides."""
    rgb = field.rgb()
    points = {int(s): (float(y), float(x)) for s, (y, x) in zip(serials, places, strict=True)}
    known = np.ones(rgb.shape[:2], bool)
    found = CoarseLabels(rgb, points, known, field.mpp, kinds=("outline",), look=look).outlines
    truth = field.truth()
    ours, true = (np.where(np.isin(x, scored), x, 0).astype(np.int32) for x in (found, truth))
    return aji(ours, true)
