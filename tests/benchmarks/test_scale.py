"""The large project that speed is measured on, and what is measured of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_noisyseg.benchmarks import many, scale_steps
from napari_noisyseg.slides import Box
from napari_noisyseg.store import Project


@pytest.mark.slow
def test_a_large_project_is_real_tissue_and_is_measured(data_dir: Path, tmp_path: Path) -> None:
    count = many.make(data_dir, tmp_path, 5000)
    assert count >= 5000
    rows = {name: step(tmp_path) for name, step in scale_steps.STEPS.items()}
    assert rows["use"]["nuclei"] == count
    assert all(float(str(v)) > 0 for row in rows.values() for v in row.values())
    with Project.open(tmp_path / "many.noisyseg", write=False) as project:
        record = project.image(many.IMAGE)
        assert project.nuclei.counts().candidates == count
        assert project.nuclei.counts().reviewed == scale_steps.DECISIONS
        # a tile that comes again shows the same tissue, and outlines that fit it
        again = Box(0, many.SIDE, 64, many.SIDE + 64).shift(many.SIDE, 0)
        with project.pixels(many.IMAGE) as slide:
            assert slide.shape == (record.height, record.width)
            assert slide.read(again).std() > 5
        labels = project.labels.read(many.IMAGE, "refined", Box(0, 0, many.SIDE, many.SIDE))
        assert labels is not None
        assert len(np.unique(labels)) > 400
