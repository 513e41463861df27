"""`review-value`: what looks are worth in the queue's order, at random, and by plain uncertainty.

Half of a field's nuclei are clicked, a little off; the centres' network finds the rest, and all are
outlined without any training. A reviewer who knows the true masks looks at one nucleus after the
other: accepts what is right, redraws or rejects what is wrong, and adds what its outline swallowed.
Then the rest is outlined again, without what was rejected, and with what was learned: nuclei that
were found, and that are like what was rejected, are left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from .. import stains
from ..coarse import CoarseLabels, belief
from ..coarse.appearance import appearance
from ..coarse.centres import centres
from ..coarse.outline import Look, seen_at
from ..coarse.starter import OUTLINE, Network, at_click, model_weights
from ..metrics import aji
from ..noise import points as clicks
from ..review.value import values
from ..training.refine import Evidence, judge
from .coarse import FIRST
from .ledger import rows_of, sliced
from .report import Report, Row, mean
from .tissue import Field, fields

JITTER, SHARE = 4, 0.5
"""px by which clicks miss the middle, at most; share of the nuclei that are clicked"""
TAKEN = 8.0
"""px from a click within which nothing further is found"""
RIGHT = 0.5
LOOKS = (20, 50, 100, 200)
SCORED = 100
ORDERS = ("ours", "uncertainty", "random")
ERRS = 0.1
"""share of the looks that a careless reviewer decides wrongly"""
PART = 0.25
"""of an outline that must lie in a nucleus for it to be redrawn as that one"""
Ints = NDArray[np.int32]
Floats = NDArray[np.float64]


def run(data: Path, full: bool) -> Report:
    """First ten images of MoNuSeg; all of them with `full`. `fields`: of how many the figures are.

    Works for ten minutes and keeps its rows; call it again until all is `complete`.
    `over_...`: looks at wrong nuclei, each of which corrects one, among the first 100; `all_...`:
    errors that are gone when the rest is outlined again as well. `aji_N_still`: without learning.
    """
    jobs = [
        (f"{one.stem} {name}", partial(part, one))
        for one in fields(data, "monuseg")[: None if full else FIRST]
        for name, part in (("looks", _looks), ("lessons", _lessons))
    ]
    with sliced():
        rows, complete = rows_of("review-value", full, jobs)
    corrected = {order: mean(rows, order) for order in (*ORDERS, "ours_erring", "random_erring")}
    e = mean(rows, "error_share")
    figures = {
        "error_share": e,
        "over_random": mean(rows, "ours_hits") / (e * SCORED),
        "over_random_wanted": min(2.0, 0.9 / e),
        "over_uncertainty": mean(rows, "ours_hits") / mean(rows, "uncertainty_hits"),
        "all_over_random": corrected["ours"] / corrected["random"],
        "all_over_uncertainty": corrected["ours"] / corrected["uncertainty"],
        "all_over_random_erring": corrected["ours_erring"] / corrected["random_erring"],
        **{f"corrected_{name}": value for name, value in corrected.items()},
    }
    for key in ("aji_0", *(f"aji_{n}{tail}" for n in LOOKS for tail in ("", "_still"))):
        figures[key] = mean(rows, key)
    for key in ("aji_50_erring", "aji_50_erring_still"):
        figures[key] = mean(rows, key)
    figures |= {"fields": float(sum("aji_50" in row for row in rows)), "complete": float(complete)}
    return Report("review-value", figures, rows)


@dataclass(frozen=True, slots=True)
class Case:
    """A field with what is to be judged in it; candidate n is label n + 1 of `labels`.

    clicked: how many of the points a person clicked; the others were found.
    """

    rgb: NDArray[np.uint8]
    mpp: float
    truth: Ints
    points: Floats
    clicked: int
    aim: NDArray[np.intp]
    """the nucleus that each candidate is meant to be: the clicked one, else the most covered; 0"""
    overlap: Floats
    """IoU with it"""
    labels: Ints
    certainty: Floats
    score: Floats
    """confidence"""
    value: Floats

    def outlines(self, kept: NDArray[np.bool_], look: Look | None = None) -> Ints:
        """Those of some candidates, drawn again."""
        return _coarse(self.rgb, self.points, kept, self.mpp, look).outlines

    def order(self, by: str, seed: int) -> NDArray[np.intp]:
        """In which the candidates are looked at."""
        if by == "random":
            return np.random.default_rng(seed).permutation(len(self.points))
        key = self.value if by == "ours" else 1 - self.certainty
        return np.argsort(-key, kind="stable")


def case_of(one: Field) -> Case:
    """Clicks on some nuclei, centres found for the rest, all outlined by the starter."""
    rgb, truth = one.rgb(), one.truth()
    serials = np.unique(truth)[1:]
    chosen = np.random.default_rng(JITTER).random(len(serials)) < SHARE
    clicked = clicks(truth, JITTER, seed=JITTER)[chosen]
    found = centres(rgb, one.mpp).points
    free = KDTree(clicked).query(found)[0] > TAKEN
    points = np.concatenate([clicked, found[free]])
    made = _coarse(rgb, points, np.ones(len(points), bool), one.mpp)
    labels, sure = made.outlines.copy(), made.certainty()
    aim, overlap = _aims(labels, truth, serials[chosen], len(points))
    density = stains.densities(rgb, stains.FIXED)[0].astype(np.float32)
    seen = made.probability
    evidence = Evidence(seen, np.zeros_like(seen), density, rgb, one.mpp)
    judged = {f.label: f for f in judge(evidence, labels, range(1, len(clicked) + 1), sure)}
    candidates: list[Any] = [
        SimpleNamespace(score=f.score, area_um2=f.area_um2) if f else
        SimpleNamespace(score=0.0, area_um2=1.0)
        for f in (judged.get(n + 1) for n in range(len(points)))
    ]  # fmt: skip
    certainty = np.array([sure.get(n + 1, 0.0) for n in range(len(points))])
    score = np.array([each.score for each in candidates])
    return Case(
        rgb, one.mpp, truth, points, len(clicked), aim, overlap, labels, certainty, score,
        values(candidates),
    )  # fmt: skip


def _coarse(
    rgb: NDArray[np.uint8],
    points: Floats,
    kept: NDArray[np.bool_],
    mpp: float,
    look: Look | None = None,
) -> CoarseLabels:
    places = {
        n + 1: (float(points[n, 0]), float(points[n, 1])) for n in np.flatnonzero(kept).tolist()
    }
    known = np.ones(rgb.shape[:2], bool)
    return CoarseLabels(rgb, places, known, mpp, kinds=("outline",), look=look)


def _common(labels: Ints, truth: Ints) -> tuple[NDArray[np.int64], Floats]:
    """Pixels in common, and IoU, of each label and each nucleus; row and column 0 are none."""
    rows, columns = int(labels.max(initial=0)) + 1, int(truth.max(initial=0)) + 1
    flat = labels.astype(np.int64) * columns + truth
    both = np.bincount(flat.ravel(), minlength=rows * columns).reshape(rows, columns)
    sizes, areas = both.sum(axis=1)[:, None], both.sum(axis=0)[None]
    union = np.maximum(sizes + areas - both, 1)
    overlap = both / union
    both, overlap = both.copy(), overlap.copy()
    both[0] = both[:, 0] = 0
    overlap[0] = overlap[:, 0] = 0
    return both, overlap


def _aims(labels: Ints, truth: Ints, clicked: Ints, count: int) -> tuple[NDArray[np.intp], Floats]:
    both, overlap = _common(labels, truth)
    missing = count + 1 - len(both)
    both = np.pad(both, ((0, missing), (0, 0)))[1:]
    overlap = np.pad(overlap, ((0, missing), (0, 0)))[1:]
    aim = np.where(both.any(axis=1), both.argmax(axis=1), 0)
    aim[: len(clicked)] = clicked
    return aim, overlap[np.arange(count), aim]


@dataclass(slots=True)
class Reviewed:
    """What a reviewer did: outlines settled by candidate, those refused, nuclei added; hits."""

    refused: set[int] = field(default_factory=set)
    settled: dict[int, NDArray[np.bool_]] = field(default_factory=dict)
    added: set[int] = field(default_factory=set)
    hits: int = 0

    def kept(self, count: int) -> NDArray[np.bool_]:
        """Which candidates are left."""
        left = np.ones(count, bool)
        left[list(self.refused)] = False
        return left


def review(case: Case, order: NDArray[np.intp], errs: float = 0.0) -> Reviewed:
    """Look at candidates in this order; errs: share of looks that end in the opposite."""
    done, random = Reviewed(), np.random.default_rng(1)
    both, _ = _common(case.labels, case.truth)
    areas = np.bincount(case.truth.ravel())
    taken = set(case.aim[case.overlap >= RIGHT].tolist()) - {0}
    for n in order.tolist():
        right = case.overlap[n] >= RIGHT
        done.hits += not right
        shown = case.labels == n + 1
        if random.random() < errs:
            done.refused.add(n) if right else done.settled.update({n: shown})
            continue
        if right:
            done.settled[n] = shown
            continue
        aim = int(case.aim[n])
        covers = both[n + 1, aim] >= PART * max(int(shown.sum()), 1) if n + 1 < len(both) else False
        if aim and aim not in taken and covers:
            done.settled[n] = case.truth == aim
            taken.add(aim)
        else:
            done.refused.add(n)
        inside = both[n + 1] > areas / 2 if n + 1 < len(both) else np.zeros(len(areas), bool)
        swallowed = set(np.flatnonzero(inside).tolist()) - {0} - taken
        done.added |= swallowed
        taken |= swallowed
    return done


def after(case: Case, done: Reviewed, look: Look | None = None) -> Ints:
    """All nuclei after the review, the rest outlined again."""
    kept = done.kept(len(case.points))
    open_ = kept.copy()
    open_[list(done.settled)] = False
    known = belief.of_look(look)
    if look is not None and known is not None:
        found = np.flatnonzero(open_ & (np.arange(len(kept)) >= case.clicked))
        planes, places = appearance(case.rgb, case.mpp), case.points[found]
        weight = known.weights_of(belief.figures(planes, places, seen_at(planes, places, look)))
        kept[found[weight == 0]] = open_[found[weight == 0]] = False
    drawn = case.outlines(kept, look)
    labels = np.where(np.isin(drawn, np.flatnonzero(open_) + 1), drawn, 0).astype(np.int32)
    for n, mask in done.settled.items():
        labels[mask] = n + 1
    for number, nucleus in enumerate(sorted(done.added), len(case.points) + 1):
        labels[case.truth == nucleus] = number
    return labels


def errors(labels: Ints, truth: Ints) -> int:
    """Nuclei missed or badly outlined, and outlines that are no nucleus at all."""
    both, overlap = _common(labels, truth)
    nuclei, drawn = np.unique(truth)[1:], np.unique(labels[labels > 0])
    met = overlap >= RIGHT
    missed = {int(t) for t in nuclei if not met[:, t].any()}
    count, claimed = len(missed), set[int]()
    for label in drawn.tolist():
        if not met[label].any():
            aim = int(both[label].argmax())
            # a bad outline of a missed nucleus is one error with it
            if aim in missed - claimed and both[label, aim]:
                claimed.add(aim)
            else:
                count += 1
    return count


def learned(case: Case, done: Reviewed) -> Look | None:
    """What outlines learn from the review; None where nothing is to be used."""
    import torch

    from ..learning.starter.adapt import FEWEST, adapt
    from ..learning.starter.squares import View

    count = len(case.points)
    settled, places = np.zeros(case.truth.shape, np.int32), [case.points]
    for n, mask in done.settled.items():
        settled[mask] = n + 1
    for number, nucleus in enumerate(sorted(done.added), count + 1):
        settled[case.truth == nucleus] = number
        places.append(np.argwhere(case.truth == nucleus).mean(axis=0, keepdims=True))
    clicks = np.concatenate(places)
    standing = np.concatenate([done.kept(count), np.ones(len(done.added), bool)])
    rows = np.flatnonzero(standing)
    planes = appearance(case.rgb, case.mpp)
    view = View(
        torch.from_numpy(planes).half(), torch.from_numpy(settled), clicks[rows],
        rows.astype(np.int64) + 1,
    )  # fmt: skip
    decided = {*done.settled, *range(count, len(clicks))}
    picks = [(view, at) for at, n in enumerate(rows.tolist()) if n in decided]
    weights, used = model_weights(OUTLINE), False
    if len(picks) >= FEWEST:
        found = adapt(weights, picks)
        weights, used = (found.weights, True) if found.better else (weights, False)
    # a person says so of what was clicked, settled or added
    known = [n for n in rows.tolist() if n < case.clicked or n in decided]
    gone = [n for n in done.refused if n >= case.clicked and not settled[_pixel(case.points[n])]]
    seen = clicks[[*known, *gone]]
    squares = seen_at(planes, seen, at_click(Network(OUTLINE, weights)))
    open_ = np.ones(count, bool)
    open_[[*range(case.clicked), *done.refused, *done.settled]] = False
    right = float(case.score[open_].mean()) if open_.any() else 0.5
    stands = np.arange(len(seen)) < len(known)
    believed = belief.learned(belief.figures(planes, seen, squares), stands, right)
    if believed is None and not used:
        return None
    tensors = believed.tensors() if believed is not None else {}
    return at_click(Network(OUTLINE, {**weights, **tensors}))


def _pixel(place: Floats) -> tuple[int, int]:
    y, x = np.floor(place + 0.5).astype(int).tolist()
    return y, x


def _looks(one: Field) -> Row:
    """What the first looks correct in each order."""
    case = case_of(one)
    truth = case.truth
    start = errors(case.labels, truth)
    row: Row = {
        "candidates": len(case.points), "nuclei": len(np.unique(truth)) - 1, "errors": start,
        "error_share": float((case.overlap < RIGHT).mean()),
    }  # fmt: skip
    for by in ORDERS:
        done = review(case, case.order(by, start)[:SCORED])
        row[f"{by}_hits"] = done.hits
        row[by] = start - errors(after(case, done), truth)
    for by in ("ours", "random"):
        done = review(case, case.order(by, start)[:SCORED], ERRS)
        row[f"{by}_erring"] = start - errors(after(case, done), truth)
    return row


def _lessons(one: Field) -> Row:
    """AJI after looks in our order, with what was learned from them and without."""
    case = case_of(one)
    order = case.order("ours", 0)
    row: Row = {"aji_0": aji(case.labels, case.truth)}
    jobs = [(f"aji_{number}", number, 0.0) for number in LOOKS]
    for key, number, errs in (*jobs, ("aji_50_erring", 50, ERRS)):
        done = review(case, order[:number], errs)
        look = learned(case, done)
        row[f"{key}_still"] = aji(after(case, done), case.truth)
        row[key] = aji(after(case, done, look), case.truth)
        row[key.replace("aji", "used")] = float(look is not None)
    return row
