"""Further nuclei like those that bear a point: places to look at, never a label by themselves.

The clicked nuclei are outlined; a forest learns how deep in a nucleus a pixel lies from their
insides and close surroundings alone, and from the palest tissue. What was not clicked is unknown:
it teaches nothing, above all no background. Peaks of the learned depth are the suggestions; the
starter, which has seen nuclei elsewhere, has half of the say in it where it can judge the image.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi
from scipy.spatial import KDTree
from skimage.feature import peak_local_max

from napari_noisyseg.coarse import belief, centres
from napari_noisyseg.coarse.appearance import appearance, resized, unlike
from napari_noisyseg.coarse.evidence import evidence
from napari_noisyseg.coarse.outline import Look, outlined, seen_at
from napari_noisyseg.coarse.starter import OUTLINE, Network, at_click, shipped
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.instances.points import PAPER_MPP, from_points
from napari_noisyseg.instances.surveying import planes, planes_of_probability

Floats = NDArray[np.floating[Any]]
F32 = NDArray[np.float32]
Labels = NDArray[np.int32]

FEWEST = 5
"""Points from which anything can be learned."""
STEP = 2.0
"""Px of 0.25 µm between the pixels looked at."""
LEAST = 0.3
"""Depth (0 at the border, 1 in the middle of a nucleus) from which a peak is suggested."""
APART = 0.7
"""Radii that a suggestion keeps from points that are there, and from those dropped."""
SOFT, BESIDE = 0.3, 0.5
"""Smoothing of the depth, and least distance between suggestions, in radii."""
EDGE, RING = 0.15, 0.8
"""Radii outside an outline that are background for certain; and as far as they are pale."""
PALEST = 25
"""Percentile of evidence below which pixels anywhere are background."""
SAMPLE = 6000
"""Pixels of nuclei, and of background, that the forest learns from."""
TREES = 60
SAY = 0.5
"""Of the starter. A quarter clicked of images 13, 18, 23, 28 of MoNuSeg: F1 within 6 px 0.722
without, 0.768 with it."""
LARGER = 0.93
"""Outlines of few points lack neighbours and come out this much too large."""


class Suggested(NamedTuple):
    """points float (n, 2) of (y, x) px, the surest first; scores (n,): learned depth, 0..1."""

    points: NDArray[np.float64]
    scores: NDArray[np.float64]


def suggest(
    rgb: NDArray[np.uint8],
    clicked: Floats,
    mpp: float,
    dropped: Floats | None = None,
    probability: Floats | None = None,
    least: float = LEAST,
    network: Network | None = None,
    look: Look | None = None,
) -> Suggested:
    """Where further nuclei like the clicked ones lie.

    rgb uint8 (H, W, 3); clicked and dropped (n, 2) of (y, x): nuclei, and places that are none,
    kept free and learned from; probability (H, W) of a trained network, where there is one.
    network: what finds centres, the starter's when None. look: what outlines them, likewise; where
    it has learned from rejected finds, none like them is suggested.

    Deterministic. Raises `NoisySegError` with fewer than `FEWEST` points inside the image.
    """
    clicked = _inside(clicked, rgb.shape[:2])
    if len(clicked) < FEWEST:
        raise NoisySegError(
            f"{len(clicked)} points are too few to learn from: click at least {FEWEST} nuclei, "
            "better a few dozen, of every kind there is"
        )
    refused = _inside(np.zeros((0, 2)) if dropped is None else dropped, rgb.shape[:2])
    seen, _ = evidence(rgb, PAPER_MPP / mpp)
    labels = _outlined(seen, clicked, mpp, rgb)
    radius = LARGER * _radius(labels)
    step = max(1, round(STEP * PAPER_MPP / mpp))
    features = planes(seen, rgb, radius, step)
    if probability is not None:
        more = planes_of_probability(probability, radius, step)
        features = np.concatenate([features, more], axis=-1)
    target = depth(labels, seen, radius)
    _deny(target, refused, radius)
    learned = _learned(features, target[::step, ::step], seen[::step, ::step])
    elsewhere = _elsewhere(rgb, mpp, network)
    if elsewhere is not None:
        learned = (1 - SAY) * learned + SAY * elsewhere[::step, ::step]
    found = _peaks(learned, radius / step, least)
    found = Suggested(found.points * step, found.scores)
    taken = np.concatenate([clicked, refused])
    found = _free(found, taken, APART * radius)
    if elsewhere is None:
        found = _centred(found, clicked, seen, mpp, rgb)
    else:
        found = _centred_by_outlines(found, clicked, mpp, rgb, look or at_click(shipped(OUTLINE)))
        found = Suggested(*(part[found.scores >= least] for part in found))
    return _free(found, taken, APART * radius)


def depth(labels: Labels, seen: F32, radius: float) -> F32:
    """How deep in its nucleus each pixel lies, 0..1; 0 in background; nan where it is unknown."""
    away, nearest = ndi.distance_transform_edt(labels == 0, return_indices=True)
    names = np.arange(labels.max() + 1)
    inside = np.nan_to_num(ndi.mean(seen, labels, names))
    halfway = (inside[labels[tuple(nearest)]] + np.percentile(seen, 20)) / 2
    beyond = labels == 0
    pale = beyond & (away <= RING * radius) & (seen < halfway)
    target = np.full(labels.shape, np.nan, np.float32)
    target[pale | (beyond & (away <= EDGE * radius))] = 0
    for label, box in enumerate(ndi.find_objects(labels), start=1):
        if box is not None:
            mask = labels[box] == label
            deep = ndi.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
            target[box][mask] = (deep / deep.max())[mask]
    return target


def _inside(points: Floats, shape: tuple[int, ...]) -> NDArray[np.float64]:
    places = np.asarray(points, np.float64).reshape(-1, 2)
    return places[((places >= -0.5) & (places < np.array(shape[:2]) - 0.5)).all(axis=1)]


def _outlined(seen: F32, points: Floats, mpp: float, rgb: NDArray[np.uint8]) -> Labels:
    return from_points(np.full(seen.shape, 0.5, np.float32), points, seen, mpp, rgb)


def _radius(labels: Labels) -> float:
    """Of a disk as large as the median nucleus, px."""
    areas = np.bincount(labels.ravel())[1:]
    return float(np.sqrt(np.median(areas[areas > 0]) / np.pi))


def _deny(target: F32, refused: NDArray[np.float64], radius: float) -> None:
    """Around what a person dropped is no nucleus; in place."""
    if len(refused):
        free = np.ones(target.shape, bool)
        free[tuple(np.floor(refused + 0.5).astype(np.intp).T)] = False
        near = ndi.distance_transform_edt(free) <= radius / 2
        target[near & ~(target > 0)] = 0


def _learned(features: F32, target: F32, seen: F32) -> F32:
    """The depth of every pixel (h, w), by a forest on those whose depth is known."""
    from sklearn.ensemble import ExtraTreesRegressor  # slow to import

    flat, depths = features.reshape(-1, features.shape[-1]), target.ravel()
    pale = np.isnan(depths) & (seen.ravel() < np.percentile(seen, PALEST))
    rng = np.random.default_rng(0)
    kinds = ((depths > 0, SAMPLE), (depths == 0, SAMPLE), (pale, SAMPLE // 4))
    chosen = np.concatenate([rng.permutation(np.flatnonzero(m))[:n] for m, n in kinds])
    forest = ExtraTreesRegressor(TREES, min_samples_leaf=4, max_features=0.3, random_state=0)
    forest.fit(flat[chosen], np.nan_to_num(depths[chosen]))
    return np.asarray(forest.predict(flat).reshape(target.shape), dtype=np.float32)


def _elsewhere(rgb: NDArray[np.uint8], mpp: float, network: Network | None) -> F32 | None:
    """What the starter's network says of every pixel (H, W), 0..1; None where it cannot judge."""
    if unlike(rgb):
        return None
    try:
        shipped(OUTLINE)  # which draws at what is found
        found = centres.score(centres.maps(rgb, mpp, network))
    except NoisySegError:  # the networks are missing, which `doctor` tells
        return None
    return resized(found, (rgb.shape[0], rgb.shape[1]))


