"""The top of the panel at first sight, its resolution box, and whose layer napari speaks of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from qtpy.QtCore import Qt

from napari_noisyseg.gui.canvas import layers
from napari_noisyseg.gui.widgets.elided import Elided
from napari_noisyseg.gui.widgets.theme import palette

pytestmark = pytest.mark.gui


def test_rows_say_what_comes_first_and_the_resolution_box_gives_the_keys_back(
    hand: Any, panel: Any, qtbot: Any
) -> None:
    said = {step: row.state.text for step, row in panel.rows.items()}
    assert said["annotate"] == "click a nucleus to begin"
    assert said["train"] == "not trained yet"
    assert "K" not in [b.key for b in panel.session.keys.legend() if b.footer]
    hand.click((100, 100))
    mpp, session = panel.header.mpp, panel.session
    hand.press(mpp)
    mpp.selectAll()
    qtbot.keyClicks(mpp, "0.7")
    qtbot.keyClick(mpp, Qt.Key.Key_Escape)
    assert mpp.text() == "0.25"
    hand.key(Qt.Key.Key_F)
    assert session.view.tool == "field"
    hand.press(mpp)
    mpp.selectAll()
    qtbot.keyClicks(mpp, "0.5")
    qtbot.keyClick(mpp, Qt.Key.Key_Return)
    assert session.require_image().mpp == 0.5
    hand.key(Qt.Key.Key_P)
    assert session.view.tool == "points"
    assert mpp.text() == "0.5"


def test_napari_speaks_of_the_image_in_front(
    hand: Any, panel: Any, png: Path, monkeypatch: Any
) -> None:
    viewer = panel.session.viewer
    hand.click((100, 100))
    second = png.with_name("second.png")
    Image.open(png).transpose(Image.Transpose.ROTATE_180).save(second)
    hand.add_images(monkeypatch, second)
    assert panel.session.image == "second"
    assert layers.image_name(viewer.layers.selection.active) == "second"
    hand.qtbot.waitUntil(panel.header.images.isEnabled, timeout=5000)
    hand.choose("tissue")
    assert layers.image_name(viewer.layers.selection.active) == "tissue"
    # what a person has chosen of their own stays chosen
    own = viewer.add_points([[5, 5]], name="own")
    viewer.layers.selection.active = own
    hand.choose("second")
    assert viewer.layers.selection.active is own


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_is_made_late_has_the_window_s_theme(panel: Any, theme: str) -> None:
    panel.session.viewer.theme = theme
    review = panel.docks["review"]
    review.rounds_more.toggle.setChecked(True)
    ground = review.rounds.plot.backgroundBrush().color().name()
    assert ground == palette(review).base.lower()


def test_a_long_name_is_cut_where_there_is_no_room(qtbot: Any) -> None:
    name = Elided("title")
    qtbot.addWidget(name)
    name.show()
    name.resize(120, 20)
    name.setText("CMU-1-Small-Region.noisyseg", short="CMU-1-Small-Region")
    assert name.text() == "CMU-1-Small-Region.noisyseg"
    assert name.seen().startswith("CMU-1")
    assert name.seen().endswith("…")
    assert name.fontMetrics().horizontalAdvance(name.seen()) <= 120
    name.resize(150, 20)
    assert name.seen() == "CMU-1-Small-Region"
    name.resize(600, 20)
    assert name.seen() == name.text()
