"""How well predicted nuclei agree with true ones: functions of two label images.

Arrays are (H, W) label images of one shape: 0 is background, every other value one nucleus, ids in
any order and with gaps; a boolean mask is one object. Both empty scores 1, one empty scores 0
(accuracy stays the share of equal pixels); a distance is None unless both hold something.
Everything that counts objects reads one sparse contingency table, so the cost is that of sorting
the foreground pixels, however many nuclei there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from napari_noisyseg.errors import NoisySegError

Labels = NDArray[Any]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Overlaps:
    """Areas of all objects, and of every pair (p[k], t[k]) that shares `shared[k]` pixels."""

    predicted: Ints
    truth: Ints
    p: Ints
    t: Ints
    shared: Ints
    pixels: int

    @property
    def unions(self) -> Ints:
        """|P ∪ T| of every pair."""
        union: Ints = self.predicted[self.p] + self.truth[self.t] - self.shared
        return union

    @property
    def common(self) -> int:
        """Pixels that are foreground in both."""
        return int(self.shared.sum())

    @property
    def empty(self) -> float | None:
        """The score that emptiness alone decides: 1 both empty, 0 one empty, else None."""
        sides = (self.predicted.size > 0) + (self.truth.size > 0)
        return {0: 1.0, 1: 0.0}.get(sides)


def evaluate(predicted: Labels, truth: Labels, min_size: int = 0) -> dict[str, float | None]:
    """Every figure of one image: acc f1 iou dice dice_obj aji pq f1_obj hd95 asd.

    Objects of fewer than `min_size` px are dropped from both first. Distances are in px.
    Raises NoisySegError where the two do not have one 2-D shape or are no label images.
    """
    predicted, truth = _checked(predicted, truth)
    predicted, truth = drop_small(predicted, min_size), drop_small(truth, min_size)
    table = _overlaps(predicted, truth)
    surface, average = _distances(predicted, truth)
    dice = _dice(table)
    return {
        "acc": _accuracy(table),
        "f1": dice,
        "iou": _iou(table),
        "dice": dice,
        "dice_obj": _dice_obj(table),
        "aji": _aji(table),
        "pq": _pq(table),
        "f1_obj": _f1_obj(table),
        "hd95": surface,
        "asd": average,
    }


def acc(predicted: Labels, truth: Labels) -> float:
    """Share of pixels on whose foreground the two agree."""
    return _accuracy(_overlaps(*_checked(predicted, truth)))


def dice(predicted: Labels, truth: Labels) -> float:
    """2|P ∩ T| / (|P| + |T|) of the foreground pixels."""
    return _dice(_overlaps(*_checked(predicted, truth)))


f1 = dice


def iou(predicted: Labels, truth: Labels) -> float:
    """|P ∩ T| / |P ∪ T| of the foreground pixels."""
    return _iou(_overlaps(*_checked(predicted, truth)))


def dice_obj(predicted: Labels, truth: Labels) -> float:
    """Object-level Dice (Sirinukunwattana et al. 2015).

    The mean over both sides of each object's Dice with the object of largest overlap on the other,
    weighted by area within a side.
    """
    return _dice_obj(_overlaps(*_checked(predicted, truth)))


def aji(predicted: Labels, truth: Labels) -> float:
    """Aggregated Jaccard index (Kumar et al. 2017, Algorithm 1).

    Every true nucleus takes the predicted one of highest IoU (which may serve several); shared
    pixels over united pixels, to which predicted nuclei that nobody took are added.
    """
    return _aji(_overlaps(*_checked(predicted, truth)))


def pq(predicted: Labels, truth: Labels) -> float:
    """Panoptic quality (Kirillov et al. 2019): Σ IoU of pairs above 0.5 / (TP + (FP + FN)/2)."""
    return _pq(_overlaps(*_checked(predicted, truth)))


def f1_obj(predicted: Labels, truth: Labels) -> float:
    """F1 of detection: a nucleus is found where IoU > 0.5."""
    return _f1_obj(_overlaps(*_checked(predicted, truth)))


def hd95(predicted: Labels, truth: Labels) -> float | None:
    """95th percentile Hausdorff distance of the foregrounds in px: the larger direction."""
    return _distances(*_checked(predicted, truth))[0]


def asd(predicted: Labels, truth: Labels) -> float | None:
    """Average symmetric surface distance of the foregrounds in px, over both surfaces' pixels."""
    return _distances(*_checked(predicted, truth))[1]


def matched(
    found: NDArray[np.float64], truth: NDArray[np.float64], near: float
) -> NDArray[np.bool_]:
    """Which of `found` (n, 2) are paired with one of `truth` (m, 2) at most `near` px away."""
    away = cdist(found, truth)
    away[away > near] = 1e6
    rows, columns = linear_sum_assignment(away)
    right = np.zeros(len(found), bool)
    right[rows[away[rows, columns] <= near]] = True
    return right


def f1_points(found: Floats, truth: Floats, near: float) -> float:
    """Share of places (n, 2) and (m, 2) that are paired, at most `near` px apart; 1 without any."""
    hit = int(matched(found, truth, near).sum())
    both = len(found) + len(truth)
    return 2 * hit / both if both else 1.0


