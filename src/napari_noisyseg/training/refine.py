"""From probability and points to separate nuclei, each with a confidence and a reason in words."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import center_of_mass
from scipy.special import expit, logit
from skimage.segmentation import expand_labels, find_boundaries

from napari_noisyseg import instances
from napari_noisyseg.coarse.readers import AS_SHIPPED, Readers
from napari_noisyseg.plans import Splitting
from napari_noisyseg.store.records import NOTHING
from napari_noisyseg.training.confidence import confidence, of_outlined, range_of

PAPER_MPP = 0.25
RING = 4
"""Width of the ring around a nucleus that it is compared with, in px at 0.25 µm."""
LIKELY = 0.5
"""Confidence from which a nucleus that no rough mask shows is added."""
SMALL, LARGE = 0.4, 2.2
"""Area over the image's median at which a nucleus is worth a word."""
TEMPERATURE = 0.4
"""What log-odds of a trained network are divided by before they share the say in rough masks with
the starter's (temperature scaling, Guo et al. 2017): after a short training they are too timid."""
FAINT, SURE = "the outline is hard to see", 0.75
"""What is said of outlines that their own network trusts less than this."""

Labels = NDArray[np.int32]
Map = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Found:
    """One refined nucleus: its value in the label image, centre, confidence (0..1) and reason."""

    label: int
    y: float
    x: float
    score: float
    reason: str
    area_um2: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the nuclei of one image are read from, all (H, W) at one resolution `mpp`.

    uncertainty: how far two networks are apart, in 0..1; 0 where there is one. first: the
    probability before the training, of networks that began with first weights. readers: the
    starter's networks, where nuclei are read with them.
    """

    probability: Map
    uncertainty: Map
    density: Map
    rgb: NDArray[np.uint8]
    mpp: float
    first: Map | None = None
    readers: Readers = AS_SHIPPED


class Outlined(NamedTuple):
    """labels int32 (H, W) of serials; how sure an outline's own network is, where it has one."""

    labels: Labels
    certainty: dict[int, float]


def outlines(
    evidence: Evidence,
    points: NDArray[np.float64],
    serials: NDArray[np.int64],
    splitting: Splitting = "watershed",
) -> Outlined:
    """One nucleus for each point, by the points' serial numbers."""
    e = evidence
    found = instances.at_points(
        e.probability, points, e.density, e.rgb, e.mpp, splitting, e.first, e.readers
    )
    values = np.concatenate([[0], serials]).astype(np.int32)
    certainty = {int(values[n]): sure for n, sure in found.certainty.items()}
    return Outlined(values[found.labels], certainty)


def further(
    evidence: Evidence,
    labels: Labels,
    known: NDArray[np.bool_],
    splitting: Splitting = "watershed",
) -> Labels:
    """The labels with nuclei that no point marks, outside `known`, numbered on from the largest."""
    e = evidence
    new = instances.nuclei(e.probability, e.rgb, e.mpp, splitting, e.readers)
    taken = np.unique(new[(labels > 0) | known])
    new[np.isin(new, taken)] = 0
    values, packed = np.unique(new, return_inverse=True)
    shift = np.where(values > 0, int(labels.max(initial=0)) + np.arange(len(values)), 0)
    joined: Labels = np.where(labels > 0, labels, shift[packed].reshape(new.shape))
    return joined.astype(np.int32)


def corrected(
    evidence: Evidence, believed: Map, given: NDArray[np.bool_], empty: NDArray[np.bool_]
) -> Labels:
    """Nuclei of the label as a method believes it, int32 (H, W).

    believed: probability of nucleus (H, W); given: what the rough masks and the clean nuclei
    cover; empty: what is known to be no nucleus. What lies in the given masks is taken as it is.
    Nuclei that they lack are believed too small, if at all, as the rough masks say background
    there: they are sought in the prediction instead (ours).
    """
    found = instances.from_probability(believed, evidence.mpp, threshold=0.5)
    kept = np.where(_outside(found, given)[found] & ~given, 0, found)
    new = _lacking(evidence, given, empty)
    labels: Labels = np.where(kept > 0, kept, np.where(new > 0, new + found.max(), 0))
    return labels.astype(np.int32)


def bolder(probability: Map) -> Map:
    """The probability (H, W) of a network whose log-odds are divided by `TEMPERATURE`."""
    least = np.float32(1e-6)
    odds = logit(probability.clip(least, 1 - least)) / TEMPERATURE
    return np.asarray(expit(odds), np.float32)


def _lacking(evidence: Evidence, given: NDArray[np.bool_], empty: NDArray[np.bool_]) -> Labels:
    """Predicted nuclei beside the given ones, outlined again, more likely right than not."""
    e = replace(evidence, probability=np.where(empty, 0, evidence.probability))
    seen = instances.from_probability(e.probability, e.mpp, threshold=0.5)
    outside = _outside(seen, given)
    if not outside.any():
        return np.zeros_like(seen)
    middles = np.array(center_of_mass(seen > 0, seen, np.arange(1, len(outside))))
    outlined = instances.from_points(e.probability, middles, e.density, e.mpp, rgb=e.rgb)
    new = np.where(outside[outlined] & ~given & ~empty, outlined, 0)
    sure = [found.label for found in judge(e, new) if found.score >= LIKELY]
    return np.where(np.isin(new, sure), new, 0)


