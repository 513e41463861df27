"""What points tell where nobody promised that all nuclei are marked: themselves and their rims."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from napari_noisyseg.coarse.evidence import evidence
from napari_noisyseg.data.regions import Region
from napari_noisyseg.instances import from_points
from napari_noisyseg.instances.suggest import FEWEST, depth

PAPER_MPP = 0.25


def partly_known(region: Region) -> Region:
    """The region with nuclei clicked outside complete fields, and their pale rims, known as well.

    So is the inside of what a person rejected. What looks stained beside them may be a nucleus
    without a point: it stays unknown, as does all that lies further away.
    """
    pixels = np.floor(region.points + 0.5).astype(np.intp)
    inside = np.asarray(((pixels >= 0) & (pixels < region.shape)).all(axis=1))
    stray = np.zeros(len(pixels), bool)
    stray[inside] = np.asarray(~region.known[tuple(pixels[inside].T)])
    if stray.sum() < FEWEST:
        if not (region.known.any() and region.rejected.any()):
            return region
        return replace(region, known=region.known | region.rejected)
    seen, _ = evidence(region.rgb, PAPER_MPP / region.mpp)
    nothing = np.full(region.shape, 0.5, np.float32)
    labels = from_points(nothing, region.points, seen, region.mpp, region.rgb)
    areas = np.bincount(labels.ravel())[1:]
    radius = float(np.sqrt(np.median(areas[areas > 0]) / np.pi))
    labels[~np.isin(labels, np.flatnonzero(stray) + 1)] = 0
    around = np.isfinite(depth(labels, seen, radius))
    return replace(region, known=region.known | around | region.rejected)
