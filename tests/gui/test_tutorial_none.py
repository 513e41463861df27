"""The tutorial's third chapter by a newcomer's hand: no clean nucleus, and no annotation at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtWidgets import QFileDialog
from walking import qupath_file, train

from napari_noisyseg import noise
from napari_noisyseg.gui.canvas import layers
from napari_noisyseg.gui.window import files

pytestmark = [pytest.mark.gui, pytest.mark.slow]


def shot(panel: Any, qtbot: Any, path: Path) -> None:
    qtbot.wait(500)
    panel.session.viewer.screenshot(str(path), canvas_only=False)


def test_rough_masks_alone_are_relabelled_in_rounds(
    panel: Any, qtbot: Any, tnbc: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = panel.session
    rough = noise.simulate(tnbc[1], "affine", strength=0.7, share=0.7, seed=1)
    path = qupath_file(tmp_path / "rough.geojson", rough)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(path), ""))
    files.import_rough(session, panel)
    panel.open_step("train")
    dock, project, name = panel.docks["train"], session.require_project(), session.image
    qtbot.waitUntil(lambda: dock.options.method.currentData() == "superpixel", timeout=10_000)
    shot(panel, qtbot, tmp_path / "before.png")
    train(panel, qtbot, None)
    qtbot.waitUntil(lambda: not dock.rounds.isHidden(), timeout=30_000)
    dock.rounds.next_button.click()
    qtbot.waitUntil(
        lambda: layers.find(session.viewer, name, "changes") is not None, timeout=30_000
    )
    shot(panel, qtbot, tmp_path / "rounds.png")
    assert "% relabelled" in dock.rounds.line.text()
    assert {"refined", "corrected", "weights"} <= set(project.labels.kinds(name))


def test_an_image_without_any_annotation_is_trained_on(
    panel: Any, qtbot: Any, tnbc: Any, tmp_path: Path
) -> None:
    session = panel.session
    panel.open_step("train")
    train(panel, qtbot, "igtt")
    project, name = session.require_project(), session.image
    qtbot.waitUntil(
        lambda: layers.find(session.viewer, name, "refined") is not None, timeout=30_000
    )
    shot(panel, qtbot, tmp_path / "igtt.png")
    refined = project.labels.read(name, "refined")
    assert refined is not None
    found, truth = refined > 0, tnbc[1] > 0
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.5
    assert len(np.unique(refined)) > 20
