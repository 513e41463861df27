"""“What is this label worth?” in the real window: worked out off the GUI thread, drawn, told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from scipy import ndimage

from napari_noisyseg import noise
from napari_noisyseg.gui.canvas import layers
from napari_noisyseg.gui.docks.coarse.dock import CoarseDock
from napari_noisyseg.gui.docks.coarse.matrixview import MatrixView
from napari_noisyseg.gui.panel import Panel
from napari_noisyseg.slides import Box
from napari_noisyseg.store.records import Outline

PATIENCE = 60_000


@pytest.fixture
def dock(panel: Panel, tnbc: Any, qtbot: QtBot) -> CoarseDock:
    """Masks 2 px too large, half of the nuclei accepted."""
    found: Any = panel.docks["coarse"]
    session, labels = panel.session, tnbc[1]
    rough = noise.simulate(labels, "dilate", 0.0, 2.0)
    with session.acting():
        name = session.require_image().name
        nuclei = session.require_project().nuclei
        nuclei.paint(name, Box(0, 0, *labels.shape), np.zeros_like(labels), rough)
        serials = np.unique(labels)[1::2]
        made = nuclei.add_many(name, ndimage.center_of_mass(labels > 0, labels, serials))
        outlines = {n.id: outline(labels, s) for n, s in zip(made, serials, strict=True)}
        nuclei.decide(list(outlines), "accepted", outlines=outlines)
    panel.open_step("coarse")
    qtbot.wait(20)
    assert isinstance(found, CoarseDock)
    return found


def outline(labels: Any, serial: int) -> Outline:
    rows, columns = ndimage.find_objects((labels == serial).astype(int))[0]
    box = Box(rows.start, columns.start, rows.stop, columns.stop)
    return Outline(box, labels[rows, columns] == serial)


def opened(dock: CoarseDock, qtbot: QtBot) -> None:
    dock.section.toggle.click()
    assert dock.worth.busy
    qtbot.waitUntil(lambda: not dock.worth.busy, timeout=PATIENCE)


def test_it_is_told_and_drawn(dock: CoarseDock, qtbot: QtBot) -> None:
    assert dock.worth.found is None
    opened(dock, qtbot)
    assert "too large: +0." in dock.worth.lines.text()
    assert "0% of accepted nuclei" in dock.worth.lines.text()
    assert "Train with mmc" in dock.worth.advice.text()
    assert dock.worth.matrix.isVisible()
    assert "nucleus pixels nucleus" in dock.worth.matrix.toolTip()
    dock.worth.heat.click()
    layer = layers.find(dock.session.viewer, "tissue", "density")
    assert layer.name == "tissue · density"
    assert layer.visible
    assert layer.data.shape == (512, 512)
    dock.worth.heat.click()
    assert not layer.visible


@pytest.mark.long
def test_another_decision_makes_it_old_until_it_is_looked_at_again(
    dock: CoarseDock, qtbot: QtBot
) -> None:
    opened(dock, qtbot)
    before = dock.worth.found
    assert before is not None
    dock.session.undo()
    qtbot.wait(20)
    assert "changed since" in dock.worth.state.text()
    dock.worth.again.click()
    qtbot.waitUntil(lambda: not dock.worth.busy, timeout=PATIENCE)
    assert dock.worth.found is not None
    assert dock.worth.found.accepted == 0
    assert dock.worth.state.text() == ""
    assert not dock.worth.matrix.isVisible()


def test_without_masks_it_says_what_to_do(panel: Panel, qtbot: QtBot) -> None:
    dock: Any = panel.docks["coarse"]
    panel.open_step("coarse")
    dock.section.toggle.click()
    assert "Paint or import rough masks" in dock.worth.state.text()
    assert not dock.worth.busy


def test_cells_of_the_matrix_are_filled_by_their_share(qtbot: QtBot) -> None:
    view = MatrixView()
    qtbot.addWidget(view)
    view.show_matrix(np.array([[1.0, 0.0], [0.0, 1.0]]))
    view.resize(view.sizeHint())
    shown = view.grab().toImage()
    colours = [
        shown.pixelColor(int(view._x(c)) + 12, int(view._y(r)) + 8).getRgb()
        for r in (0, 1)
        for c in (0, 1)
    ]
    assert colours[0] == colours[3]
    assert colours[1] == colours[2]
    assert colours[0] != colours[1]
