"""Labels of many regions come into a layer as if each were written by itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_noisyseg.slides import Box
from napari_noisyseg.store import Project
from napari_noisyseg.worker.adoption import laying
from napari_noisyseg.worker.adoption.laying import lay

SHAPE = (300, 260)


@pytest.mark.parametrize("few", [0, 100])
@pytest.mark.parametrize("before", [False, True])
def test_many_regions_are_laid_as_one_by_one(
    tmp_path: Path, few: int, before: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(laying, "FEW", few)
    monkeypatch.setattr(laying, "SIDE", 64)
    generator = np.random.default_rng(few)
    places = generator.integers(0, (250, 210), (12, 2)).tolist()
    boxes = [Box(y, x, y + 50, x + 50) for y, x in places]
    parts = [generator.integers(0, 90_000, (50, 50), np.int32) for _ in boxes]
    expected = np.zeros(SHAPE, np.int32)
    with Project.create(tmp_path / "p.noisyseg") as project:
        project.add_array(np.full((*SHAPE, 3), 200, np.uint8), "a", 0.25)
        if before:
            expected[:] = 7
            project.labels.write("a", "refined", expected)
        for box, part in zip(boxes, parts, strict=True):
            expected[box.slices] = part
        lay(project, "a", "refined", boxes, lambda k: parts[k], {"run": "r"})
        assert np.array_equal(project.labels.read("a", "refined"), expected)
        assert project.labels.source("a", "refined") == {"run": "r"}
