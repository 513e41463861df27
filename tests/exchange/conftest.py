"""A project on real tissue."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from napari_noisyseg.store import Project

NAME = "Fall 7 – Größe"


@pytest.fixture
def project(tmp_path: Path, tnbc: tuple[np.ndarray, np.ndarray]) -> Iterator[Project]:
    """One image of 512 x 512 pixels at 0.25 µm per pixel."""
    with Project.create(tmp_path / "p.noisyseg") as made:
        made.add_array(tnbc[0], NAME, mpp=0.25)
        yield made


@pytest.fixture
def image(project: Project) -> str:
    """The name of the project's image."""
    return project.images()[0].name
