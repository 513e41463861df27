"""What a table of nuclei holds: size, shape and stain of each outline."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import regionprops_table


class Measured(NamedTuple):
    """One nucleus of a label image."""

    label: int
    area_um2: float
    perimeter_um: float
    eccentricity: float
    mean_hematoxylin: float


def measure(labels: NDArray[np.integer[Any]], density: NDArray[Any], mpp: float) -> list[Measured]:
    """The size, shape and stain of every nucleus, in the order of their ids.

    `labels` (H, W) label image, `density` (H, W) its hematoxylin density, `mpp` µm per pixel.
    Eccentricity is 0 for a circle, towards 1 for a line, of the ellipse with the same second
    moments. Perimeters run through the centres of the border pixels (0 for a single pixel).
    """
    if not np.any(labels):
        return []
    names = ("label", "area", "perimeter", "eccentricity", "intensity_mean")
    table = regionprops_table(np.asarray(labels), np.asarray(density), properties=names)
    return [
        Measured(int(label), area * mpp**2, perimeter * mpp, eccentricity, mean)
        for label, area, perimeter, eccentricity, mean in zip(
            *(np.asarray(table[name], float).tolist() for name in names), strict=True
        )
    ]


def middles(labels: NDArray[np.integer[Any]], count: int) -> NDArray[np.float64]:
    """The pixel deepest inside each label 1..count, (count, 2) of (y, x); nan where it is not."""
    found = np.full((count, 2), np.nan)
    for label, box in enumerate(ndimage.find_objects(labels, count), start=1):
        if box is not None:
            deep = ndimage.distance_transform_edt(np.pad(labels[box] == label, 1))[1:-1, 1:-1]
            place = np.unravel_index(int(deep.argmax()), deep.shape)
            found[label - 1] = box[0].start + place[0], box[1].start + place[1]
    return found


def touching(labels: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
    """Pixels with a pixel of another nucleus above, below, left or right, bool (H, W)."""
    found = np.zeros(labels.shape, bool)
    for axis in (0, 1):
        a, b = np.moveaxis(labels, axis, 0), np.moveaxis(found, axis, 0)
        meet = (a[1:] != a[:-1]) & (a[1:] > 0) & (a[:-1] > 0)
        b[1:] |= meet
        b[:-1] |= meet
    return found