def _outside(labels: Labels, given: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Of labels 0..n, which have less than half of their pixels in `given`; not 0."""
    sizes = np.bincount(labels.ravel())
    covered = np.bincount(labels[given].ravel(), minlength=len(sizes))
    outside: NDArray[np.bool_] = covered < sizes / 2
    outside[0] = False
    return outside


def judge(
    evidence: Evidence,
    labels: Labels,
    clicked: Collection[int] = (),
    certainty: Mapping[int, float] | None = None,
) -> list[Found]:
    """Every nucleus of the label image with its confidence and what speaks against it.

    clicked: values of the nuclei at whose place a person put a point. certainty: by value, the
    overlap with the nucleus that the network which drew its outline expects, where one drew it.
    """
    values, packed = np.unique(labels, return_inverse=True)
    if not (values > 0).any():
        return []
    first = int(values[0] == 0)
    packed = packed.reshape(labels.shape) - first + 1
    packed[labels == 0] = 0
    values = values[first:]
    figures = _measure(evidence, packed.astype(np.int32), len(values))
    area = figures["area"] * evidence.mpp**2
    placed = np.isin(values, list(clicked))
    score = _confidence(evidence, labels > 0, figures, placed)
    reasons = _reasons(figures, area)
    if certainty:
        sure = np.array([certainty.get(int(v), np.nan) for v in values])
        drawn = ~np.isnan(sure)
        of_network = of_outlined(figures, np.where(drawn, sure, 0.5), placed, evidence.mpp)
        score = np.where(drawn, of_network, score)
        faint = drawn & (sure < SURE)
        reasons = [
            FAINT if pale and reason == NOTHING else reason
            for pale, reason in zip(faint, reasons, strict=True)
        ]
    return [
        Found(int(v), float(y), float(x), float(s), reason, float(a))
        for v, y, x, s, reason, a in zip(
            values, figures["y"], figures["x"], score, reasons, area, strict=True
        )
    ]


def _confidence(
    evidence: Evidence,
    nuclei: NDArray[np.bool_],
    figures: dict[str, NDArray[np.float64]],
    clicked: NDArray[np.bool_],
) -> NDArray[np.float64]:
    seen = range_of(evidence.probability, nuclei, figures["inside"])
    stained = range_of(evidence.density, nuclei, figures["stain"])
    return confidence(figures, clicked, seen, stained)


def _measure(evidence: Evidence, labels: Labels, count: int) -> dict[str, NDArray[np.float64]]:
    """Figures of the labels 1..count, in one pass over the image each."""
    width = max(2.0, RING * PAPER_MPP / evidence.mpp)
    ring = np.where(labels == 0, expand_labels(labels, width), 0)
    edge = np.where(find_boundaries(labels, mode="inner"), labels, 0)
    crowded = np.where(instances.touching(labels), edge, 0)
    rows = np.arange(labels.shape[0])[:, None]
    columns = np.arange(labels.shape[1])[None, :]

    def mean(where: Labels, values: NDArray[np.floating]) -> NDArray[np.float64]:
        flat = np.broadcast_to(values, labels.shape).ravel()
        sums = np.bincount(where.ravel(), flat, count + 1)[1:]
        return sums / np.maximum(np.bincount(where.ravel(), minlength=count + 1)[1:], 1)

    def number(where: Labels) -> NDArray[np.float64]:
        return np.bincount(where.ravel(), minlength=count + 1)[1:].astype(np.float64)

    outline = ring + edge
    return {
        "area": number(labels),
        "y": mean(labels, rows.astype(np.float64)),
        "x": mean(labels, columns.astype(np.float64)),
        "inside": mean(labels, evidence.probability),
        "ring": mean(ring, evidence.probability),
        "doubt": mean(outline, evidence.uncertainty),
        "stain": mean(labels, evidence.density),
        "rim_stain": mean(edge, evidence.density),
        "ring_stain": mean(ring, evidence.density),
        "crowded": number(crowded) / np.maximum(number(edge), 1),
        "cut": number(_frame(labels)) / np.maximum(number(edge), 1),
    }


def _frame(labels: Labels) -> Labels:
    """The labels along the image's border, 0 elsewhere."""
    frame = labels.copy()
    frame[1:-1, 1:-1] = 0
    return frame


def _reasons(figures: dict[str, NDArray[np.float64]], area: NDArray[np.float64]) -> list[str]:
    """The strongest objection to each nucleus, in words."""
    contrast = np.clip(figures["inside"] - figures["ring"], 0, 1)
    ratio = area / max(float(np.median(area)), 1e-9)
    inside, doubt = figures["inside"], figures["doubt"]
    doubts = {
        "unusually small for this image": SMALL / np.maximum(ratio, 1e-9),
        "unusually large for this image": ratio / LARGE,
        "the network hardly sees a nucleus here": _below(inside, 0.5, 0.7),
        "the two networks disagree along the outline": doubt
        / max(0.15, 2 * float(np.median(doubt))),
        "the edge is faint": _below(contrast, 0.3, 0.5),
        "hard to separate from its neighbours": figures["crowded"] / 0.45,
        "cut off by the image's edge": figures["cut"] / 0.25,
    }
    words = list(doubts)
    strength = np.stack([np.minimum(values, 9.0) for values in doubts.values()])
    worst = strength.argmax(axis=0)
    return [
        words[w] if s >= 1 else NOTHING for w, s in zip(worst, strength.max(axis=0), strict=True)
    ]


def _below(values: NDArray[np.float64], limit: float, share: float) -> NDArray[np.float64]:
    """How far values fall below `limit`, or below a share of the median where that is less.

    A network that was trained for a minute sees all nuclei faintly: what counts is the odd one.
    """
    bound = min(limit, share * float(np.median(values)))
    weakness: NDArray[np.float64] = bound / np.maximum(values, 1e-9)
    return weakness
