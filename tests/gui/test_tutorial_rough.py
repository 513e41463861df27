"""The tutorial's second chapter by a newcomer's hand: rough masks from QuPath, made right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog

from napari_noisyseg import noise
from napari_noisyseg.exchange.outlines import trace
from napari_noisyseg.gui import files, layers
from napari_noisyseg.gui.keyfilter import canvases

pytestmark = [pytest.mark.gui, pytest.mark.slow]
SECONDS = 40.0
TO_ACCEPT = 20


def qupath_file(path: Path, labels: NDArray[np.int32]) -> Path:
    """The masks as QuPath exports detections."""
    features = []
    for label in noise.ids_of(labels):
        ((ring, *_), *_) = trace(labels == label)
        features.append(
            {
                "type": "Feature",
                "geometry": {"type": "Polygon", "coordinates": [np.asarray(ring).tolist()]},
                "properties": {"objectType": "detection"},
            }
        )
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), "utf-8")
    return path


def train(panel: Any, qtbot: Any, method: str | None) -> None:
    """Press Train with this method (None: the one that is recommended) and wait for its results."""
    panel.open_step("train")
    dock, session = panel.docks["train"], panel.session
    options = dock.options
    if method is not None:
        options.method.setCurrentIndex(options.method.findData(method))
        options.method.activated.emit(options.method.currentIndex())
    options.length.addItem("a moment", SECONDS)
    options.length.setCurrentIndex(options.length.count() - 1)
    adopted = session.project.nuclei.adopted_run(session.image)
    qtbot.mouseClick(dock.button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: bool(dock.follower.living), timeout=60_000)
    qtbot.waitUntil(lambda: not dock.follower.living, timeout=180_000)
    qtbot.waitUntil(
        lambda: session.project.nuclei.adopted_run(session.image) != adopted, timeout=60_000
    )


def test_rough_masks_are_corrected_from_twenty_accepted_nuclei(
    panel: Any, qtbot: Any, tnbc: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = panel.session
    rough = noise.simulate(tnbc[1], "box", seed=1)
    path = qupath_file(tmp_path / "rough.geojson", rough)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(path), ""))
    files.import_rough(session, panel)
    project, name = session.require_project(), session.image
    assert np.array_equal(project.nuclei.painted(name) > 0, rough > 0)

    train(panel, qtbot, "supervised")
    qtbot.waitUntil(lambda: project.nuclei.counts(name).candidates > TO_ACCEPT, timeout=60_000)
    panel.open_step("review")
    review = panel.docks["review"]
    for count in range(TO_ACCEPT):
        qtbot.waitUntil(lambda: review.item is not None, timeout=30_000)
        qtbot.keyClick(canvases(session.viewer)[0], Qt.Key.Key_A)
        qtbot.waitUntil(
            lambda wanted=count + 1: project.nuclei.counts(name).accepted == wanted, timeout=10_000
        )

    panel.open_step("train")
    options = panel.docks["train"].options
    options._chosen_by_hand = False
    panel.docks["train"]._recommend()
    qtbot.waitUntil(lambda: options.method.currentData() == "mmc", timeout=10_000)
    assert "20 accepted" in options.why.text()
    train(panel, qtbot, None)
    expected = {"corrected", "changes", "weights"}
    qtbot.waitUntil(lambda: expected <= set(project.labels.kinds(name)), timeout=60_000)
    changed = project.labels.read(name, "changes")
    assert changed is not None
    assert {1, 3} <= set(np.unique(changed).tolist())
    qtbot.waitUntil(
        lambda: layers.find(session.viewer, name, "changes") is not None, timeout=30_000
    )
    layer: Any = layers.find(session.viewer, name, "changes")
    layer.visible = True
    qtbot.wait(500)
    session.viewer.screenshot(str(tmp_path / "changes.png"), canvas_only=False)
