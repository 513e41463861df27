"""A project with what a run found in real tissue: the bundled field's nuclei, with scores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from skimage.measure import regionprops

from napari_noisyseg.slides import Box
from napari_noisyseg.store.project import Project
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


@pytest.fixture
def project(tmp_path: Path, tnbc) -> Iterator[Project]:
    """One image, its nuclei adopted from `run-1`."""
    rgb, labels = tnbc
    with Project.create(tmp_path / "tissue.noisyseg") as made:
        made.add_array(rgb, "tnbc", MPP)
        made.nuclei.adopt("tnbc", "run-1", found_in(labels))
        yield made
