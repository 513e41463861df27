"""A hand on a whole slide: every stroke is in the project, and frames are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_noisyseg.benchmarks import slide_paint
from napari_noisyseg.store.project import Project

pytestmark = [pytest.mark.slow, pytest.mark.gui]


def test_strokes_anywhere_are_kept(tmp_path: Path, data_dir: Path) -> None:
    project = slide_paint._fields(data_dir, tmp_path)
    times = slide_paint._hand(project, "paint", 12)["strokes"]
    assert len(times) == 7
    assert all(0 < t < slide_paint.PATIENCE_MS for t in times)
    with Project.open(project) as opened:
        (image,) = opened.images()
        for field in opened.nuclei.fields(image.name):
            assert opened.nuclei.painted(image.name, "rough", field.box).any()


def test_frames_with_nuclei_and_without_are_told(tmp_path: Path, data_dir: Path) -> None:
    project = slide_paint._nuclei(data_dir, tmp_path, 1500)
    found = slide_paint._hand(project, "pan", 6)
    assert set(found) == {"nuclei", "bare"}
    assert all(0 < t < slide_paint.PATIENCE_MS for times in found.values() for t in times)
