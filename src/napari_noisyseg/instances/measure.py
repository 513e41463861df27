"""What a table of nuclei holds: size, shape and stain of each outline."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
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
