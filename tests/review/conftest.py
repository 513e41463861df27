"""A project with what a run found in real tissue: the bundled field's nuclei, with scores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from review_parts import MPP, found_in

from napari_noisyseg.store.project import Project


@pytest.fixture
def project(tmp_path: Path, tnbc) -> Iterator[Project]:
    """One image, its nuclei adopted from `run-1`."""
    rgb, labels = tnbc
    with Project.create(tmp_path / "tissue.noisyseg") as made:
        made.add_array(rgb, "tnbc", MPP)
        made.nuclei.adopt("tnbc", "run-1", found_in(labels))
        yield made
