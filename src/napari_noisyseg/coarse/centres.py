"""Where nuclei lie in an image that nobody has clicked in, and their outlines: the starter alone.

A network gives every pixel how deep in a nucleus it lies, and whether it is one at all; peaks of
the two together are the centres. The other network then outlines the nucleus at each centre.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import floor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi
from skimage.feature import peak_local_max
from skimage.segmentation import watershed

from napari_noisyseg.coarse import belief
from napari_noisyseg.coarse.appearance import MPP, appearance, resized, unlike
from napari_noisyseg.coarse.labels import CoarseLabels
from napari_noisyseg.coarse.outline import Look, outlined, seen_at
from napari_noisyseg.coarse.starter import CENTRES, OUTLINE, Network, at_click, probability, shipped
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.slides import Box

F32 = NDArray[np.float32]
Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]

DIVISOR = 16
"""What the network's input must be a multiple of."""
TILE, MARGIN = 1024, 96
"""Px of 0.25 µm that the network sees at once, and of them what is cut off at inner borders."""
SOFT_PX, APART_PX = 4.0, 6
"""Smoothing of the score (Gaussian sigma), and least distance between peaks, px of 0.25 µm."""
LEAST = 0.2
"""Score from which a peak is a centre; best on the fields that the network learned from."""
INSIDE = 0.5
"""Probability of being nucleus from which a pixel has a say in where its centre lies."""
SHARE = 0.5
"""Of the say in an outline that another network has where nobody clicked (decision 35)."""
BLOCK, AROUND_UM = 3072, 24.0
"""Larger images are worked on in blocks of this side (px of 0.25 µm), and a rim."""


class Maps(NamedTuple):
    """At 0.25 µm per pixel, 0..1: squared normalised depth in a nucleus, and being one at all."""

    depth: F32
    nucleus: F32


class Peaks(NamedTuple):
    """places int (n, 2): pixels of the highest score; points (n, 2): middles of the nuclei."""

    places: NDArray[np.intp]
    points: Floats
    scores: Floats


class Centres(NamedTuple):
    """points (n, 2) of (y, x) px of the image, the surest first; scores (n,), 0..1."""

    points: Floats
    scores: Floats


def maps(rgb: Pixels, mpp: float, network: Network | None = None) -> Maps:
    """Both maps of an image uint8 (H, W, 3). NoisySegError when the network is missing."""
    network = network or shipped(CENTRES)
    planes = appearance(rgb, mpp)
    height, width = planes.shape[1:]
    found = np.empty((2, height, width), np.float32)
    for core in _blocks((height, width), TILE - 2 * MARGIN):
        around = core.grow(MARGIN).clip((height, width))
        seen = planes[:, around.y0 : around.y1, around.x0 : around.x1]
        logits = network.logits(_padded(seen)[None])[0]
        inner = core.within(around)
        found[:, core.y0 : core.y1, core.x0 : core.x1] = probability(logits)[:, *inner]
    return Maps(found[0], found[1])


def centres(
    rgb: Pixels,
    mpp: float,
    least: float = LEAST,
    beside: F32 | None = None,
    network: Network | None = None,
) -> Centres:
    """Where the network expects nuclei in an image uint8 (H, W, 3), from a score on.

    beside, network: as in `segment`.

    Deterministic. Raises NoisySegError for an image unlike those that the network has seen (grey,
    fluorescence), and when the network is missing.
    """
    doubt = unlike(rgb)
    if doubt:
        raise NoisySegError(f"{doubt}, and nuclei are found in stained tissue in colour only")
    shape = (rgb.shape[0], rgb.shape[1])
    found = [
        _in_block(rgb, mpp, least, core, beside, network) for core in _blocks(shape, _block(mpp))
    ]
    points = np.concatenate([f.points for f in found])
    scores = np.concatenate([f.scores for f in found])
    order = np.argsort(-scores, kind="stable")
    return Centres(points[order], scores[order])


def segment(
    rgb: Pixels,
    mpp: float,
    look: Look | None = None,
    beside: F32 | None = None,
    network: Network | None = None,
) -> NDArray[np.int32]:
    """Nuclei of an image that nobody has clicked in, int32 (H, W), 1 the surest; no torch needed.

    look: draws the outline at a centre, the starter when None; where it has learned from rejected
    finds, those like them are left out (`believed`). beside: probability of nucleus by another
    network, float32 (H, W), half of the say in what is one and in the outlines. network: finds the
    centres, the starter's when None. Raises as `centres` does.
    """
    points = believed(centres(rgb, mpp, beside=beside, network=network), rgb, mpp, look).points
    shape = (rgb.shape[0], rgb.shape[1])
    labels = np.zeros(shape, np.int32)
    for core in _blocks(shape, _block(mpp)):
        around = core.grow(_around(mpp)).clip(shape)
        within = {n: (y - around.y0, x - around.x0) for n, (y, x) in _of(points, around)}
        own = [n for n, _ in _of(points, core)]
        if own:
            place = labels[around.slices]
            other = None if beside is None else beside[around.slices]
            drawn = _outlined(rgb[around.slices], within, mpp, look, other)
            free = np.isin(drawn, own) & (place == 0)
            place[free] = drawn[free]
    return labels


