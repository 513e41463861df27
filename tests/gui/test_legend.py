"""The legend: swatches, lines and ramps in the width of a panel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_noisyseg.gui.canvas.outlines import PENS
from napari_noisyseg.gui.widgets.legend import ROW, Legend, Ramp, Stroke, Swatch

STATES = [Stroke(state, pen) for state, pen in PENS.items()]
RAMP = Ramp("viridis", "0 sure background", "1 sure nucleus")

pytestmark = pytest.mark.gui


def drawn(legend: Legend, width: int) -> np.ndarray[Any, Any]:
    from napari._qt.utils import QImg2array

    legend.resize(width, legend.heightForWidth(width))
    return np.asarray(QImg2array(legend.grab().toImage())[..., :3], dtype=int)


def test_entries_wrap_to_the_width(qtbot: Any) -> None:
    legend = Legend(STATES, "states")
    qtbot.addWidget(legend)
    assert legend.heightForWidth(2000) == ROW
    assert 2 * ROW <= legend.heightForWidth(276) <= 6 * ROW
    assert legend.toolTip() == "states"
    legend.set_entries([Swatch("unknown")])
    assert legend.heightForWidth(276) == ROW
    assert Legend([]).heightForWidth(276) == 0


def test_a_ramp_has_a_line_of_its_own_and_its_words_below_where_it_is_narrow(qtbot: Any) -> None:
    legend = Legend([Swatch("unknown"), RAMP, Swatch("nucleus", "#ffe14d")])
    qtbot.addWidget(legend)
    assert legend.heightForWidth(400) == 3 * ROW
    assert legend.heightForWidth(160) == 4 * ROW
    picture = drawn(legend, 400)[ROW + ROW // 2]
    dark = np.abs(picture - (68, 1, 84)).sum(axis=1).argmin()
    bright = np.abs(picture - (253, 231, 36)).sum(axis=1).argmin()
    assert bright - dark > 50


def test_lines_look_as_on_the_canvas(qtbot: Any) -> None:
    legend = Legend(STATES)
    qtbot.addWidget(legend)
    picture = drawn(legend, 2000)
    lime = np.abs(picture - (183, 255, 90)).sum(axis=2) < 60
    assert 2 <= lime.sum(axis=0).max() <= 3
    yellow = (np.abs(picture - (255, 225, 77)).sum(axis=2) < 90).any(axis=0)
    assert (np.diff(yellow.astype(int)) == 1).sum() >= 4
