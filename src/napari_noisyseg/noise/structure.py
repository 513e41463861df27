"""The meta-structure of a label: what iterative ground-truth training keeps of a prediction.

Y. Luo, G. Liu, Y. Guo, G. Yang: Elucidating Meta-Structures of Noisy Labels in Semantic
Segmentation by Deep Neural Networks, sections 6.2 and 6.3. Everything here is of one image (H, W).
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi
from skimage.filters import threshold_otsu
from skimage.morphology import remove_small_objects, skeletonize

Floats = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]
Measure = Literal["dmi", "correlation"]


def threshold_bank(prediction: Floats, count: int) -> NDArray[np.float64]:
    """K thresholds, evenly from the prediction's own minimum to its own maximum (section 6.2)."""
    return np.linspace(float(prediction.min()), float(prediction.max()), count)


def joint(prediction: Floats, label: NDArray[Any]) -> NDArray[np.float64]:
    """Q of Eq. 3, (2, 2): P S^T of (p, 1 - p) and (s, 1 - s), divided by the number of pixels."""
    p, s = (np.asarray(values, np.float64).ravel() for values in (prediction, label))
    q: NDArray[np.float64] = np.stack([p, 1 - p]) @ np.stack([s, 1 - s]).T / p.size
    return q


def most_informative(prediction: Floats, count: int = 30, measure: Measure = "dmi") -> float:
    """The threshold of the bank whose mask shares most with the prediction (section 6.2).

    Masks are `prediction > threshold`. dmi: the largest |det Q| (Eq. 3 is a loss, -log |det Q|:
    what the paper means by its maximum is the mask of *least* loss). As |det Q| is the covariance
    of prediction and mask, this cuts at the prediction's mean, far down every soft edge where
    nuclei are few. correlation: |det Q| over the mask's deviation, which is Otsu's criterion.
    """
    thresholds = threshold_bank(prediction, count)
    p = np.asarray(prediction, np.float64).ravel()
    above = np.searchsorted(thresholds, p, side="left")  # how many thresholds are below each pixel
    share, sums = (
        np.bincount(above, weights, minlength=count + 1)[::-1].cumsum()[::-1][1:] / p.size
        for weights in (None, p)
    )
    score = np.abs(sums - p.mean() * share)
    if measure == "correlation":
        score = score / np.sqrt(np.maximum(share * (1 - share), 1e-12))
    return float(thresholds[int(score.argmax())])


def without_small(mask: Mask, pixels: float) -> Mask:
    """The mask without pieces of fewer pixels, and with holes smaller than that closed."""
    if pixels < 1 or not mask.any():
        return mask
    least = max(int(np.ceil(pixels)) - 1, 0)
    solid = ~remove_small_objects(~mask, max_size=least)
    kept: Mask = remove_small_objects(solid, max_size=least)
    return kept


def skeleton_shifted(mask: Mask, radius: int, rng: np.random.Generator) -> Mask:
    """Every pixel of the skeleton moved at random within `radius` px (section 6.3)."""
    places = np.argwhere(skeletonize(mask))
    reach = np.arange(-radius, radius + 1)
    moves = np.array([(y, x) for y in reach for x in reach if y * y + x * x <= radius * radius])
    moved = places + moves[rng.integers(len(moves), size=len(places))]
    shifted = np.zeros(mask.shape, bool)
    inside = ((moved >= 0) & (moved < mask.shape)).all(axis=1)
    shifted[tuple(moved[inside].T)] = True
    return shifted


def skeleton_widened(mask: Mask) -> Mask:
    """The disks around the skeleton's pixels that reach the mask's border: its main body.

    The width that a shift by a fixed radius approximates, taken from the mask itself; what grows
    out of the body (thin bridges, ragged borders) has no skeleton of its own width and goes.
    """
    skeleton, depth = skeletonize(mask), ndi.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    if not skeleton.any():
        return mask
    reach, widened = np.ceil(depth), np.zeros(mask.shape, bool)
    for radius in np.unique(reach[skeleton]):
        widened |= ndi.distance_transform_edt(~(skeleton & (reach == radius))) <= radius
    return widened & mask


def sampled(mask: Mask, share: float, rng: np.random.Generator) -> Mask:
    """Each pixel of the mask kept with probability `share` (p_sample of section 6.3)."""
    chosen: Mask = mask & (rng.random(mask.shape) < share)
    return chosen


def otsu(signal: Floats) -> Mask:
    """What is brighter than Otsu's threshold; nothing where all pixels are alike."""
    if np.ptp(signal) == 0:
        return np.zeros(signal.shape, bool)
    bright: Mask = np.asarray(signal > threshold_otsu(np.asarray(signal)), bool)
    return bright


def sure_otsu(signal: Floats) -> NDArray[np.float32]:
    """1 above Otsu's threshold, 0 where neither it nor that of the square root finds anything.

    NaN between: where few bright nuclei raise the threshold above the faint ones. The square root
    makes the noise of counted light alike everywhere (Anscombe).
    """
    bright, faint = otsu(signal), otsu(np.sqrt(np.maximum(signal, 0)))
    return np.select([bright, faint], [1.0, np.nan], 0.0).astype(np.float32)


def agreement(mask: Mask, signal: Floats) -> float:
    """Dice of a mask with the sure pixels of the signal (`sure_otsu`); 1 where both are empty."""
    sure = sure_otsu(signal)
    found = mask & ~np.isnan(sure)
    total = int(found.sum()) + int((sure == 1).sum())
    return 2 * int((found & (sure == 1)).sum()) / total if total else 1.0


def covariance(signal: Floats, prediction: Floats) -> float:
    """Above zero where a prediction is larger in brighter places: it is not turned round."""
    return float(np.mean((signal - signal.mean()) * (prediction - prediction.mean())))
