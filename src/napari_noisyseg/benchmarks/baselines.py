"""What needs no network: the bars that training must clear (and their straight code)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.feature import multiscale_basic_features
from skimage.filters import threshold_otsu
from sklearn.ensemble import RandomForestClassifier

from ..coarse import CoarseLabels
from ..method import NUCLEUS, UNKNOWN
from ..stains.deconvolution import FIXED, densities

MIN_AREA_UM2 = 30 * 0.25**2
"""nuclei under 30 px at 40x are dropped, as in the recipe for cluster labels"""


def coarse_of(
    rgb: NDArray[np.uint8], points: NDArray[np.float64], mpp: float, kinds: tuple[str, ...]
) -> CoarseLabels:
    """Coarse labels of an image marked as a whole; serial k + 1 is points[k]."""
    marked = {k + 1: (float(y), float(x)) for k, (y, x) in enumerate(points)}
    return CoarseLabels(rgb, marked, np.ones(rgb.shape[:2], bool), mpp, kinds=kinds)


def otsu_mask(rgb: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Otsu's threshold on the smoothed hematoxylin density (fixed stain matrix)."""
    density = ndimage.gaussian_filter(densities(rgb, FIXED)[0], 1.5)
    return np.asarray(density > threshold_otsu(density), dtype=np.bool_)


def otsu_components(rgb: NDArray[np.uint8], mpp: float) -> NDArray[np.int32]:
    """Connected components of Otsu's mask, holes filled, specks dropped."""
    labels, _ = ndimage.label(ndimage.binary_fill_holes(otsu_mask(rgb)))
    sizes = np.bincount(labels.ravel())
    return np.where(sizes[labels] * mpp**2 < MIN_AREA_UM2, 0, labels).astype(np.int32)


def cut_by_cells(mask: NDArray[np.bool_], cells: NDArray[np.int32]) -> NDArray[np.int32]:
    """A foreground mask cut into nuclei by the points' Voronoi cells."""
    return np.where(mask, cells, 0).astype(np.int32)


def random_forest_mask(
    rgb: NDArray[np.uint8], coarse: CoarseLabels, seed: int = 0
) -> NDArray[np.bool_]:
    """A random forest on multi-scale features, trained on this image's own coarse labels."""
    features = multiscale_basic_features(rgb, channel_axis=-1, sigma_min=1, sigma_max=8)
    labels = coarse.cluster
    flat, target = features.reshape(-1, features.shape[-1]), labels.ravel()
    known = np.flatnonzero(target != UNKNOWN)
    sample = np.random.default_rng(seed).choice(known, min(20_000, known.size), replace=False)
    forest = RandomForestClassifier(50, max_depth=14, n_jobs=2, random_state=seed)
    forest.fit(flat[sample], target[sample] == NUCLEUS)
    guess = forest.predict_proba(flat)[:, 1].reshape(labels.shape)
    return np.asarray(guess > 0.5, dtype=np.bool_)