def _peaks(learned: F32, radius: float, least: float) -> Suggested:
    smooth = ndi.gaussian_filter(learned, SOFT * radius)
    apart = max(1, int(BESIDE * radius))
    places = peak_local_max(smooth, min_distance=apart, threshold_abs=least, exclude_border=False)
    return Suggested(places.astype(np.float64), smooth[tuple(places.T)].astype(np.float64))


def _free(found: Suggested, taken: NDArray[np.float64], apart: float) -> Suggested:
    away, _ = KDTree(taken).query(found.points) if len(found.points) else (np.zeros(0), None)
    return Suggested(found.points[away > apart], found.scores[away > apart])


def _centred(
    found: Suggested, clicked: NDArray[np.float64], seen: F32, mpp: float, rgb: NDArray[np.uint8]
) -> Suggested:
    """Moved to the middle of the outline that each would have, twice; the surest first."""
    if not len(found.points):
        return found
    points = found.points
    names = len(clicked) + 1 + np.arange(len(points))
    for _ in range(2):
        labels = _outlined(seen, np.concatenate([clicked, points]), mpp, rgb)
        points = np.array(ndi.center_of_mass(labels > 0, labels, names))
    return _ordered(found, points)


def _centred_by_outlines(
    found: Suggested,
    clicked: NDArray[np.float64],
    mpp: float,
    rgb: NDArray[np.uint8],
    look: Look,
) -> Suggested:
    """The same with the outline that the network at clicks would draw at each.

    The score of what is like rejected finds is less, or 0, where the network has learned that.
    """
    if not len(found.points):
        return found
    every = np.concatenate([clicked, found.points])
    seen = appearance(rgb, mpp)
    shape, names = (rgb.shape[0], rgb.shape[1]), len(clicked) + 1 + np.arange(len(found.points))
    pixels = np.minimum(np.floor(every + 0.5).astype(int), np.array(shape) - 1)
    places = {n: (y, x) for n, (y, x) in enumerate(pixels.tolist(), start=1)}
    labels = outlined(seen, places, shape, look).instances
    found = found._replace(scores=found.scores * _believed(every, seen, shape, look)[-len(names) :])
    middles = np.array(ndi.center_of_mass(labels > 0, labels, names))
    return _ordered(found, np.where(np.isfinite(middles), middles, found.points))


def _believed(
    places: NDArray[np.float64], seen: F32, shape: tuple[int, int], look: Look
) -> NDArray[np.float64]:
    """How far each of these is like a nucleus and not like a rejected find, (n,); 1: unknown."""
    known = belief.of_look(look)
    if known is None:
        return np.ones(len(places))
    clicks = (places + 0.5) * (np.array(seen.shape[1:]) / np.array(shape)) - 0.5
    return known.weights_of(belief.figures(seen, clicks, seen_at(seen, clicks, look)))


def _ordered(found: Suggested, points: NDArray[np.float64]) -> Suggested:
    order = np.argsort(-found.scores, kind="stable")
    scores = np.clip(np.round(found.scores[order], 4), 0, 1).astype(np.float64)
    return Suggested(np.round(points[order], 1).astype(np.float64), scores)
