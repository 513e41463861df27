"""A slide without coarser levels in the window: seen at once, quick once they are made."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_noisyseg import samples
from napari_noisyseg.gui.canvas.lazy import coarser_of
from napari_noisyseg.gui.readers import read_slide
from napari_noisyseg.gui.session import session_of
from napari_noisyseg.gui.window.coarser import CoarserWatch
from napari_noisyseg.store import coarser
from napari_noisyseg.store.project import Project
from napari_noisyseg.worker.parent.coarser import Making

pytest.importorskip("openslide")
NAME = samples.SLIDE.stem


@pytest.fixture
def session(tmp_path: Path):
    """A viewer with the bundled slide of one level, dropped in, and no project yet."""
    viewer = ViewerModel()
    ((data, keywords, _),) = read_slide(str(samples.SLIDE))
    layer = viewer.add_image(data, **keywords)
    layer.metadata = {"noisyseg": {"path": str(samples.SLIDE)}}
    made = session_of(viewer)
    made.said = said = []
    made.noticed.connect(said.append)
    made.news.connect(said.append)
    made.create(tmp_path / "p.noisyseg")
    yield made
    made.shut()


def until(watch: CoarserWatch, layer) -> None:
    limit = time.monotonic() + 120
    while not coarser_of(layer).made and time.monotonic() < limit:
        watch.look()
        time.sleep(0.2)


def test_it_is_seen_at_once_and_turns_to_what_was_made(session) -> None:
    layer = session.image_layer()
    assert layer.multiscale
    far = np.asarray(layer.data[-1])
    assert far.shape == (371, 278, 3)
    assert far.std() > 5
    watch = CoarserWatch(session)
    watch.look()
    assert session.said == []
    session.require_image()
    until(watch, layer)
    assert "coarser ones are made in the background" in session.said[-2]
    assert "7 MB" in session.said[-2]
    assert "are ready" in session.said[-1]
    assert session.image_layer() is layer
    assert np.array_equal(np.asarray(layer.data[-1]), far)
    watch.look()
    watch.leave()
    assert len(session.said) == 2
    path = session.project.path
    session.close()
    # the next time they are there from the beginning
    session.open(path)
    again = session.image_layer()
    until(watch, again)
    assert coarser_of(again).made
    assert len(session.said) == 2


def test_a_full_disk_is_said_once(session, monkeypatch) -> None:
    session.require_image()
    usage = SimpleNamespace(free=10**8)
    monkeypatch.setattr(coarser.shutil, "disk_usage", lambda path: usage)
    watch = CoarserWatch(session)
    for _ in range(3):
        watch.look()
    (words,) = session.said
    assert "no room" in words
    assert "100 MB are free" in words


def test_what_went_wrong_there_is_said(session, monkeypatch) -> None:
    session.require_image()
    watch = CoarserWatch(session)
    layer = session.image_layer()
    path = session.project.path
    monkeypatch.setattr(
        "napari_noisyseg.gui.window.coarser.Making",
        lambda project, image: Making(project, "no such image"),
    )
    limit = time.monotonic() + 120
    while len(session.said) < 2 and time.monotonic() < limit:
        watch.look()
        time.sleep(0.2)
    assert "has no image 'no such image'" in session.said[1]
    assert not coarser_of(layer).made
    watch.look()
    assert len(session.said) == 2
    with Project.open(path, write=False) as project:
        assert project.coarser.state(NAME) == "missing"