def believed(found: Centres, rgb: Pixels, mpp: float, look: Look | None) -> Centres:
    """Without the centres that are like what a person rejected, where `look` has learned that.

    Scores are times the chance that there is a nucleus, above what makes it one.
    """
    known = belief.of_look(look)
    if look is None or known is None or not len(found.points):
        return found
    planes = appearance(rgb, mpp)
    factor = np.array(planes.shape[1:]) / np.array(rgb.shape[:2])
    clicks = (found.points + 0.5) * factor - 0.5
    weight = known.weights_of(belief.figures(planes, clicks, seen_at(planes, clicks, look)))
    scores = np.round(found.scores * weight, 4)
    kept = np.flatnonzero(weight > 0)
    order = kept[np.argsort(-scores[kept], kind="stable")]
    return Centres(found.points[order], scores[order])


def score(found: Maps) -> F32:
    """How much each pixel looks like the middle of a nucleus, 0..1, at the maps' resolution."""
    return np.asarray(
        ndi.gaussian_filter(np.sqrt(found.depth) * found.nucleus, SOFT_PX), np.float32
    )


def peaks(found: Maps, least: float = LEAST) -> Peaks:
    """Peaks of the score, and the middle of the nucleus around each; in px of the maps."""
    smooth = score(found)
    # fainter peaks too: which score is asked for does not move the nuclei next to them
    places = peak_local_max(
        smooth, min_distance=APART_PX, threshold_abs=min(least, LEAST), exclude_border=False
    )
    if not len(places):
        return Peaks(np.zeros((0, 2), np.intp), np.zeros((0, 2)), np.zeros(0))
    marks = np.zeros(smooth.shape, np.int32)
    names = np.arange(1, len(places) + 1, dtype=np.int32)
    marks[tuple(places.T)] = names
    basins = watershed(-smooth, marks, mask=(found.nucleus > INSIDE) | (marks > 0))
    middles = np.array(ndi.center_of_mass(basins > 0, basins, names))
    scores = np.round(smooth[tuple(places.T)].astype(np.float64), 4)
    sure = scores >= least
    return Peaks(places[sure], middles[sure], scores[sure])


def probabilities(planes: F32, network: Network | None = None) -> Maps:
    """Both maps of planes (4, h, w) in one pass; the border is repeated to what the network takes.

    NoisySegError when the network is missing.
    """
    height, width = planes.shape[1:]
    logits = (network or shipped(CENTRES)).logits(_padded(planes)[None])[0, :, :height, :width]
    found = probability(logits)
    return Maps(found[0], found[1])


def _outlined(
    rgb: Pixels,
    points: dict[int, tuple[float, float]],
    mpp: float,
    look: Look | None,
    beside: F32 | None,
) -> NDArray[np.int32]:
    if beside is not None:
        look = look or at_click(shipped(OUTLINE))
        shape = (rgb.shape[0], rgb.shape[1])
        pixels = {  # a point in the last half of a pixel stays in it
            n: (min(floor(y + 0.5), shape[0] - 1), min(floor(x + 0.5), shape[1] - 1))
            for n, (y, x) in points.items()
        }
        return outlined(appearance(rgb, mpp), pixels, shape, look, beside, SHARE).instances
    known = np.ones(rgb.shape[:2], bool)
    labels = CoarseLabels(rgb, points, known, mpp, kinds=("outline",), look=look)
    return labels.outlines


def _in_block(
    rgb: Pixels, mpp: float, least: float, core: Box, beside: F32 | None, network: Network | None
) -> Centres:
    """Centres in a block, found with what lies around it; in px of the image."""
    around = core.grow(_around(mpp)).clip(rgb.shape)
    part = rgb[around.slices]
    seen = maps(part, mpp, network)
    if beside is not None:
        other = resized(beside[around.slices], seen.nucleus.shape)
        seen = seen._replace(nucleus=(seen.nucleus + other) / 2)
    found = peaks(seen, least)
    factor = np.array(part.shape[:2]) / np.array(seen.depth.shape)
    points = np.round((found.points + 0.5) * factor - 0.5 + around.origin, 2)
    points = np.clip(points, 0, np.array(rgb.shape[:2]) - 1.0)
    own = [n - 1 for n, _ in _of(points, core)]
    return Centres(points[own], np.clip(found.scores[own], 0, 1))


def _of(points: Floats, box: Box) -> Iterator[tuple[int, tuple[float, float]]]:
    """Those in a box with their numbers, from 1."""
    for number, (y, x) in enumerate(points.tolist(), start=1):
        if box.contains(y, x):
            yield number, (y, x)


def _block(mpp: float) -> int:
    return max(1, round(BLOCK * MPP / mpp))


def _around(mpp: float) -> int:
    return round(AROUND_UM / mpp)


def _blocks(shape: tuple[int, int], side: int) -> Iterator[Box]:
    for y in range(0, shape[0], side):
        for x in range(0, shape[1], side):
            yield Box(y, x, min(y + side, shape[0]), min(x + side, shape[1]))


def _padded(planes: F32) -> F32:
    """Up to multiples of `DIVISOR`, the border repeated."""
    height, width = planes.shape[1:]
    return np.pad(planes, ((0, 0), (0, -height % DIVISOR), (0, -width % DIVISOR)), mode="edge")
