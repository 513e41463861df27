"""What a run found in real tissue, for the tests of the review."""

from __future__ import annotations

import numpy as np
from skimage.measure import regionprops

from napari_noisyseg.slides import Box
from napari_noisyseg.store.records import Candidate, Outline

MPP = 0.5


def found_in(labels, run="run-1", reason="the edge is faint") -> list[Candidate]:
    """Every object of a label image as a candidate; scores rise from 0.02 to 0.98."""
    objects = regionprops(labels)
    scores = np.linspace(0.02, 0.98, len(objects))
    return [
        Candidate(
            "", 0, *one.centroid, Outline(Box(*one.bbox), one.image), float(score), reason, run,
            one.area * MPP**2,
        )
        for one, score in zip(objects, scores, strict=True)
    ]  # fmt: skip
