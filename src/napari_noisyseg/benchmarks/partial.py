"""`partial-points`: some of a field's points given, the rest suggested.

Given points are drawn at random, the same for every run. A suggestion is right when it lies within
6 px (of 0.25 µm) of a nucleus that was not given, each nucleus counting once. Nuclei are outlined
around given and suggested points, without training, and compared with those around all points.
Actions are clicks given, one key that keeps all, one for each wrong suggestion dropped, and a click
for each nucleus still missed.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from ..instances import suggest
from ..metrics import aji, matched
from .annotated import without_network
from .ledger import rows_of
from .report import Report, Row, mean
from .tissue import Field, fields, inner_points

SHARES = (10, 25, 50)
IMAGES = 10
NEAR = 6.0
"""px of 0.25 µm"""


def run(data: Path, full: bool) -> Report:
    """Ten fields of MoNuSeg; the long form takes all of them, and other tissue."""
    chosen = fields(data, "monuseg")
    if full:
        chosen += fields(data, "cpm15") + fields(data, "tnbc_samples")
    jobs = [
        (f"{field.stem} {share} %", partial(_row, field, share))
        for field in (chosen if full else chosen[:IMAGES])
        for share in SHARES
    ]
    rows, complete = rows_of("partial-points", full, jobs)
    figures = {"complete": float(complete)}
    for share in SHARES:
        some = [row for row in rows if row["share"] == share]
        figures[f"suggest_f1_{share}"] = mean(some, "f1")
        figures[f"aji_{share}_over_100"] = mean(some, "aji") / mean(some, "aji_100")
        figures[f"aji_{share}_given_over_100"] = mean(some, "aji_given") / mean(some, "aji_100")
        figures[f"aji_{share}_reviewed_over_100"] = mean(some, "aji_reviewed") / mean(
            some, "aji_100"
        )
        figures[f"actions_per_nucleus_{share}"] = mean(some, "actions_per_nucleus")
    figures["actions_per_nucleus"] = figures["actions_per_nucleus_25"]
    return Report("partial-points", figures, rows)


def _row(field: Field, share: int) -> Row:
    truth, rgb = field.truth(), field.rgb()
    points = inner_points(truth)
    order = np.random.default_rng(share).permutation(len(points))
    count = max(round(len(points) * share / 100), min(5, len(points)))
    given, left = points[order[:count]], points[order[count:]]
    found = suggest(rgb, given, field.mpp)
    right = matched(found.points, left, NEAR * 0.25 / field.mpp)
    hit, wrong = int(right.sum()), int((~right).sum())
    sets = {
        "aji": np.concatenate([given, found.points]),
        "aji_given": given,
        "aji_reviewed": np.concatenate([given, found.points[right]]),
        "aji_100": points,
    }
    return {
        "share": share,
        "nuclei": len(points),
        "suggested": len(found.points),
        "precision": hit / max(len(found.points), 1),
        "recall": hit / max(len(left), 1),
        "f1": 2 * hit / max(len(found.points) + len(left), 1),
        **{name: aji(without_network(field, places), truth) for name, places in sets.items()},
        "actions_per_nucleus": (count + 1 + wrong + len(left) - hit) / len(points),
    }
