from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from tiny_runs import SIDE, end

from napari_noisyseg.benchmarks.machines import Machines, machines
from napari_noisyseg.slides import Box
from napari_noisyseg.store.project import Project

Tissue = tuple[NDArray[np.uint8], NDArray[np.int32]]


@pytest.fixture(scope="session")
def cluster() -> Iterator[Machines]:
    """A scheduler and one worker on this machine, for all who ask: starting them takes seconds."""
    with machines(1) as made:
        yield made


@pytest.fixture
def points(tnbc: Tissue) -> NDArray[np.float64]:
    """The centre of every nucleus in the crop of real tissue, (n, 2)."""
    labels = tnbc[1][:SIDE, :SIDE]
    numbers = np.unique(labels)[1:]
    return np.array(ndimage.center_of_mass(labels > 0, labels, numbers))


@pytest.fixture
def project(tmp_path: Path, tnbc: Tissue, points: NDArray[np.float64]) -> Iterator[Project]:
    """A crop of real tissue with its points in one complete field."""
    with Project.create(tmp_path / "Fall ü.noisyseg") as made:
        made.add_array(tnbc[0][:SIDE, :SIDE], "tissue", 0.25)
        made.nuclei.add_many("tissue", points)
        made.nuclei.add_field("tissue", Box(0, 0, SIDE, SIDE))
        yield made
        for run in made.runs.list():
            end(run)
