"""The tutorial's first chapter by a newcomer's hand: real mouse, real keys, a real training."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import Qt
from test_panel import Hand

from napari_noisyseg.benchmarks.tissue import inner_points
from napari_noisyseg.exchange.exporting import export
from napari_noisyseg.gui.window.keyfilter import canvases

pytestmark = [pytest.mark.gui, pytest.mark.slow]
FIELD = (60, 60, 300, 330)
SECONDS = 25.0


def test_from_clicks_to_exported_nuclei(panel, qtbot, tnbc, tmp_path: Path) -> None:
    session = panel.session
    hand = Hand(panel, qtbot)
    hand.key(Qt.Key.Key_F)
    hand.drag((FIELD[0], FIELD[1]), (FIELD[2], FIELD[3]))
    hand.key(Qt.Key.Key_P)
    points = [p for p in inner_points(tnbc[1]) if inside(p)]
    for point in points:
        hand.click(tuple(point))
    project = session.require_project()
    name = session.image
    assert len(project.nuclei.fields(name)) == 1
    assert project.nuclei.counts(name).points == len(points)

    panel.open_step("train")
    train = panel.docks["train"]
    train.options.length.addItem("a moment", SECONDS)
    train.options.length.setCurrentIndex(train.options.length.count() - 1)
    qtbot.mouseClick(train.button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: bool(train.follower.living), timeout=60_000)
    qtbot.waitUntil(lambda: not train.follower.living, timeout=120_000)
    qtbot.waitUntil(lambda: project.nuclei.counts(name).candidates > 0, timeout=60_000)

    panel.open_step("review")
    review = panel.docks["review"]
    qtbot.waitUntil(lambda: review.review.item is not None, timeout=30_000)
    for key in (Qt.Key.Key_A, Qt.Key.Key_A, Qt.Key.Key_R, Qt.Key.Key_Z, Qt.Key.Key_A):
        qtbot.keyClick(canvases(session.viewer)[0], key)
        qtbot.wait(200)
    assert project.nuclei.counts(name).accepted == 3

    for form in ("labels", "geojson"):
        export(project, tmp_path / "out", form, "accepted")
    labels = tifffile.imread(tmp_path / "out" / f"{name}.tif")
    assert len(np.unique(labels)) - 1 == 3
    features = json.loads((tmp_path / "out" / f"{name}.geojson").read_text("utf-8"))["features"]
    assert {f["properties"]["objectType"] for f in features} == {"detection"}
    assert len(features) == 3


def inside(point: np.ndarray) -> bool:
    return FIELD[0] < point[0] < FIELD[2] and FIELD[1] < point[1] < FIELD[3]
