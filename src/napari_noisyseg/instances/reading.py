"""Nuclei read from a network's prediction, at points or without, with or without the starter.

`centres`: the starter's networks say where nuclei lie and draw the outline at each, and the
network that was trained has its say in both (ours). `watershed` (ours) and `components` (SC-Net's
paper): the prediction alone.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from napari_noisyseg.coarse import centres
from napari_noisyseg.coarse.appearance import appearance, unlike
from napari_noisyseg.coarse.outline import SHARE, SHARE_WITH_FIRST, halfway, outlined
from napari_noisyseg.coarse.readers import AS_SHIPPED, Readers
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.instances.points import from_points
from napari_noisyseg.instances.probability import components, from_probability
from napari_noisyseg.plans import Splitting

Floats = NDArray[np.floating[Any]]
Pixels = NDArray[np.uint8]
Labels = NDArray[np.int32]


def nuclei(
    probability: Floats,
    rgb: Pixels,
    mpp: float,
    splitting: Splitting,
    readers: Readers = AS_SHIPPED,
) -> Labels:
    """Nuclei where nobody placed a point, labels 1..n, int32 (H, W).

    probability (H, W) in 0..1 and rgb uint8 (H, W, 3) at `mpp` µm per pixel. readers: the starter's
    networks. In images unlike those that they know, and without them, `centres` is `watershed`.
    """
    if splitting == "components":
        return components(probability, mpp)
    if splitting == "centres" and not unlike(rgb):
        try:
            beside = np.asarray(probability, np.float32)
            return centres.segment(rgb, mpp, readers.look, beside, readers.network)
        except NoisySegError:  # the networks are missing, which `doctor` tells
            pass
    return from_probability(probability, mpp)


class Given(NamedTuple):
    """What people said of an image in masks: int32 (H, W) of ids, and bool (H, W).

    rough: of noisy masks; clean: of trusted ones; empty: where there is no nucleus for certain.
    """

    rough: Labels
    clean: Labels
    empty: NDArray[np.bool_]


MASKS_SHARE = 0.5
"""Of the say in an outline that the trained method has in fields of rough masks. Images 1, 3, 5, 7
and 9 of MoNuSeg with boxes, log-odds sharpened (decision 47): IoU 0.697 at 0.3, 0.705 at 0.5,
0.703 at 0.7."""


def in_masks(
    believed: Floats,
    given: Given,
    rgb: Pixels,
    mpp: float,
    splitting: Splitting,
    readers: Readers = AS_SHIPPED,
) -> Labels | None:
    """Rough masks redrawn, and the nuclei that they lack, int32 (H, W); clean ones as they are.

    believed (H, W): probability of nucleus, inside the masks as a method believes them to be, and
    as it predicts beside them. Outlines are drawn at the middles of the rough masks and at the
    centres beside them. None where `splitting` is not `centres`, or the starter cannot judge the
    image.
    """
    if splitting != "centres" or unlike(rgb):
        return None
    beside = np.asarray(believed, np.float32)
    try:
        look = readers.drawing()
        found = centres.centres(rgb, mpp, beside=beside, network=readers.network).points
    except NoisySegError:
        return None
    places = _places_in(given, found)
    own = len(places) - len(np.unique(given.clean[given.clean > 0]))
    pixels = {n: (int(y), int(x)) for n, (y, x) in enumerate(places, start=1)}
    drawn = outlined(
        appearance(rgb, mpp), pixels, given.rough.shape, look, beside, MASKS_SHARE
    ).instances
    drawn = np.where((drawn > own) | given.empty | (given.clean > 0), 0, drawn)
    labels: Labels = np.where(given.clean > 0, given.clean + own, drawn).astype(np.int32)
    return labels


def _places_in(given: Given, found: Floats) -> NDArray[np.intp]:
    """Pixels (n, 2) to draw outlines at: rough masks, what lies beside them, clean nuclei last."""
    settled = given.empty | (given.clean > 0)
    rough = _middles(given.rough)
    beside = np.floor(found + 0.5).astype(np.intp)
    taken = (given.rough > 0) | settled
    free = [rough[~settled[tuple(rough.T)]], beside[~taken[tuple(beside.T)]]]
    return np.concatenate([*free, _middles(given.clean)])


def _middles(labels: Labels) -> NDArray[np.intp]:
    ids = np.unique(labels[labels > 0])
    places = np.array(ndi.center_of_mass(labels > 0, labels, ids)).reshape(-1, 2)
    return np.floor(places + 0.5).astype(np.intp)


class AtPoints(NamedTuple):
    """labels 1..n, int32 (H, W); certainty of each by label, in 0..1, where its outline has one."""

    labels: Labels
    certainty: dict[int, float]


def at_points(
    probability: Floats,
    points: Floats,
    density: Floats,
    rgb: Pixels,
    mpp: float,
    splitting: Splitting,
    first: Floats | None = None,
    readers: Readers = AS_SHIPPED,
) -> AtPoints:
    """One nucleus for each of `points` (n, 2), (y, x).

    density: of hematoxylin, (H, W); first: probability (H, W) of the same networks with first
    weights, before any training, where they began so: it has a say beside `probability`, as it has
    seen true outlines. The rest as in `nuclei`. Two points in one pixel share it.
    """
    if splitting == "centres" and len(points) and not unlike(rgb):
        try:
            look = readers.drawing()
        except NoisySegError:
            return AtPoints(from_points(probability, points, density, mpp, rgb=rgb), {})
        shape = (rgb.shape[0], rgb.shape[1])
        places = {
            number: (math.floor(y + 0.5), math.floor(x + 0.5))
            for number, (y, x) in enumerate(points.tolist(), start=1)
        }
        inside = {n: p for n, p in places.items() if 0 <= p[0] < shape[0] and 0 <= p[1] < shape[1]}
        beside, share = np.asarray(probability, np.float32), SHARE
        if first is not None:
            beside, share = halfway(beside, np.asarray(first, np.float32)), SHARE_WITH_FIRST
        found = outlined(appearance(rgb, mpp), inside, shape, look, beside, share)
        return AtPoints(found.instances, found.certainty())
    return AtPoints(from_points(probability, points, density, mpp, rgb=rgb), {})
