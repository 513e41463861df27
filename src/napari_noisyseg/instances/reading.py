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

from napari_noisyseg.coarse import centres
from napari_noisyseg.coarse.appearance import appearance, unlike
from napari_noisyseg.coarse.outline import outlined
from napari_noisyseg.coarse.starter import OUTLINE, at_click, shipped
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.instances.points import from_points
from napari_noisyseg.instances.probability import components, from_probability
from napari_noisyseg.plans import Splitting

Floats = NDArray[np.floating[Any]]
Pixels = NDArray[np.uint8]
Labels = NDArray[np.int32]


def nuclei(probability: Floats, rgb: Pixels, mpp: float, splitting: Splitting) -> Labels:
    """Nuclei where nobody placed a point, labels 1..n, int32 (H, W).

    probability (H, W) in 0..1 and rgb uint8 (H, W, 3) at `mpp` µm per pixel. In images unlike
    those that the starter knows, and without it, `centres` is `watershed`.
    """
    if splitting == "components":
        return components(probability, mpp)
    if splitting == "centres" and not unlike(rgb):
        try:
            return centres.segment(rgb, mpp, beside=np.asarray(probability, np.float32))
        except NoisySegError:  # the networks are missing, which `doctor` tells
            pass
    return from_probability(probability, mpp)


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
) -> AtPoints:
    """One nucleus for each of `points` (n, 2), (y, x).

    density: of hematoxylin, (H, W); the rest as in `nuclei`. Two points in one pixel share it.
    """
    if splitting == "centres" and len(points) and not unlike(rgb):
        try:
            look = at_click(shipped(OUTLINE))
        except NoisySegError:
            return AtPoints(from_points(probability, points, density, mpp, rgb=rgb), {})
        shape = (rgb.shape[0], rgb.shape[1])
        places = {
            number: (math.floor(y + 0.5), math.floor(x + 0.5))
            for number, (y, x) in enumerate(points.tolist(), start=1)
        }
        inside = {n: p for n, p in places.items() if 0 <= p[0] < shape[0] and 0 <= p[1] < shape[1]}
        beside = np.asarray(probability, np.float32)
        found = outlined(appearance(rgb, mpp), inside, shape, look, beside)
        return AtPoints(found.instances, found.certainty())
    return AtPoints(from_points(probability, points, density, mpp, rgb=rgb), {})
