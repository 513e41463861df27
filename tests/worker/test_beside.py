"""Learning in a child beside the window: the same lesson, stopped at once when asked."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Timer

import pytest

from napari_noisyseg import samples
from napari_noisyseg.errors import NoisySegError
from napari_noisyseg.store import Project
from napari_noisyseg.worker.lessons.beside import learn_beside

pytest.importorskip("torch")


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    samples.demo_project(tmp_path)
    with Project.open(tmp_path / "tnbc.noisyseg") as opened:
        yield opened


@pytest.mark.long
def test_the_child_reads_what_the_window_holds_and_writes_nothing_there(project: Project) -> None:
    version = project.nuclei.version()
    found = learn_beside(project.path, Event())
    assert found is not None
    lesson, weights = found
    assert (lesson.used, lesson.nuclei, weights) == (False, 0, b"")
    assert "outlines learn from 8" in lesson.words
    assert project.nuclei.version() == version


def test_a_child_that_is_not_wanted_any_more_is_ended_at_once(project: Project) -> None:
    stopping = Event()
    Timer(0.5, stopping.set).start()
    began = time.monotonic()
    assert learn_beside(project.path, stopping) is None
    assert time.monotonic() - began < 10


def test_a_project_that_is_gone_is_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(NoisySegError, match=r"did not work: .*gone\.noisyseg"):
        learn_beside(tmp_path / "gone.noisyseg", Event())
