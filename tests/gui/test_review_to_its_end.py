"""A field reviewed to its end by hand: real keys, a real mouse, a second round, a word to stop.

With `NOISYSEG_PICTURES` set to a folder the window is pictured on the way.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hand import Hand
from qtpy.QtCore import Qt
from test_repair import across, path

from napari_noisyseg.benchmarks.review_speed import make
from napari_noisyseg.benchmarks.tissue import Field, fields, inner_points
from napari_noisyseg.gui.canvas import layers
from napari_noisyseg.review import audit
from napari_noisyseg.slides import Box
from napari_noisyseg.store.project import Project

pytestmark = [pytest.mark.gui, pytest.mark.slow]
SECONDS = 30.0
TINY = {
    "preset": "small", "width": 16, "color_width": 2, "tile": 128, "tile_overlap": 0, "crop": 96,
    "batch_size": 4, "gamma": 1,
}  # fmt: skip
MOST = 400
"""looks; the word to stop comes long before"""
LONG = 120_000


@pytest.fixture
def tissue(data_dir: Path) -> Field:
    """The field of the free set with the most nuclei."""
    return max(fields(data_dir, "tnbc"), key=lambda one: len(np.unique(one.truth())))


@pytest.fixture
def project(tmp_path: Path, tissue: Field) -> Path:
    """Its nuclei clicked, but one, and found by a first round, a little off."""
    place = make(tmp_path, [tissue], len(np.unique(tissue.truth())) - 2)
    with Project.open(place) as opened:
        (record,) = opened.images()
        opened.nuclei.add_field(record.name, Box(0, 0, record.height, record.width))
        spec = {"method": "scnet", "config": TINY, "time_budget": SECONDS, "device": "cpu"}
        opened.runs.list()[0].write_spec({**spec, "threads": 1})
    return place


@pytest.fixture
def hand(make_napari_viewer: Callable[..., Any], qtbot: Any, project: Path) -> Iterator[Hand]:
    """A person at the window of that project."""
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1500, 950)
    _, panel = viewer.window.add_plugin_dock_widget("napari-noisyseg", "NoisySeg")
    panel.session.open(project)
    qtbot.wait(200)
    person = Hand(panel, qtbot)
    yield person
    panel.docks["train"].stop()


def picture(hand: Hand, name: str) -> None:
    """The window as a file, where somebody wants to look at it."""
    folder = os.environ.get("NOISYSEG_PICTURES")
    if folder:
        hand.qtbot.wait(300)
        where = str(Path(folder) / f"end-{name}.png")
        hand.session.viewer.window.screenshot(flash=False, path=where)


def stored(hand: Hand) -> Any:
    """What the project holds of the nuclei to be judged, by id."""
    project: Any = hand.session.project
    return {c.id: c for c in project.nuclei.judged(hand.session.image)}


def near(hand: Hand, nucleus: str) -> Any:
    """Another nucleus in sight, the nearest that can be clicked by itself."""
    found = stored(hand)
    here = found[nucleus]
    others = [c for c in found.values() if c.id != nucleus]
    others.sort(key=lambda c: (c.y - here.y) ** 2 + (c.x - here.x) ** 2)
    return next(
        c for c in others if sum(o.outline.holds(*c.outline.middle()) for o in others) == 1
        and c.outline.holds(*c.outline.middle())
        and hand.canvas.rect().contains(hand.at(c.outline.middle()))
    )  # fmt: skip


def test_a_review_to_its_end(hand: Hand, qtbot: Any, tissue: Field) -> None:
    hand.open_step("review")
    dock: Any = hand.panel.docks["review"]
    review = dock.review
    dock.learning.switch(False)
    qtbot.waitUntil(lambda: review.item is not None, timeout=LONG)
    image, session = hand.session.image, hand.session
    qtbot.waitUntil(lambda: layers.find(session.viewer, image, "refined") is not None)
    qtbot.wait(100)

    # one is chosen by a click, named by a key, and accepted
    chosen = near(hand, review.nucleus)
    hand.click(chosen.outline.middle())
    assert review.nucleus == chosen.id
    hand.key(Qt.Key.Key_2)
    named = stored(hand)[chosen.id].class_name
    assert named == review.repairs.classes()[1].name
    hand.key(Qt.Key.Key_A)
    assert stored(hand)[chosen.id].state == "accepted"

    # the largest is split, and put together again from its halves
    count = len(stored(hand))
    whole = max(stored(hand).values(), key=lambda c: c.outline.area)
    review.go_to(whole.id)
    qtbot.wait(60)
    hand.key(Qt.Key.Key_S)
    path(hand, across(whole.outline))
    qtbot.waitUntil(lambda: len(stored(hand)) == count + 1, timeout=LONG)
    assert review.nucleus == whole.id
    (half,) = (c for c in stored(hand).values() if not c.run)
    picture(hand, "split")
    hand.key(Qt.Key.Key_M)
    hand.click(half.outline.middle())
    assert len(stored(hand)) == count
    assert abs(stored(hand)[whole.id].outline.area - whole.outline.area) <= 4
    hand.key(Qt.Key.Key_A)

    # the one that nobody clicked is added
    missed = inner_points(tissue.truth())[-1]
    session.viewer.scene.camera.center = (0.0, *(missed * tissue.mpp))
    qtbot.wait(60)
    hand.key(Qt.Key.Key_N)
    hand.click((float(missed[0]), float(missed[1])))
    qtbot.waitUntil(lambda: len(stored(hand)) == count + 1, timeout=LONG)
    hand.key(Qt.Key.Key_N)

    # what was done is undone after a restart
    before = {c.id: c.state for c in stored(hand).values()}
    judged = review.nucleus
    hand.key(Qt.Key.Key_R)
    assert stored(hand)[judged].state == "rejected"
    place = session.project.path
    session.close()
    session.open(place)
    qtbot.waitUntil(lambda: review.item is not None, timeout=LONG)
    hand.key(Qt.Key.Key_Z)
    assert {c.id: c.state for c in stored(hand).values()} == before

    # a second round by one key, judged like the first one
    adopted = session.project.nuclei.adopted_run(image)
    hand.key(Qt.Key.Key_T)
    follower = hand.panel.docks["train"].follower
    qtbot.waitUntil(lambda: bool(follower.living), timeout=LONG)
    hand.key(Qt.Key.Key_A)  # the review goes on meanwhile
    qtbot.waitUntil(lambda: not follower.living, timeout=300_000)
    qtbot.waitUntil(
        lambda: session.project.nuclei.adopted_run(image) not in (adopted, None), timeout=LONG
    )
    qtbot.waitUntil(lambda: review.item is not None and review.item.state != "accepted",
                    timeout=LONG)  # fmt: skip
    assert stored(hand)[chosen.id].state == "accepted"
    assert stored(hand)[chosen.id].class_name == named

    # on to the audit's word
    for _ in range(MOST):
        found = dock.trust.found
        if found is not None and found.done:
            break
        hand.key(Qt.Key.Key_A)
    qtbot.waitUntil(lambda: dock.trust.found is not None and dock.trust.found.done, timeout=LONG)
    words = dock.rest.text()
    assert audit.advice(dock.trust.found).capitalize() in words
    assert "go on" not in words.lower()
    dock.rounds_more.toggle.setChecked(True)
    qtbot.waitUntil(lambda: len(dock.next_round.rounds) == 2, timeout=LONG)
    assert dock.next_round.rounds[1].decisions > 0
    for theme in ("dark", "light"):
        session.viewer.theme = theme
        picture(hand, f"done-{theme}")
