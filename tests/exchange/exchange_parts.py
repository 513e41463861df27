"""Nuclei of label images, for the tests of import and export."""

from __future__ import annotations

import numpy as np

from napari_noisyseg.slides import Box
from napari_noisyseg.store import Candidate, Outline


def outlines_of(labels: np.ndarray) -> list[Outline]:
    """The nuclei of a label image."""
    found = []
    for value in np.unique(labels)[1:]:
        y, x = np.nonzero(labels == value)
        box = Box(int(y.min()), int(x.min()), int(y.max()) + 1, int(x.max()) + 1)
        found.append(Outline(box, (labels == value)[box.slices]))
    return found


def candidates_of(labels: np.ndarray, run: str = "run-1") -> list[Candidate]:
    """The nuclei of a label image as a run gives them, the first the most certain."""
    return [
        Candidate(
            id="",
            serial=0,
            y=float(o.box.y0),
            x=float(o.box.x0),
            outline=o,
            score=1 / (n + 1),
            reason="",
            run=run,
            area_um2=float(o.mask.sum()) * 0.25**2,
        )
        for n, o in enumerate(outlines_of(labels))
    ]
