"""Nuclei where nobody placed a point: the probability map alone decides."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi
from skimage.feature import peak_local_max
from skimage.morphology import remove_small_objects
from skimage.segmentation import watershed

Floats = NDArray[np.floating[Any]]


def from_probability(
    probability: Floats, mpp: float, min_area_um2: float = 3.0, threshold: float = 0.45
) -> NDArray[np.int32]:
    """Split the foreground into nuclei by a watershed of its distance transform.

    `probability` (H, W) in 0..1 at `mpp` µm per pixel; what is above `threshold` is foreground,
    its holes filled, pieces under `min_area_um2` dropped. Returns labels 1..n, int32 (H, W).
    """
    mask = ndi.binary_fill_holes(np.asarray(probability) > threshold)
    smallest = max(int(np.ceil(min_area_um2 / mpp**2)), 1)
    mask = remove_small_objects(mask, max_size=smallest - 1)
    depth = ndi.gaussian_filter(ndi.distance_transform_edt(mask), 0.25 / mpp)
    apart = max(round(1.5 / mpp), 1)
    seeds, _ = ndi.label(mask)
    tops = peak_local_max(depth, min_distance=apart, labels=seeds, exclude_border=False)
    markers = np.zeros(mask.shape, np.int32)
    markers[tuple(tops.T)] = np.arange(1, len(tops) + 1)
    labels: NDArray[np.int32] = watershed(-depth, markers, mask=mask).astype(np.int32)
    return labels


def components(probability: Floats, mpp: float) -> NDArray[np.int32]:
    """Nuclei as SC-Net's paper takes them: what touches is one. Labels 1..n, int32 (H, W).

    Above 0.5, pieces under 20 px of 0.25 µm dropped, holes filled, connected components.
    """
    mask = np.asarray(probability) > 0.5
    mask = remove_small_objects(mask, max_size=max(int(np.ceil(20 * (0.25 / mpp) ** 2)) - 1, 0))
    labels, _ = ndi.label(ndi.binary_fill_holes(mask))
    return np.asarray(labels, dtype=np.int32)
