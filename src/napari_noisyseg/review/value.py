"""What a look at a nucleus is expected to correct: the chance that it is wrong, and what follows.

Outlines learn from a correction: those of nuclei like the corrected one follow. So a wrong nucleus
of a common kind is worth more than one of a kind of its own. Alike are nuclei of one image that are
as large and as doubtful.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from napari_noisyseg.store.records import Candidate

FOLLOW = 0.1
"""By how much more a look at a nucleus of the commonest kind is worth. On MoNuSeg's images 11 to 20
more costs looks at once and 0 to 0.2 are alike (of 100 looks 65.6 and 65.4 at wrong nuclei)."""
AREAS, DOUBTS = 24, 12
"""Steps of the logarithm of the area, over `SPAN` around the median, and of the doubt in 0..1."""
SPAN = 3.0
ALIKE = 1.5
"""Steps over which nuclei are alike."""

F64 = NDArray[np.float64]


def values(candidates: Sequence[Candidate]) -> F64:
    """What a look at each nucleus of one image is worth, (n,), from 0 to 1 + `FOLLOW`."""
    return worth(
        np.array([c.score for c in candidates], float),
        np.array([c.area_um2 for c in candidates], float),
    )


def worth(scores: F64, areas: F64) -> F64:
    """The same from scores in 0..1 and areas in µm², (n,) each."""
    if not len(scores):
        return np.zeros(0)
    doubt = 1 - np.clip(scores, 0, 1)
    return np.asarray(doubt * (1 + FOLLOW * followers(areas, doubt)), np.float64)


def followers(areas: F64, doubt: F64) -> F64:
    """How common each nucleus's kind is, beside the commonest among the doubtful, 0..1."""
    area = np.log(np.maximum(areas, 1e-3))
    at = (area - np.median(area)) / SPAN + 0.5
    rows = np.clip(at * AREAS, 0, AREAS - 1).astype(np.intp)
    columns = np.clip(doubt * DOUBTS, 0, DOUBTS - 1).astype(np.intp)
    kinds = np.zeros((AREAS, DOUBTS))
    # what is right already has nothing to follow
    np.add.at(kinds, (rows, columns), doubt)
    common = gaussian_filter(kinds, ALIKE, mode="constant")
    found: F64 = common[rows, columns] / max(float(common.max()), 1e-9)
    return found
