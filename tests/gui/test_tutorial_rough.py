"""The tutorial's second chapter by a newcomer's hand: rough masks from QuPath, made right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog
from walking import qupath_file, train

from napari_noisyseg import noise
from napari_noisyseg.gui.canvas import layers
from napari_noisyseg.gui.window import files
from napari_noisyseg.gui.window.keyfilter import canvases

pytestmark = [pytest.mark.gui, pytest.mark.slow]
TO_ACCEPT = 20


def test_rough_masks_are_corrected_from_twenty_accepted_nuclei(
    panel: Any, qtbot: Any, tnbc: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = panel.session
    rough = noise.simulate(tnbc[1], "box", seed=1)
    path = qupath_file(tmp_path / "rough.geojson", rough)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(path), ""))
    files.import_rough(session, panel)
    project, name = session.require_project(), session.image
    qtbot.waitUntil(lambda: "rough" in project.nuclei.planes(name), timeout=10_000)
    assert np.array_equal(project.nuclei.painted(name) > 0, rough > 0)

    train(panel, qtbot, "supervised")
    qtbot.waitUntil(lambda: project.nuclei.counts(name).candidates > TO_ACCEPT, timeout=60_000)
    panel.open_step("review")
    review = panel.docks["review"]
    for count in range(TO_ACCEPT):
        qtbot.waitUntil(lambda: review.review.item is not None, timeout=30_000)
        qtbot.keyClick(canvases(session.viewer)[0], Qt.Key.Key_A)
        qtbot.waitUntil(
            lambda wanted=count + 1: project.nuclei.counts(name).accepted == wanted, timeout=10_000
        )

    assert panel.docks["annotate"].summary().text == f"rough masks · {TO_ACCEPT} accepted"
    assert panel.docks["coarse"].summary().text == "come with a field"
    panel.open_step("train")
    options = panel.docks["train"].options
    options._chosen_by_hand = False
    panel.docks["train"].controller.recommend()
    qtbot.waitUntil(lambda: options.method.currentData() == "mmc", timeout=10_000)
    assert "20 accepted" in options.why.text()
    train(panel, qtbot, None)
    expected = {"corrected", "changes", "weights"}
    qtbot.waitUntil(lambda: expected <= set(project.labels.kinds(name)), timeout=60_000)
    changed = project.labels.read(name, "changes")
    assert changed is not None
    assert {1, 3} <= set(np.unique(changed).tolist())
    box = panel.docks["train"].maps.boxes["changes"]
    qtbot.waitUntil(lambda: box.isVisible() and box.isEnabled(), timeout=30_000)
    qtbot.mouseClick(box, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(
        lambda: layers.find(session.viewer, name, "changes") is not None, timeout=30_000
    )
    qtbot.wait(500)
    session.viewer.screenshot(str(tmp_path / "changes.png"), canvas_only=False)
