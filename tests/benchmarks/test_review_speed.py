"""The project that the simulated reviewer works on, and what its times come to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_noisyseg import samples
from napari_noisyseg.benchmarks import review_speed
from napari_noisyseg.benchmarks.tissue import Field
from napari_noisyseg.review.queue import ReviewQueue
from napari_noisyseg.slides import read_labels
from napari_noisyseg.store.project import Project


@pytest.fixture
def field() -> Field:
    return Field("field", samples.FIELD, samples.FIELD_NUCLEI, samples.FIELD_MPP)


def test_the_project_has_so_many_nuclei_to_judge_each_clicked(tmp_path: Path, field: Field) -> None:
    turned = tmp_path / "turned.png"
    Image.open(field.image).rotate(180).save(turned)
    other = Field("turned", turned, field.labels, field.mpp)
    with Project.open(review_speed.make(tmp_path, [other, field], 41)) as project:
        first, second = (record.name for record in project.images())
        assert len(project.nuclei.of(first)) == 20
        assert len(project.nuclei.of(second)) == 21
        queue = ReviewQueue(project)
        assert len(queue) == 41
        assert {item.state for item in queue.items} == {"unreviewed"}
        truth = read_labels(samples.FIELD_NUCLEI) > 0
        drawn = project.labels.read(second, "refined")
        assert drawn is not None
        assert (truth & (drawn > 0)).sum() > 0.6 * (drawn > 0).sum()


def test_times_and_memory_become_the_figures(
    tmp_path: Path, field: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {
        "calm": [[float(ms), ms / 2] for ms in range(1, 101)],
        "hurried": [[200.0, 9.0]],
        "memory_mb": [400.0, 403.0, 402.5],
    }
    monkeypatch.setattr(review_speed, "_reviewed", lambda *_: found)
    figures, rows = review_speed._figures([field], 110, 2000)
    assert figures["next_p95_ms"] == pytest.approx(np.percentile(range(1, 101), 95))
    assert figures["next_cpu_ms"] == pytest.approx(25.25)
    assert figures["hurried_p95_ms"] == 200
    assert figures["memory_growth_mb"] == 2.5
    assert rows[0]["looks"] == 100
    found["hurried"] = []
    assert "hurried_p95_ms" not in review_speed._figures([field], 110, 110)[0]