def drop_small(labels: Labels, min_size: int) -> Labels:
    """The label image without objects of fewer than `min_size` px; the input stays as it is."""
    if min_size <= 1:
        return labels
    _, inverse, areas = np.unique(labels, return_inverse=True, return_counts=True)
    small = (areas < min_size)[inverse].reshape(labels.shape)
    return np.where(small, labels.dtype.type(0), labels)


def _checked(predicted: Labels, truth: Labels) -> tuple[Labels, Labels]:
    predicted, truth = np.asarray(predicted), np.asarray(truth)
    for name, labels in (("predicted", predicted), ("true", truth)):
        if labels.dtype.kind not in "biu":
            raise NoisySegError(
                f"the {name} nuclei are no label image: values of type {labels.dtype}, "
                "give whole numbers, one per nucleus and 0 for background"
            )
    if predicted.ndim != 2 or predicted.shape != truth.shape:
        raise NoisySegError(
            f"predicted nuclei have shape {predicted.shape}, true ones {truth.shape}: "
            "both must be label images (height, width) of the same image"
        )
    return predicted, truth


def _overlaps(predicted: Labels, truth: Labels) -> _Overlaps:
    here = (predicted != 0) | (truth != 0)
    p, predicted_areas = _ranks(predicted[here])
    t, true_areas = _ranks(truth[here])
    both = (p >= 0) & (t >= 0)
    pairs, shared = np.unique(p[both] * max(true_areas.size, 1) + t[both], return_counts=True)
    rows, columns = np.divmod(pairs, max(true_areas.size, 1))
    return _Overlaps(predicted_areas, true_areas, rows, columns, shared, predicted.size)


def _ranks(values: Labels) -> tuple[Ints, Ints]:
    """Every value's rank among the objects (-1 for background), and the objects' areas."""
    ids, inverse, areas = np.unique(values, return_inverse=True, return_counts=True)
    has_background = int(ids.size > 0 and bool((ids == 0).any()))
    rank = np.cumsum(ids != 0) - 1
    rank[ids == 0] = -1
    return rank[inverse], areas[ids != 0] if has_background else areas


def _accuracy(table: _Overlaps) -> float:
    wrong = table.predicted.sum() + table.truth.sum() - 2 * table.common
    return 1.0 if table.pixels == 0 else float(1 - wrong / table.pixels)


def _dice(table: _Overlaps) -> float:
    if table.empty is not None:
        return table.empty
    return float(2 * table.common / (table.predicted.sum() + table.truth.sum()))


def _iou(table: _Overlaps) -> float:
    if table.empty is not None:
        return table.empty
    return float(table.common / (table.predicted.sum() + table.truth.sum() - table.common))


def _dice_obj(table: _Overlaps) -> float:
    if table.empty is not None:
        return table.empty
    pair_dice = 2 * table.shared / (table.predicted[table.p] + table.truth[table.t])
    of_truth = _best(table.t, table.shared)
    of_predicted = _best(table.p, table.shared)
    true_side = (table.truth[table.t] * pair_dice)[of_truth].sum() / table.truth.sum()
    other_side = (table.predicted[table.p] * pair_dice)[of_predicted].sum() / table.predicted.sum()
    return float((true_side + other_side) / 2)


def _aji(table: _Overlaps) -> float:
    if table.empty is not None:
        return table.empty
    best = _best(table.t, table.shared / table.unions)
    missed = np.delete(table.truth, table.t[best]).sum()
    unused = np.delete(table.predicted, table.p[best]).sum()
    return float(table.shared[best].sum() / (table.unions[best].sum() + missed + unused))


def _matched(table: _Overlaps) -> Floats:
    """IoU of the pairs above 0.5; such a pair is the only one of both its objects."""
    overlap: Floats = table.shared / table.unions
    return overlap[overlap > 0.5]


def _pq(table: _Overlaps) -> float:
    if table.empty is not None:
        return table.empty
    return float(_matched(table).sum() / ((table.predicted.size + table.truth.size) / 2))


def _f1_obj(table: _Overlaps) -> float:
    if table.empty is not None:
        return table.empty
    return float(2 * _matched(table).size / (table.predicted.size + table.truth.size))


def _best(group: Ints, score: Floats | Ints) -> Ints:
    """For each group that occurs, the index of its highest score (the first of equals)."""
    order = np.lexsort((np.arange(group.size), -score, group))
    first = np.r_[True, np.diff(group[order]) != 0][: order.size]
    best: Ints = order[first]
    return best


def _distances(predicted: Labels, truth: Labels) -> tuple[float | None, float | None]:
    a, b = predicted != 0, truth != 0
    if not (a.any() and b.any()):
        return None, None
    box = ndi.find_objects((a | b).astype(np.uint8))[0]
    surface_a, surface_b = _surface(a)[box], _surface(b)[box]
    to_b = ndi.distance_transform_edt(~surface_b)[surface_a]
    to_a = ndi.distance_transform_edt(~surface_a)[surface_b]
    farthest = max(np.percentile(to_b, 95), np.percentile(to_a, 95))
    return float(farthest), float(np.concatenate([to_b, to_a]).mean())


def _surface(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Foreground pixels with a 4-neighbour outside it; beyond the frame is outside."""
    surface: NDArray[np.bool_] = mask & ~ndi.binary_erosion(mask)
    return surface
